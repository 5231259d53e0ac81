package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// inspection is what log inspect was asked for.
type inspection struct {
	out      *bufio.Writer
	json     bool
	records  bool
	from, to int64 // offsets, [from, to)
	damaged  bool
}

func (a *app) logInspectCommand() *cobra.Command {
	x := &inspection{}
	cmd := &cobra.Command{
		Use:   "inspect PATH...",
		Short: "Decode stored files",
		Long: `Decode the files of a data directory. For a directory its segments are listed,
and what only the journal has of a log; for a segment (.log) its batches, or with
--records its records; for a file of the journal (.journal) its groups; for other
files (.index, .timeindex, .txnindex, .snapshot, leader-epoch-checkpoint,
partition.metadata, the checkpoints) their entries. Positions are bytes from the
start of the file. With -o json every line is an object of its own.

Damage is shown where it is met; the exit code is then 3.`,
		Example: `  bobbin log inspect data
  bobbin log inspect data/orders-0/00000000000000000000.log
  bobbin log inspect data/orders-0/00000000000000000000.log --records --from 100 --to 110
  bobbin log inspect data/orders-0/*.index -o json`,
		Args: cobra.MinimumNArgs(1),
	}
	f := cmd.Flags()
	f.BoolVarP(&x.records, "records", "r", false, "show every record of a segment")
	f.Int64Var(&x.from, "from", 0, "leave out batches before this offset")
	f.Int64Var(&x.to, "to", math.MaxInt64, "leave out batches from this offset on")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if a.format == formatYAML {
			return usagef("stored data is printed as a table or as json, not as yaml")
		}
		x.out, x.json = bufio.NewWriterSize(a.stdout, 64<<10), a.format == formatJSON
		for _, path := range args {
			if err := x.path(path); err != nil {
				return errors.Join(err, x.out.Flush())
			}
		}
		if err := x.out.Flush(); err != nil {
			return err
		}
		if x.damaged {
			return errDamaged
		}
		return nil
	}
	return cmd
}

func (x *inspection) path(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return x.file(path)
	}
	logs, dir, err := logsAt(path)
	if err != nil {
		return err
	}
	d, err := readStoredDir(dir, false)
	if err != nil {
		return err
	}
	return x.segments(logs, d)
}

// inspectedSegment is one line about a directory.
type inspectedSegment struct {
	Path     string `json:"path"`
	First    int64  `json:"first_offset"`
	Next     int64  `json:"next_offset"`
	Batches  int64  `json:"batches"`
	Records  int64  `json:"records"`
	Bytes    int64  `json:"bytes"`
	OldestMs int64  `json:"oldest_timestamp"` // -1: none
	NewestMs int64  `json:"newest_timestamp"`
	Damaged  bool   `json:"damaged"`
	// Journal: it is no segment, but what the log has in a file of the journal alone.
	Journal   bool `json:"journal,omitempty"`
	firstSeen bool
}

// segmentLine lines the columns of segments up.
const segmentLine = "%-10s  %12v  %12v  %9v  %10v  %12v  %-24v  %s\n"

func (x *inspection) segments(logs []*storedLog, d *storedDir) error {
	if !x.json {
		fmt.Fprintf(x.out, segmentLine, "STATE", "FIRST", "NEXT", "BATCHES", "RECORDS", "BYTES", "NEWEST", "SEGMENT")
	}
	for _, l := range logs {
		end := int64(0)
		for _, s := range l.segments {
			sum, err := summarize(s)
			if err == nil {
				err = x.segmentOf(sum)
			}
			if err != nil {
				return err
			}
			end = sum.Next
		}
		_, err := d.lacking(l, end, func(r engine.JournalRun, s batch.Set) error {
			sum := &inspectedSegment{Path: r.Path, First: r.First, Next: r.First, Bytes: s.Size(), OldestMs: -1, NewestMs: -1, Journal: true}
			for b := range s.All() {
				sum.add(b)
			}
			return x.segmentOf(sum)
		})
		var bad *engine.CorruptError
		if errors.As(err, &bad) {
			err = x.found(finding{Path: bad.Path, Position: bad.Pos, Why: bad.Why})
		}
		if err != nil {
			return err
		}
	}
	for _, f := range d.found {
		if err := x.found(f); err != nil {
			return err
		}
	}
	return nil
}

func (x *inspection) segmentOf(sum *inspectedSegment) error {
	x.damaged = x.damaged || sum.Damaged
	if x.json {
		return x.printJSON(sum)
	}
	state := "whole"
	switch {
	case sum.Damaged:
		state = "damaged"
	case sum.Journal:
		state = "journal"
	}
	_, err := fmt.Fprintf(x.out, segmentLine, state, sum.First, sum.Next, sum.Batches, sum.Records, sum.Bytes, moment(sum.NewestMs), sum.Path)
	return err
}

// add counts a batch.
func (s *inspectedSegment) add(b batch.Batch) {
	if !s.firstSeen {
		s.firstSeen, s.First, s.OldestMs = true, b.BaseOffset(), b.BaseTimestamp()
	}
	s.Next = b.NextOffset()
	s.Batches++
	s.Records += int64(b.Count())
	s.NewestMs = max(s.NewestMs, b.MaxTimestamp())
}

func summarize(s storedSegment) (*inspectedSegment, error) {
	scan, err := openSegment(s.path, s.base)
	if err != nil {
		return nil, err
	}
	defer scan.close()
	sum := &inspectedSegment{Path: s.path, First: s.base, Next: s.base, Bytes: scan.size, OldestMs: -1, NewestMs: -1}
	for {
		b, err := scan.read()
		var broken *damage
		switch {
		case errors.Is(err, io.EOF):
			return sum, nil
		case errors.As(err, &broken):
			sum.Damaged = true
			continue
		case err != nil:
			return nil, err
		}
		sum.add(b.Batch)
	}
}

func (x *inspection) file(path string) error {
	name := filepath.Base(path)
	for suffix, show := range map[string]func(string, int64) error{
		".log": x.segment, ".index": x.offsetIndex, ".timeindex": x.timeIndex,
	} {
		if base, ok := fileOffset(name, suffix); ok {
			return show(path, base)
		}
	}
	if strings.HasSuffix(name, ".journal") {
		return x.journal(path)
	}
	s, ok, err := readSidecar(path)
	var bad *sidecarError
	switch {
	case !ok:
		return usagef("%s is no file that can be decoded", path)
	case errors.As(err, &bad):
		return x.found(finding{Path: path, Position: bad.pos, Why: bad.why})
	case err != nil:
		return err
	}
	return x.sidecar(path, s)
}

func (x *inspection) printJSON(v any) error {
	e := json.NewEncoder(x.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// found prints what is wrong among what was decoded.
func (x *inspection) found(f finding) error {
	x.damaged = x.damaged || !f.Warning
	if x.json {
		return x.printJSON(struct {
			Damage finding `json:"damage"`
		}{f})
	}
	_, err := fmt.Fprintln(x.out, f)
	return err
}

// segment prints batches or records.
func (x *inspection) segment(path string, base int64) error {
	scan, err := openSegment(path, base)
	if err != nil {
		return err
	}
	defer scan.close()
	if !x.json && !x.records {
		fmt.Fprintf(x.out, batchLine, "POSITION", "BYTES", "OFFSETS", "RECORDS", "EPOCH", "CODEC", "NEWEST", "CRC", "PRODUCER")
	}
	for {
		b, err := scan.read()
		var broken *damage
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &broken):
			err = x.found(logRule{clean: true}.judge(path, broken, 0))
		case err != nil:
			return err
		case b.LastOffset() < x.from || b.BaseOffset() >= x.to:
			continue
		default:
			err = x.batch(path, b)
		}
		if err != nil {
			return err
		}
	}
}

// batchLine lines the columns of batches up.
const batchLine = "%10v  %9v  %21v  %7v  %5v  %-6v  %-24v  %-8v  %s\n"

// inspectedBatch is a batch's header.
type inspectedBatch struct {
	Position      int64           `json:"position"`
	Bytes         int             `json:"bytes"`
	BaseOffset    int64           `json:"base_offset"`
	LastOffset    int64           `json:"last_offset"`
	Count         int32           `json:"count"`
	LeaderEpoch   int32           `json:"leader_epoch"`
	Codec         string          `json:"compression"`
	TimestampType string          `json:"timestamp_type"`
	BaseTimestamp int64           `json:"base_timestamp"`
	MaxTimestamp  int64           `json:"max_timestamp"`
	CRC           string          `json:"crc"`
	ProducerID    int64           `json:"producer_id"`
	ProducerEpoch int16           `json:"producer_epoch"`
	BaseSequence  int32           `json:"base_sequence"`
	LastSequence  int32           `json:"last_sequence"`
	Transactional bool            `json:"transactional"`
	Control       bool            `json:"control"`
	Records       []*storedRecord `json:"records,omitempty"`
}

func (x *inspection) batch(path string, b storedBatch) error {
	var records []*storedRecord
	if x.records {
		for r, err := range b.Records(0) {
			if err != nil {
				return x.found(finding{Path: path, Position: b.pos, Why: err.Error()})
			}
			records = append(records, newStoredRecord(r))
		}
	}
	if x.json {
		return x.printJSON(inspectedBatch{
			Position: b.pos, Bytes: len(b.Batch), BaseOffset: b.BaseOffset(), LastOffset: b.LastOffset(), Count: b.Count(),
			LeaderEpoch: b.LeaderEpoch(), Codec: b.Codec().String(), TimestampType: b.TimestampType().String(),
			BaseTimestamp: b.BaseTimestamp(), MaxTimestamp: b.MaxTimestamp(), CRC: fmt.Sprintf("%08x", b.CRC()),
			ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), BaseSequence: b.BaseSequence(), LastSequence: b.LastSequence(),
			Transactional: b.IsTransactional(), Control: b.IsControl(), Records: records,
		})
	}
	if !x.records {
		fmt.Fprintf(x.out, batchLine, b.pos, len(b.Batch), fmt.Sprintf("%d-%d", b.BaseOffset(), b.LastOffset()), b.Count(), b.LeaderEpoch(),
			b.Codec(), moment(b.MaxTimestamp()), fmt.Sprintf("%08x", b.CRC()), producerText(b.Batch))
		return nil
	}
	fmt.Fprintf(x.out, "batch at byte %d: offsets %d-%d, %d bytes, %s, %s\n", b.pos, b.BaseOffset(), b.LastOffset(), len(b.Batch), b.Codec(), producerText(b.Batch))
	for _, r := range records {
		if _, err := fmt.Fprintln(x.out, r); err != nil {
			return err
		}
	}
	return nil
}

func producerText(b batch.Batch) string {
	text := "-"
	if b.ProducerID() != batch.NoProducerID {
		text = fmt.Sprintf("%d/%d %d-%d", b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.LastSequence())
	}
	if b.IsTransactional() {
		text += " transactional"
	}
	if b.IsControl() {
		text += " control"
	}
	return text
}

// moment writes milliseconds since 1970 for people.
func moment(ms int64) string {
	if ms < 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// quoted writes a key or value for people: at most so many bytes of it.
func quoted(b []byte, most int) string {
	if b == nil {
		return "null"
	}
	if len(b) > most {
		return fmt.Sprintf("%q… (%d bytes)", b[:most], len(b))
	}
	return strings.TrimSpace(fmt.Sprintf("%q", b))
}
