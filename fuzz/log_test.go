package fuzz_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// now is the tests' time: the records of programs are about as old.
var now = time.UnixMilli(1_000_000)

// subject is one design's log under test.
type subject struct {
	design  engine.Design
	durable bool // outlives the process
	acked   bool // and a loss of power, once acknowledged
	config  engine.Config
	disk    *vfs.Mem
	store   *engine.Store
	log     *engine.Log
}

func subjects() (all []*subject) {
	for _, s := range segment.Designs {
		if !s.Keeps {
			continue // has nothing to compare with the model
		}
		for _, i := range index.Designs {
			for _, p := range engine.SyncPolicies {
				d := engine.Design{Segment: s.Name, Index: i.Name, Sync: p.Name, Retention: engine.Retentions[0].Name}
				c := engine.DefaultConfig()
				c.Design, c.SegmentBytes, c.IndexBytes, c.IndexIntervalBytes = d, 900, 1<<12, 150
				c.RetentionBytes, c.RetentionAge, c.FlushRecords = 2500, -1, 7
				all = append(all, &subject{design: d, durable: s.Durable, acked: s.Durable && p.AckDurable, config: c, disk: vfs.NewMem()})
			}
		}
	}
	return all
}

func (s *subject) open() error {
	var err error
	// With room for one idle segment files are closed and opened all the time.
	o := engine.StoreOptions{FS: s.disk, Dir: "/data", NodeID: 1, OpenSegments: 1, Now: func() time.Time { return now }}
	if s.store, err = engine.OpenStore(o); err != nil {
		return err
	}
	s.log, err = s.store.Open("t-0", engine.LogOptions{Config: s.config})
	return err
}

func (s *subject) create() error {
	o := engine.StoreOptions{FS: s.disk, Dir: "/data", NodeID: 1, Now: func() time.Time { return now }}
	var err error
	if s.store, err = engine.OpenStore(o); err != nil {
		return err
	}
	s.log, err = s.store.Create("t-0", engine.LogOptions{Config: s.config})
	return err
}

// program runs operations, read from bytes, on all designs and on the model.
type program struct {
	t     *testing.T
	code  []byte
	at    int
	model model
	alive []*subject
	// sequence counts what each producer has sent; a producer of which nothing
	// is left in the log is replaced by a new one.
	producer, texts int
	trace           []string
}

// next returns the next byte of the program below bound.
func (p *program) next(bound int) int {
	if p.at >= len(p.code) {
		return 0
	}
	p.at++
	return int(p.code[p.at-1]) % bound
}

// offset returns an offset around those that the log has.
func (p *program) offset() int64 {
	low := max(p.model.start-2, 0)
	return low + int64(p.next(256))*(p.model.end+3-low)/256
}

func (p *program) note(format string, args ...any) {
	p.trace = append(p.trace, fmt.Sprintf(format, args...))
}

func (p *program) failf(s *subject, format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s: %s\nprogram: %v", s.design, fmt.Sprintf(format, args...), p.trace)
}

// each runs one operation on every design.
func (p *program) each(what string, f func(*subject) error) {
	p.t.Helper()
	p.note("%s", what)
	for _, s := range p.alive {
		if err := f(s); err != nil {
			p.failf(s, "%s: %v", what, err)
		}
	}
}

// compare holds every log to the model.
func (p *program) compare() {
	p.t.Helper()
	for _, s := range p.alive {
		if m := s.log.Marks(); m.Start != p.model.start || m.End != p.model.end {
			p.failf(s, "marks are %+v, want [%d, %d)", m, p.model.start, p.model.end)
		}
	}
}

func (p *program) spec() batch.Spec {
	var records []batch.Record
	for i := range 1 + p.next(5) {
		records = append(records, batch.Record{Timestamp: int64(p.texts), Value: fmt.Appendf(nil, "%d/%d", p.texts, i)})
	}
	p.texts++
	s := batch.Of(records...)
	if p.next(3) > 0 {
		s.ProducerID, s.ProducerEpoch, s.BaseSequence = int64(p.producer), 0, 0
		if last := p.model.last(s.ProducerID); len(last) > 0 {
			s.BaseSequence = last[0].LastSequence() + 1
		} else {
			p.producer++
			s.ProducerID = int64(p.producer)
		}
	}
	return s
}

func (p *program) append() {
	raw := p.spec().Bytes()
	base := p.model.end
	p.each(fmt.Sprintf("append %d records of producer %d at %d", raw.Count(), raw.ProducerID(), base), func(s *subject) error {
		return send(s, raw, engine.Appended{Base: base, Next: base + int64(raw.Count()), Time: -1, Start: p.model.start})
	})
	stamped := batch.Batch(append([]byte{}, raw...))
	stamped.Stamp(base, 0)
	p.model.append(stamped)
}

func send(s *subject, raw batch.Batch, want engine.Appended) error {
	set, err := batch.Parse(append([]byte{}, raw...))
	if err != nil {
		return err
	}
	got, err := s.log.Append(set, 0)
	if err == nil {
		err = s.log.Wait(context.Background(), got.Next)
	}
	if err == nil && got != want {
		err = fmt.Errorf("answered %+v, want %+v", got, want)
	}
	return err
}

func (p *program) duplicate() {
	last := p.model.last(int64(p.producer))
	if len(last) == 0 {
		return
	}
	b := last[p.next(len(last))]
	p.each(fmt.Sprintf("append the batch at %d again", b.BaseOffset()), func(s *subject) error {
		return send(s, b, engine.Appended{Base: b.BaseOffset(), Next: b.NextOffset(), Time: -1, Start: p.model.start, Duplicate: true})
	})
}

func (p *program) read() {
	from, upTo, maxBytes := p.offset(), p.offset(), int64(p.next(200))*5
	p.each(fmt.Sprintf("read from %d up to %d, %d bytes", from, upTo, maxBytes), func(s *subject) error {
		e, err := s.log.Read(context.Background(), engine.Read{From: from, UpTo: upTo, MaxBytes: maxBytes, AtLeastOne: true})
		var outside *engine.RangeError
		if errors.As(err, &outside) && (from < p.model.start || from > p.model.end) {
			return nil
		}
		if err != nil {
			return err
		}
		got := make([]byte, e.Len())
		_, err = e.ReadAt(got, 0)
		e.Release()
		if len(got) == 0 {
			err = nil
		}
		return errors.Join(err, p.model.check(got, from, upTo))
	})
}

// restart opens every log again on what f leaves of its disk. A log that need not
// survive that is looked at once more, and leaves the program.
func (p *program) restart(what string, lostPower bool, f func(*subject) *vfs.Mem) {
	p.t.Helper()
	p.note("%s", what)
	var alive []*subject
	for _, s := range p.alive {
		disk := f(s)
		_ = s.store.Close()
		s.disk = disk
		err := s.open()
		must := s.durable && (s.acked || !lostPower)
		if !must && errors.Is(err, engine.ErrNotFound) {
			_ = s.store.Close()
			continue
		}
		if err != nil {
			p.failf(s, "%s: open: %v", what, err)
		}
		if err := s.log.Check(); err != nil {
			p.failf(s, "%s: check: %v", what, err)
		}
		if !must {
			_ = s.store.Close()
			continue
		}
		// The start is durable with a checkpoint; what was trimmed may be back.
		if m := s.log.Marks(); m.Start < p.model.start && m.End == p.model.end {
			if err := s.log.Trim(p.model.start); err != nil {
				p.failf(s, "%s: trim: %v", what, err)
			}
		}
		alive = append(alive, s)
	}
	p.alive = alive
}

func (p *program) step() {
	switch p.next(16) {
	case 0, 1, 2, 3, 4:
		p.append()
	case 5:
		p.duplicate()
	case 6, 7:
		p.read()
	case 8:
		to := p.offset()
		p.each(fmt.Sprintf("truncate to %d", to), func(s *subject) error { return s.log.Truncate(to) })
		p.model.truncate(to)
	case 9:
		to := p.offset()
		p.each(fmt.Sprintf("trim to %d", to), func(s *subject) error { return s.log.Trim(to) })
		p.model.trim(to)
	case 10:
		p.each("tick", func(s *subject) error { s.store.Tick(now); return nil })
		if len(p.alive) > 0 { // how much retention drops is the first one's to say
			p.model.trim(p.alive[0].log.Marks().Start)
		}
	case 11:
		p.each("checkpoint", func(s *subject) error { return s.store.Checkpoint() })
	case 12:
		keep, seed := p.next(101), uint64(p.next(256))
		p.restart(fmt.Sprintf("lose power, keep %d%% by seed %d", keep, seed), true, func(s *subject) *vfs.Mem {
			return s.disk.Crash(rand.New(rand.NewPCG(seed, 0)), keep)
		})
	case 13:
		p.restart("kill", false, func(s *subject) *vfs.Mem { return s.disk.Kill() })
	case 14:
		p.restart("close and open", false, func(s *subject) *vfs.Mem {
			if err := s.store.Close(); err != nil {
				p.failf(s, "close: %v", err)
			}
			return s.disk
		})
	case 15:
		to := p.offset()
		p.each(fmt.Sprintf("reset to %d", to), func(s *subject) error { return s.log.Reset(to) })
		p.model.reset(to)
	}
	p.compare()
}

// stepsMax bounds a program, so that no input takes long.
const stepsMax = 200

// FuzzLog runs programs of everything that a log does, with crashes, on all
// designs at once: all answer alike, and as the model says. The coverage of a
// program with goroutines differs from run to run, so give -fuzzminimizetime 10x.
func FuzzLog(f *testing.F) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 1))
		code := make([]byte, 300)
		for i := range code {
			code[i] = byte(rng.Uint32())
		}
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		p := &program{t: t, code: code, alive: subjects()}
		for _, s := range p.alive {
			if err := s.create(); err != nil {
				t.Fatal(err)
			}
		}
		all := p.alive
		for i := 0; i < stepsMax && p.at < len(p.code); i++ {
			p.step()
		}
		for _, s := range p.alive {
			if err := s.log.Check(); err != nil {
				p.failf(s, "check: %v", err)
			}
		}
		for _, s := range all {
			if err := s.store.Close(); err != nil && !errors.Is(err, engine.ErrClosed) {
				p.failf(s, "close: %v", err)
			}
		}
	})
}
