package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// storedRecord is a record as log inspect shows it; see jsonRecord.
type storedRecord struct {
	Offset      int64        `json:"offset"`
	Timestamp   int64        `json:"timestamp"`
	Key         *jsonText    `json:"key,omitempty"`
	KeyBase64   []byte       `json:"key_base64,omitempty"`
	Value       *jsonText    `json:"value,omitempty"`
	ValueBase64 []byte       `json:"value_base64,omitempty"`
	Headers     []jsonHeader `json:"headers,omitempty"`

	record batch.Record
}

func newStoredRecord(r batch.Record) *storedRecord {
	s := &storedRecord{Offset: r.Offset, Timestamp: r.Timestamp, record: r}
	s.Key, s.KeyBase64 = jsonBytes(r.Key)
	s.Value, s.ValueBase64 = jsonBytes(r.Value)
	for _, h := range r.Headers {
		j := jsonHeader{Key: h.Key}
		j.Value, j.ValueBase64 = jsonBytes(h.Value)
		s.Headers = append(s.Headers, j)
	}
	return s
}

func (s *storedRecord) String() string {
	const shownBytes = 200
	text := fmt.Sprintf("  %d  %s  key %s  value %s", s.Offset, moment(s.Timestamp), quoted(s.record.Key, shownBytes), quoted(s.record.Value, shownBytes))
	for _, h := range s.record.Headers {
		text += fmt.Sprintf("  %s=%s", h.Key, quoted(h.Value, shownBytes))
	}
	return text
}

func (x *inspection) offsetIndex(path string, base int64) error {
	return x.index(path, base, offsetEntryBytes, "OFFSET", "POSITION", func(e indexEntry) any {
		return struct {
			Offset   int64 `json:"offset"`
			Position int64 `json:"position"`
		}{e.key, e.value}
	})
}

func (x *inspection) timeIndex(path string, base int64) error {
	return x.index(path, base, timeEntryBytes, "TIMESTAMP", "OFFSET", func(e indexEntry) any {
		return struct {
			Timestamp int64 `json:"timestamp"`
			Offset    int64 `json:"offset"`
		}{e.key, e.value}
	})
}

func (x *inspection) index(path string, base int64, entryBytes int, key, value string, object func(indexEntry) any) error {
	entries, found, err := readIndex(path, base, entryBytes)
	if err != nil {
		return err
	}
	if !x.json {
		fmt.Fprintf(x.out, "%20s  %20s\n", key, value)
	}
	for _, e := range entries {
		if x.json {
			err = x.printJSON(object(e))
		} else {
			_, err = fmt.Fprintf(x.out, "%20d  %20d\n", e.key, e.value)
		}
		if err != nil {
			return err
		}
	}
	for _, f := range found {
		if err := x.found(f); err != nil {
			return err
		}
	}
	return nil
}

// inspectedGroup is a group of the journal.
type inspectedGroup struct {
	Position int64            `json:"position"`
	Bytes    int64            `json:"bytes"`
	Number   uint64           `json:"group"`
	Durable  uint64           `json:"durable"` // the last group that was acknowledged before
	Entries  []inspectedEntry `json:"entries"`
}

type inspectedEntry struct {
	Log      string `json:"log"`
	Barrier  bool   `json:"barrier,omitempty"`
	First    int64  `json:"first_offset"`
	Next     int64  `json:"next_offset"`
	Position int64  `json:"position"`
	Bytes    int64  `json:"bytes"`
}

// journal prints the whole groups of a file of the journal.
func (x *inspection) journal(path string) error {
	groups, err := engine.ReadJournalFile(vfs.OS{}, path)
	var bad *engine.CorruptError
	if errors.As(err, &bad) {
		return x.found(finding{Path: path, Position: bad.Pos, Why: bad.Why})
	}
	if err != nil {
		return err
	}
	const line = "%10v  %9v  %8v  %8v  %21v  %s\n"
	if !x.json {
		fmt.Fprintf(x.out, line, "POSITION", "BYTES", "GROUP", "DURABLE", "OFFSETS", "LOG")
	}
	for _, g := range groups {
		out := inspectedGroup{Position: g.Pos, Bytes: g.Bytes, Number: g.Number, Durable: g.Durable}
		for _, e := range g.Entries {
			out.Entries = append(out.Entries, inspectedEntry{e.Log, e.Barrier, e.First, e.Next, e.Pos, e.Bytes})
			offsets := fmt.Sprintf("%d-%d", e.First, e.Next-1)
			if e.Barrier {
				offsets = "barrier"
			}
			if !x.json {
				fmt.Fprintf(x.out, line, e.Pos, e.Bytes, g.Number, g.Durable, offsets, e.Log)
			}
		}
		if x.json {
			if err := x.printJSON(out); err != nil {
				return err
			}
		}
	}
	return nil
}

// sidecar prints a decoded small file.
func (x *inspection) sidecar(path string, s sidecar) error {
	if x.json {
		return x.printJSON(struct {
			Path    string `json:"path"`
			Kind    string `json:"kind"`
			Content any    `json:"content"`
		}{path, s.kind, s.content})
	}
	fmt.Fprintf(x.out, "%s: %s\n", path, s.kind)
	line := func(v any) error {
		text, err := json.Marshal(v)
		if err == nil {
			_, err = fmt.Fprintf(x.out, "  %s\n", text)
		}
		return err
	}
	var err error
	switch list := s.content.(type) {
	case []producerEntry:
		for _, e := range list {
			err = line(e)
		}
	case []abortedTxn:
		for _, e := range list {
			err = line(e)
		}
	case [][]string:
		for _, e := range list {
			_, err = fmt.Fprintf(x.out, "  %s\n", strings.Join(e, " "))
		}
	default:
		_, err = fmt.Fprintf(x.out, "  %v\n", s.content)
	}
	return err
}
