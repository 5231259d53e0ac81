package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/bobbin-log/bobbin/engine"
)

// producerEntry is one entry of a producer snapshot.
type producerEntry struct {
	ProducerID    int64 `json:"producer_id"`
	Epoch         int16 `json:"producer_epoch"`
	LastSequence  int32 `json:"last_sequence"`
	LastOffset    int64 `json:"last_offset"`
	OffsetDelta   int32 `json:"offset_delta"`
	Timestamp     int64 `json:"timestamp"`
	TxnFirst      int64 `json:"transaction_first_offset"`
	CoordinatorEp int32 `json:"coordinator_epoch"`
}

const (
	snapshotHeaderBytes = 10 // version i16, CRC-32C u32 of what follows, count i32
	snapshotEntryBytes  = 46
)

// readProducers decodes an N.snapshot, version 1.
func readProducers(path string) ([]producerEntry, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	bad := func(pos int64, format string, args ...any) ([]producerEntry, error) {
		return nil, &sidecarError{pos, fmt.Sprintf(format, args...)}
	}
	if len(raw) < snapshotHeaderBytes {
		return bad(0, "%d bytes are less than a header", len(raw))
	}
	if v := binary.BigEndian.Uint16(raw); v != 1 {
		return bad(0, "version %d is not known", v)
	}
	if want, got := binary.BigEndian.Uint32(raw[2:]), crc32.Checksum(raw[6:], crc32.MakeTable(crc32.Castagnoli)); want != got {
		return bad(2, "CRC is %08x, but the bytes give %08x", want, got)
	}
	count := int64(int32(binary.BigEndian.Uint32(raw[6:])))
	if count*snapshotEntryBytes != int64(len(raw)-snapshotHeaderBytes) {
		return bad(6, "%d entries are announced, and there are %d bytes for them", count, len(raw)-snapshotHeaderBytes)
	}
	entries := make([]producerEntry, 0, count)
	for e := raw[snapshotHeaderBytes:]; len(e) > 0; e = e[snapshotEntryBytes:] {
		entries = append(entries, producerEntry{
			ProducerID:    int64(binary.BigEndian.Uint64(e)),
			Epoch:         int16(binary.BigEndian.Uint16(e[8:])),
			LastSequence:  int32(binary.BigEndian.Uint32(e[10:])),
			LastOffset:    int64(binary.BigEndian.Uint64(e[14:])),
			OffsetDelta:   int32(binary.BigEndian.Uint32(e[22:])),
			Timestamp:     int64(binary.BigEndian.Uint64(e[26:])),
			CoordinatorEp: int32(binary.BigEndian.Uint32(e[34:])),
			TxnFirst:      int64(binary.BigEndian.Uint64(e[38:])),
		})
	}
	return entries, nil
}

// abortedTxn is one entry of a .txnindex.
type abortedTxn struct {
	ProducerID int64 `json:"producer_id"`
	First      int64 `json:"first_offset"`
	Last       int64 `json:"last_offset"`
	LastStable int64 `json:"last_stable_offset"`
}

func readAborted(path string) ([]abortedTxn, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []abortedTxn
	for at := 0; at < len(raw); at += txnEntryBytes {
		if len(raw)-at < txnEntryBytes {
			return list, &sidecarError{int64(at), fmt.Sprintf("%d bytes are left over: an entry has %d", len(raw)-at, txnEntryBytes)}
		}
		e := raw[at:]
		if v := binary.BigEndian.Uint16(e); v != 0 {
			return list, &sidecarError{int64(at), fmt.Sprintf("version %d is not known", v)}
		}
		list = append(list, abortedTxn{
			ProducerID: int64(binary.BigEndian.Uint64(e[2:])), First: int64(binary.BigEndian.Uint64(e[10:])),
			Last: int64(binary.BigEndian.Uint64(e[18:])), LastStable: int64(binary.BigEndian.Uint64(e[26:])),
		})
	}
	return list, nil
}

// readCheckpoint decodes a text checkpoint: version, count, and lines of so
// many fields, all but a topic's name numbers.
func readCheckpoint(path string, fields int) ([][]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list [][]string
	count, pos := -1, int64(0)
	for i, line := range strings.SplitAfter(string(raw), "\n") {
		f := strings.Fields(line)
		bad := func(format string, args ...any) ([][]string, error) {
			return list, &sidecarError{pos, fmt.Sprintf("line %d: ", i+1) + fmt.Sprintf(format, args...)}
		}
		switch {
		case len(f) == 0:
		case i == 0:
			if f[0] != "0" {
				return bad("version %q is not known", f[0])
			}
		case i == 1:
			if count, err = strconv.Atoi(f[0]); err != nil || count < 0 {
				return bad("%q is no number of entries", f[0])
			}
		default:
			if len(f) != fields {
				return bad("%d fields, %d are expected", len(f), fields)
			}
			for _, n := range f[max(0, fields-2):] {
				if _, err := strconv.ParseInt(n, 10, 64); err != nil {
					return bad("%q is no number", n)
				}
			}
			list = append(list, f)
		}
		pos += int64(len(line))
	}
	if count != len(list) {
		return list, &sidecarError{0, fmt.Sprintf("%d entries are announced and %d are there", count, len(list))}
	}
	return list, nil
}

// readTopicID decodes a partition.metadata.
func readTopicID(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		if k, v, ok := strings.Cut(line, ":"); ok {
			values[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	if values["version"] != "0" {
		return "", &sidecarError{0, fmt.Sprintf("version %q is not known", values["version"])}
	}
	if id, err := base64.RawURLEncoding.DecodeString(values["topic_id"]); err != nil || len(id) != 16 {
		return "", &sidecarError{0, fmt.Sprintf("%q is no topic id", values["topic_id"])}
	}
	return values["topic_id"], nil
}

func readQuarantine(path string) ([]engine.Damage, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	ds, err := engine.ReadQuarantine(path, raw)
	var bad *engine.CorruptError
	if errors.As(err, &bad) {
		return nil, &sidecarError{bad.Pos, bad.Why}
	}
	return ds, err
}

// sidecarError is damage in a small file.
type sidecarError struct {
	pos int64
	why string
}

func (e *sidecarError) Error() string { return e.why }

// sidecar is a decoded small file: what it is, and what is in it.
type sidecar struct {
	kind    string
	content any
}

// readSidecar decodes the file by its name; ok is false for files that are not
// of a log.
func readSidecar(path string) (s sidecar, ok bool, err error) {
	name := filepath.Base(path)
	if _, is := fileOffset(name, ".snapshot"); is {
		s.kind = "producer snapshot"
		s.content, err = readProducers(path)
		return s, true, err
	}
	if _, is := fileOffset(name, ".txnindex"); is {
		s.kind = "aborted transactions"
		s.content, err = readAborted(path)
		return s, true, err
	}
	switch name {
	case "leader-epoch-checkpoint":
		s.kind = "leader epochs"
		s.content, err = readCheckpoint(path, 2)
	case namePoints, nameStarts, nameCleaned, nameMarks:
		s.kind = "offsets of logs"
		s.content, err = readCheckpoint(path, 3)
	case "bobbin-quarantine":
		s.kind = "quarantined damage"
		s.content, err = readQuarantine(path)
	case "partition.metadata":
		s.kind = "topic id"
		s.content, err = readTopicID(path)
	default:
		return s, false, nil
	}
	return s, true, err
}
