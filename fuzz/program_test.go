package fuzz_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// The operations of a program, by the byte that begins each.
const (
	opAppend     = iota // records, producer and codec, first key
	opDuplicate         // which of its last batches
	opRead              // from, up to, bytes
	opRoll              //
	opTruncate          // offset
	opTrim              // offset
	opReset             // offset
	opEpoch             // a new leader
	opFind              // a time
	opTick              // retention and checkpoint
	opCompact           // whether power is lost on the way, and then: after how many operations, what is kept, seed
	opCheckpoint        //
	opLosePower         // what is kept, seed, crashes during recovery, and each of those
	opKill              //
	opReopen            //
	operations          // how many there are; more bytes for the frequent ones follow
)

const (
	retentionAge   = 40 * time.Second
	tombstonesStay = 15 * time.Second
	keys           = 16 // that records have
)

// program runs operations, read from bytes, on the cast and on the model.
type program struct {
	t     *testing.T
	code  []byte
	at    int
	model model
	cast  []*subject
	clock fakeClock // a second for each append
	epoch int32
	// compacts and recodes say what a compaction does: anything, and give each
	// batch another codec.
	compacts, recodes bool
	// producer is the idempotent one; if the log may have forgotten it, it is
	// replaced by a new one.
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
	p.t.Fatalf("%s: %s\nprogram: %q", s.config.Design, fmt.Sprintf(format, args...), p.trace)
}

// fakeClock is the time of a program. Workers of the stores look at it while the
// program goes on.
type fakeClock struct{ ms atomic.Int64 }

func (c *fakeClock) now() time.Time { return time.UnixMilli(c.ms.Load()) }

func (c *fakeClock) pass(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// retentions are those that depend on nothing but the log.
func retentions() []engine.Retention {
	return slices.DeleteFunc(slices.Clone(engine.Retentions), func(r engine.Retention) bool { return r.Evict != nil })
}

// begin reads the header, and makes the logs.
func (p *program) begin() {
	p.clock.ms.Store(1_000_000)
	retention, how := retentions()[p.next(len(retentions()))], p.next(8)
	p.compacts, p.recodes = retention.Cleanup != "", how&4 != 0
	p.cast = cast(p.next, p.clock.now)
	for _, s := range p.cast {
		s.config.Design.Retention, s.config.RetentionAge = retention.Name, retentionAge
		s.config.MinDirtyRatio, s.config.DeleteRetention = 0, tombstonesStay
		s.config.Preallocate = how&1 != 0
		s.idle = how >> 1 & 1 // with room for one, files are closed and opened all the time
		if p.recodes {
			s.config.CompressionType = "lz4"
		}
	}
	p.each("create", func(s *subject) error {
		if err := s.openStore(s.disk); err != nil {
			return err
		}
		return s.create(0)
	})
}

// each runs one operation on every design.
func (p *program) each(what string, f func(*subject) error) {
	p.t.Helper()
	p.note("%s", what)
	for _, s := range p.cast {
		if err := f(s); err != nil {
			p.failf(s, "%s: %v", what, err)
		}
	}
}

// compare holds every log to the model.
func (p *program) compare() {
	p.t.Helper()
	for _, s := range p.cast {
		if m := s.log.Marks(); m.Start != p.model.start || m.End != p.model.end || m.Acked != m.End {
			p.failf(s, "marks are %+v, want [%d, %d), all of it acknowledged", m, p.model.start, p.model.end)
		}
		for epoch, want := range p.model.epochs() {
			if got, end := s.log.EpochEnd(epoch); got != epoch || end < want.low || end > want.high {
				p.failf(s, "epoch %d ends at (%d, %d), want %+v", epoch, got, end, want)
			}
		}
	}
}

// step runs one operation.
func (p *program) step() {
	switch op := p.next(operations + 6); op {
	case opDuplicate:
		p.duplicate()
	case opRead, operations:
		p.read()
	case opRoll:
		p.roll()
	case opTruncate:
		p.truncate()
	case opTrim:
		to := p.offset()
		p.each(fmt.Sprintf("trim to %d", to), func(s *subject) error { return s.log.Trim(to) })
		p.model.trim(to)
	case opReset:
		to := p.offset()
		p.each(fmt.Sprintf("reset to %d", to), func(s *subject) error { return s.log.Reset(to) })
		p.model.reset(to)
	case opEpoch:
		p.epoch++
		p.note("epoch %d", p.epoch)
	case opFind:
		p.find()
	case opTick:
		p.tick()
	case opCompact:
		p.compact()
	case opCheckpoint:
		p.each("checkpoint", func(s *subject) error { return s.store.Checkpoint() })
	case opLosePower:
		p.losePower()
	case opKill:
		p.restart("kill", false, func(s *subject) *vfs.Mem { return s.disk.Kill() })
	case opReopen:
		p.restart("close and open", false, func(s *subject) *vfs.Mem {
			if err := s.store.Close(); err != nil {
				p.failf(s, "close: %v", err)
			}
			return s.disk
		})
	default:
		p.append()
	}
	p.compare()
}

func (p *program) append() {
	var records []batch.Record
	n, how, key := 1+p.next(5), p.next(6), p.next(3*keys)
	for i := range n {
		r := batch.Record{Key: fmt.Append(nil, key%keys)}
		if key < 2*keys {
			r.Value = fmt.Appendf(nil, "%d/%d", p.texts, i)
		}
		records = append(records, r)
		key = (key + 7) % (3 * keys)
	}
	s := batch.Of(records...)
	if how%3 > 0 {
		s.ProducerID, s.ProducerEpoch, s.BaseSequence = int64(p.producer), 0, 0
		if last := p.model.last(s.ProducerID); len(last) > 0 {
			s.BaseSequence = last[0].LastSequence() + 1
		} else {
			p.producer++
			s.ProducerID = int64(p.producer)
		}
		if how > 3 {
			s.Codec = batch.Snappy
		}
	}
	p.add(s)
}

// roll appends a batch that has no room in a segment beside another one.
func (p *program) roll() {
	p.add(batch.Of(batch.Record{Key: []byte("large"), Value: bytes.Repeat([]byte("-"), segmentBytes-90)}))
}

// add appends a batch whose records have the time of now.
func (p *program) add(spec batch.Spec) {
	p.clock.pass(time.Second)
	p.texts++
	for i := range spec.Records {
		spec.Records[i].Timestamp = p.clock.now().UnixMilli() + int64(i)
	}
	raw, base := spec.Bytes(), p.model.end
	p.each(fmt.Sprintf("append %d records of producer %d at %d", raw.Count(), raw.ProducerID(), base), func(s *subject) error {
		return s.send(raw, p.epoch, engine.Appended{Base: base, Next: base + int64(raw.Count()), Time: -1, Start: p.model.start})
	})
	stamped := bytes.Clone(raw)
	batch.Batch(stamped).Stamp(base, p.epoch)
	p.model.append(stamped)
}

func (p *program) duplicate() {
	last := p.model.last(int64(p.producer))
	if len(last) == 0 {
		return
	}
	b := last[p.next(len(last))]
	p.each(fmt.Sprintf("append the batch at %d again", b.BaseOffset()), func(s *subject) error {
		return s.send(b, p.epoch, engine.Appended{Base: b.BaseOffset(), Next: b.NextOffset(), Time: -1, Start: p.model.start, Duplicate: true})
	})
}

func (p *program) read() {
	from, upTo, maxBytes := p.offset(), p.offset(), int64(p.next(200))*5
	p.each(fmt.Sprintf("read from %d up to %d, %d bytes", from, upTo, maxBytes), func(s *subject) error {
		got, err := s.read(engine.Read{From: from, UpTo: upTo, MaxBytes: maxBytes, AtLeastOne: true})
		var outside *engine.RangeError
		if errors.As(err, &outside) && (from < p.model.start || from > p.model.end) {
			return nil
		}
		return errors.Join(err, p.model.check(got, from, upTo))
	})
}

// find looks a record up by its time.
func (p *program) find() {
	ms := p.clock.now().UnixMilli() - int64(p.next(256)-8)*500
	want, there := p.model.find(ms)
	p.each(fmt.Sprintf("find time %d", ms), func(s *subject) error {
		got, ok, err := s.log.OffsetForTime(ms)
		if err == nil && (ok != there || ok && got != want) {
			err = fmt.Errorf("answered %+v, %v, want %+v, %v", got, ok, want, there)
		}
		return err
	})
}

// truncate cuts the logs. One that compaction has left an empty batch may end
// behind others: the program goes on with what all have.
func (p *program) truncate() {
	to := p.offset()
	atMost := p.model.truncate(to)
	p.each(fmt.Sprintf("truncate to %d", to), func(s *subject) error {
		if err := s.log.Truncate(to); err != nil {
			return err
		}
		if m := s.log.Marks(); m.End < p.model.end || m.End > atMost {
			return fmt.Errorf("marks are %+v, want the end in [%d, %d]", m, p.model.end, atMost)
		}
		return s.log.Truncate(p.model.end)
	})
}

// tick runs retention. Where segments begin is a log's own affair, all the more
// once a crash has cut it: how much is dropped may differ, within what retention
// allows. The program goes on with what all have.
func (p *program) tick() {
	start := p.model.start
	p.each("tick", func(s *subject) error {
		s.store.Tick(p.clock.now())
		to := s.log.Marks().Start
		start = max(start, to)
		return p.model.mayDrop(to, s.log.Bytes(), s.config, p.clock.now())
	})
	p.each(fmt.Sprintf("trim to %d", start), func(s *subject) error { return s.log.Trim(start) })
	p.model.trim(start)
}

// compact compacts the logs, and perhaps takes their power on the way. What may be
// compacted hangs on where the last segment begins, which is a log's own affair. So
// two batches go first that fill a segment each: in every log all but the second
// lies in sealed segments, and there is always something that was not compacted yet.
func (p *program) compact() {
	p.roll()
	p.roll()
	if p.compacts {
		p.model.compact(p.model.end-1, p.clock.now(), p.recodes)
	}
	if p.next(2) > 0 {
		after, loss := p.next(256), p.loss()
		p.restart(fmt.Sprintf("compact, lose power after %d operations, %+v", after, loss), true, func(s *subject) *vfs.Mem {
			disk := s.disk.Kill()
			s.stopAfter(after, disk, func() { s.store.Compact() })
			return disk.Crash(loss.rng(), loss.keep)
		})
	}
	// To the end: as if there had been no crash.
	p.each("compact", func(s *subject) error { s.store.Compact(); return nil })
	p.model.settle()
	p.each("compare all", func(s *subject) error { return p.model.checkAll(s) })
}

// loss is what a loss of power leaves of what is not durable.
type loss struct {
	keep int // percent
	seed uint64
}

func (p *program) loss() loss {
	return loss{[]int{0, 1, 10, 50, 90, 99, 100}[p.next(7)], uint64(p.next(256))}
}

func (l loss) rng() *rand.Rand { return rand.New(rand.NewPCG(l.seed, 0)) }

// losePower takes what is not durable, all or part of it, and perhaps crashes
// again, with or without a loss of power, while that is being recovered from.
func (p *program) losePower() {
	loss := p.loss()
	again := make([]struct{ after, keep int }, p.next(4))
	for i := range again {
		again[i].after, again[i].keep = p.next(40), 20*p.next(7)
	}
	p.restart(fmt.Sprintf("lose power, %+v, and again %v", loss, again), true, func(s *subject) *vfs.Mem {
		rng := loss.rng()
		disk := s.disk.Crash(rng, loss.keep)
		for _, a := range again {
			s.stopAfter(a.after, disk, func() {})
			if a.keep > 100 {
				disk = disk.Kill()
			} else {
				disk = disk.Crash(rng, a.keep)
			}
		}
		return disk
	})
}

// restart opens every log again on what f leaves of its disk. What need not have
// survived is judged, and made whole again by the first of the cast, which lost
// nothing.
func (p *program) restart(what string, lostPower bool, f func(*subject) *vfs.Mem) {
	p.t.Helper()
	p.each(what, func(s *subject) error {
		disk := f(s)
		s.close() // its disk is gone
		s.disk = disk
		err := s.open(disk)
		must := s.durable && (s.acked || !lostPower)
		if !must && errors.Is(err, engine.ErrNotFound) {
			err, s.log = nil, nil
		}
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		if s.log != nil {
			if err := s.log.Check(); err != nil {
				return fmt.Errorf("check: %w", err)
			}
		}
		if !must {
			err = s.catchUp(&p.model, p.cast[0])
		} else if m := s.log.Marks(); m.Start < p.model.start && m.End == p.model.end {
			// The start is durable with a checkpoint; what was trimmed may be back.
			err = s.log.Trim(p.model.start)
		}
		return errors.Join(err, p.model.checkAll(s))
	})
}
