package fuzz_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// The operations of a program of FuzzCompact, by the byte that begins each.
const (
	cleanAppend   = iota // records, and a key for each
	cleanCompact         // how many minutes later
	cleanTruncate        // to the last segment's beginning
	cleanTrim            // offset
	cleanCrash           // after how many operations of a compaction, what is kept, seed
	cleanReopen          //
	cleanOperations
)

const tombstonesStay = 10 * time.Minute

// cleaned is one design's compacted log and its own model. Where segments begin,
// and with them what may be compacted, is a log's own affair, so each log has one:
// the records that it should have, in order.
type cleaned struct {
	*subject
	all      []batch.Record
	upTo     int64               // compacted up to here
	horizons map[int64]time.Time // when a tombstone may go, by its offset
}

// expect compacts the model, up to where the log's last segment begins.
func (s *cleaned) expect() {
	segments := s.log.Segments()
	upTo := segments[len(segments)-1].Base
	if upTo <= max(s.upTo, s.log.Marks().Start) {
		return
	}
	last := map[string]int64{}
	for _, r := range s.all {
		if r.Offset < upTo {
			last[string(r.Key)] = r.Offset
		}
	}
	s.all = slices.DeleteFunc(s.all, func(r batch.Record) bool {
		gone, marked := s.horizons[r.Offset]
		return r.Offset < upTo && (last[string(r.Key)] != r.Offset || r.Value == nil && marked && !s.now().Before(gone))
	})
	for _, r := range s.all {
		if _, marked := s.horizons[r.Offset]; r.Value == nil && r.Offset < upTo && !marked {
			s.horizons[r.Offset] = s.now().Add(tombstonesStay)
		}
	}
	s.upTo = upTo
}

// records reads the whole log.
func (s *cleaned) records() (all []batch.Record, err error) {
	m := s.log.Marks()
	for from := m.Start; from < m.End; {
		got, err := s.read(engine.Read{From: from, UpTo: m.End, MaxBytes: 700, AtLeastOne: true})
		if err != nil || len(got) == 0 {
			return nil, fmt.Errorf("read from %d of %+v: %d bytes, %w, segments %+v", from, m, len(got), err, s.log.Segments())
		}
		for len(got) > 0 {
			b, rest, err := batch.Next(got)
			if errors.Is(err, batch.ErrTruncated) {
				break
			}
			if err = errors.Join(err, b.Check()); err != nil {
				return nil, err
			}
			for r, err := range b.Records(0) {
				if err != nil {
					return nil, err
				}
				if r.Offset >= m.Start {
					all = append(all, r)
				}
			}
			from, got = b.NextOffset(), rest
		}
	}
	return all, nil
}

// compare holds the log to its model.
func (s *cleaned) compare(end int64) error {
	got, err := s.records()
	if err == nil {
		err = s.log.Check()
	}
	if err != nil {
		return err
	}
	if m := s.log.Marks(); m.End != end {
		return fmt.Errorf("marks are %+v, want the end %d", m, end)
	}
	for i := range max(len(got), len(s.all)) {
		if i >= len(got) || i >= len(s.all) || !sameRecord(got[i], s.all[i]) {
			return fmt.Errorf("%d records, want %d, and number %d differs", len(got), len(s.all), i)
		}
	}
	return nil
}

func sameRecord(a, b batch.Record) bool {
	return a.Offset == b.Offset && a.Timestamp == b.Timestamp && string(a.Key) == string(b.Key) && string(a.Value) == string(b.Value) && (a.Value == nil) == (b.Value == nil)
}

// adopt takes over what a crash in a compaction has left: part of it may have been
// compacted. The next compaction does the rest, so nothing counts as done.
func (s *cleaned) adopt(before []batch.Record) error {
	got, err := s.records()
	if err != nil {
		return err
	}
	for _, want := range []struct {
		some, others []batch.Record
		what         string
	}{{s.all, got, "should be there"}, {got, before, "was never there"}} {
		for _, r := range want.some {
			if !slices.ContainsFunc(want.others, func(o batch.Record) bool { return sameRecord(o, r) }) {
				return fmt.Errorf("record %d of key %q %s", r.Offset, r.Key, want.what)
			}
		}
	}
	return nil
}

// cleanProgram runs operations on the cast, and on the models.
type cleanProgram struct {
	program
	logs []*cleaned
	end  int64
}

func (p *cleanProgram) begin() {
	p.clock.ms.Store(1_000_000)
	idle := p.next(2)
	for _, s := range cast(p.next, p.clock.now) {
		if s.durable && !s.acked {
			continue // what these lose in a crash is FuzzLog's
		}
		s.config.Compact, s.config.Delete, s.config.MinDirtyRatio, s.config.DeleteRetention = true, false, 0, tombstonesStay
		s.idle = idle
		p.cast, p.logs = append(p.cast, s), append(p.logs, &cleaned{subject: s, horizons: map[int64]time.Time{}})
	}
	p.every("create", func(s *cleaned) error {
		if err := s.openStore(s.disk); err != nil {
			return err
		}
		return s.create(0)
	})
}

func (p *cleanProgram) every(what string, f func(*cleaned) error) {
	p.t.Helper()
	p.note("%s", what)
	for _, s := range p.logs {
		if err := f(s); err != nil {
			p.failf(s.subject, "%s: %v", what, err)
		}
	}
}

func (p *cleanProgram) append() {
	p.clock.pass(time.Second)
	var all []batch.Record
	for i := range 1 + p.next(6) {
		key := p.next(48)
		r := batch.Record{Timestamp: p.clock.now().UnixMilli() + int64(i), Key: fmt.Appendf(nil, "%d", key/3)}
		if key%3 > 0 {
			r.Value = fmt.Appendf(nil, "%d/%d", p.texts, i)
		}
		all = append(all, r)
	}
	p.texts++
	raw := batch.Of(all...).Bytes()
	p.every(fmt.Sprintf("append %d records at %d", len(all), p.end), func(s *cleaned) error {
		for i, r := range all {
			r.Offset = p.end + int64(i)
			s.all = append(s.all, r)
		}
		return s.send(raw, 0, engine.Appended{Base: p.end, Next: p.end + int64(len(all)), Time: -1, Start: s.log.Marks().Start})
	})
	p.end += int64(len(all))
}

// crash stops a compaction after some operations, and starts again on what a loss
// of power has left.
func (p *cleanProgram) crash() {
	after, keep, seed := p.next(80), []int{0, 30, 70, 100}[p.next(4)], uint64(p.next(256))
	p.every(fmt.Sprintf("crash after %d operations of a compaction, keep %d%%", after, keep), func(s *cleaned) error {
		if !s.durable {
			return nil
		}
		before := slices.Clone(s.all)
		horizons, upTo := s.horizons, s.upTo
		disk := s.disk.Kill()
		_ = s.store.Close()
		if err := s.open(vfs.NewInject(disk, vfs.StopAfter(after).Before)); err == nil {
			s.store.Compact()
		}
		s.disk = disk.Crash(rand.New(rand.NewPCG(seed, 0)), keep)
		if s.store != nil {
			_ = s.store.Close()
		}
		if err := s.open(s.disk); err != nil {
			return fmt.Errorf("open: %w", err)
		}
		// The same compaction again, to its end: as if there had been no crash.
		s.horizons, s.upTo = horizons, upTo
		s.expect()
		if err := s.adopt(before); err != nil {
			return err
		}
		s.store.Compact()
		return nil
	})
}

func (p *cleanProgram) step() {
	switch p.next(cleanOperations + 6) {
	case cleanCompact:
		p.clock.pass(time.Duration(p.next(12)) * time.Minute)
		p.every("compact", func(s *cleaned) error {
			s.expect()
			s.store.Compact()
			return nil
		})
	case cleanTruncate:
		// As far as no log was compacted: what went because of a record that goes
		// now would be gone for good, as it would be in Kafka.
		to := int64(0)
		for _, s := range p.logs {
			segments := s.log.Segments()
			to = max(to, s.upTo, segments[len(segments)-1].Base)
		}
		p.end = to
		p.every(fmt.Sprintf("truncate to %d", to), func(s *cleaned) error {
			err := s.log.Truncate(to)
			if m := s.log.Marks(); m.End != to { // the batch that holds it goes whole
				return fmt.Errorf("marks are %+v, %w", m, err)
			}
			s.all = slices.DeleteFunc(s.all, func(r batch.Record) bool { return r.Offset >= to })
			maps.DeleteFunc(s.horizons, func(offset int64, _ time.Time) bool { return offset >= to })
			s.upTo = min(s.upTo, to)
			return err
		})
	case cleanTrim:
		to := p.end * int64(p.next(128)) / 256
		p.every(fmt.Sprintf("trim to %d", to), func(s *cleaned) error {
			s.all = slices.DeleteFunc(s.all, func(r batch.Record) bool { return r.Offset < to })
			return errors.Join(s.log.Trim(to), s.store.Checkpoint())
		})
	case cleanCrash:
		p.crash()
	case cleanReopen:
		p.every("close and open", func(s *cleaned) error {
			if !s.durable {
				return nil
			}
			return errors.Join(s.store.Close(), s.open(s.disk))
		})
	default:
		p.append()
	}
	p.every("compare", func(s *cleaned) error { return s.compare(p.end) })
}

// FuzzCompact runs programs of appends and compactions, with crashes in these, on
// many designs: what each log has is what a model of it has, record by record.
func FuzzCompact(f *testing.F) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 2))
		code := make([]byte, 500)
		for i := range code {
			code[i] = byte(rng.Uint32())
		}
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		p := &cleanProgram{program: program{t: t, code: code}}
		p.begin()
		for i := 0; i < stepsMax && p.at < len(p.code); i++ {
			p.step()
		}
		p.every("close", func(s *cleaned) error { return s.store.Close() })
	})
}
