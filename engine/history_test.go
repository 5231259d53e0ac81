package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// history drives one log by way of an idempotent producer and remembers what it
// was promised, so that what a crash leaves can be judged. Every value is
// written once in the life of a history, so a value names its append.
type history struct {
	t      testing.TB
	name   string // of the log
	config engine.Config
	store  *engine.Store
	log    *engine.Log
	// openSegments is the store's bound, see openStoreBound.
	openSegments int

	// values holds, for each offset, all that was ever appended there.
	values map[int64]map[string]bool
	// sure holds what was acknowledged, and neither truncated nor trimmed.
	sure map[int64]string
	// Start must lie in [startLow, startHigh]: what a checkpoint that was
	// written said, and what was ever asked for.
	startLow, startHigh int64

	producer int64
	sequence int32
	epoch    int32
	texts    int
	exists   bool // something was acknowledged: the log cannot be gone
	closing  bool // Close was called: the next start may find a clean stop
}

const historyLog = "t-0"

// smallJournal makes files of four blocks, so that they are used again soon.
const smallJournal = 128 << 10

func newHistory(t testing.TB, c engine.Config) *history {
	return &history{t: t, name: historyLog, config: c, values: map[int64]map[string]bool{}, sure: map[int64]string{}, producer: 7}
}

// fork copies what is remembered, to judge one of many possible futures.
func (h *history) fork() *history {
	f := *h
	f.values, f.sure = map[int64]map[string]bool{}, map[int64]string{}
	for o, v := range h.values {
		f.values[o] = map[string]bool{}
		for s := range v {
			f.values[o][s] = true
		}
	}
	for o, v := range h.sure {
		f.sure[o] = v
	}
	return &f
}

// open opens the store and, if it is there, the log.
func (h *history) open(fs vfs.FS) error {
	var err error
	h.store, h.log = nil, nil
	if h.store, err = engine.OpenStore(engine.StoreOptions{FS: fs, Dir: "/data", NodeID: 1, ClusterID: "c", OpenSegments: h.openSegments, JournalBytes: smallJournal, JournalDepth: 2}); err != nil {
		return err
	}
	h.closing = false // the marker is gone
	return h.openLog()
}

// openLog opens the log, if it is there.
func (h *history) openLog() error {
	l, err := h.store.Open(h.name, engine.LogOptions{Config: h.config})
	if errors.Is(err, engine.ErrNotFound) && !h.exists {
		return nil
	}
	h.log = l
	return err
}

func (h *history) create() error {
	l, err := h.store.Create(h.name, engine.LogOptions{Config: h.config, TopicID: [16]byte{9}})
	h.log = l
	return err
}

// rest closes the log as one that nobody needs, and opens it again.
func (h *history) rest() error {
	before := h.log.Marks()
	if _, ok := h.log.CloseIdle(); !ok {
		return errors.New("the log does not rest") // the disk has stopped
	}
	l, err := h.store.Open(historyLog, engine.LogOptions{Config: h.config})
	if err != nil {
		return err
	}
	h.log = l
	before.Durable, before.Acked = before.End, before.End
	if after := l.Marks(); after != before {
		h.t.Errorf("the log had %+v before it rested, and has %+v", before, after)
	}
	return nil
}

// append adds batches of n records each, one at a time, and waits for each.
func (h *history) append(sizes ...int) error {
	for _, n := range sizes {
		spec := records(n, fmt.Sprintf("text %d", h.texts), int64(h.texts))
		h.texts++
		spec.ProducerID, spec.ProducerEpoch, spec.BaseSequence = h.producer, 0, h.sequence
		base := h.log.Marks().End
		for i, r := range spec.Records {
			o := base + int64(i)
			if h.values[o] == nil {
				h.values[o] = map[string]bool{}
			}
			h.values[o][string(r.Value)] = true
		}
		set, err := batch.Parse(spec.Bytes())
		if err != nil {
			return err
		}
		a, err := h.log.Append(set, h.epoch)
		if err == nil {
			err = h.log.Wait(context.Background(), a.Next)
		}
		if err != nil {
			return err
		}
		if a.Base != base || a.Duplicate {
			return fmt.Errorf("a new batch was answered with %+v, want base %d", a, base)
		}
		h.sequence += int32(n)
		h.exists = true
		for i, r := range spec.Records {
			h.sure[base+int64(i)] = string(r.Value)
		}
	}
	return nil
}

func (h *history) truncate(to int64) error {
	for o := range h.sure {
		// The batch that holds to goes whole.
		if o > to-5 {
			delete(h.sure, o)
		}
	}
	if err := h.log.Truncate(to); err != nil {
		return err
	}
	h.unsay(h.log.Marks().End)
	h.resume()
	return nil
}

func (h *history) reset(to int64) error {
	clear(h.sure)
	h.startLow, h.startHigh = min(h.startLow, to), max(h.startHigh, to)
	if err := h.log.Reset(to); err != nil {
		return err
	}
	clear(h.values)
	h.resume()
	return nil
}

// unsay is for records that were cut off durably: they must not come back.
func (h *history) unsay(from int64) {
	for o := range h.values {
		if o >= from {
			delete(h.values, o)
		}
	}
}

func (h *history) trim(to int64) error {
	h.startHigh = max(h.startHigh, to)
	if err := h.log.Trim(to); err != nil {
		return err
	}
	h.forget(to)
	return nil
}

func (h *history) forget(start int64) {
	for o := range h.sure {
		if o < start {
			delete(h.sure, o)
		}
	}
}

// tick runs retention, which may drop all but what was appended last, and
// writes the checkpoints.
func (h *history) tick() error {
	h.startHigh = max(h.startHigh, h.log.Marks().End)
	before := h.log.Marks().Start
	h.store.Tick(time0)
	h.forget(h.log.Marks().Start)
	if err := h.store.Checkpoint(); err != nil {
		return err
	}
	h.startLow = max(h.startLow, before)
	return nil
}

func (h *history) delete() error {
	clear(h.sure) // it may be gone from here on, and must be once Delete returns
	h.exists = false
	h.startLow = 0
	err := h.store.Delete(h.name)
	if err == nil {
		clear(h.values)
		h.log, h.startHigh = nil, 0
		h.epoch, h.producer, h.sequence = 0, h.producer+1, 0
	}
	return err
}

func (h *history) close() error {
	h.closing = true
	return h.store.Close()
}

// resume makes the producer go on where the log ends: with the sequence after
// that of the last batch. If there is none a new producer comes.
func (h *history) resume() {
	all := h.contents()
	if len(all) == 0 {
		h.producer, h.sequence = h.producer+1, 0
		return
	}
	last := all[len(all)-1]
	h.producer, h.sequence = last.ProducerID(), last.LastSequence()+1
}

// contents reads the batches that the log has from Start on.
func (h *history) contents() (all []batch.Batch) {
	h.t.Helper()
	m := h.log.Marks()
	for from := m.Start; from < m.End; {
		e, err := h.log.Read(context.Background(), engine.Read{From: from, UpTo: m.End, MaxBytes: 1, AtLeastOne: true})
		if err != nil {
			h.t.Fatalf("read from %d of %+v: %v", from, m, err)
		}
		buf := make([]byte, e.Len())
		_, err = e.ReadAt(buf, 0)
		e.Release()
		b := batch.Batch(buf)
		if err == nil && len(buf) == 0 {
			err = errors.New("nothing is there")
		}
		if err == nil {
			err = b.Check()
		}
		if err != nil {
			h.t.Fatalf("read from %d of %+v: %v", from, m, err)
		}
		if b.BaseOffset() > from {
			h.t.Fatalf("the log has a hole: offset %d is followed by %d", from-1, b.BaseOffset())
		}
		all = append(all, b)
		from = b.NextOffset()
	}
	return all
}

// judge holds the log that was opened after a crash to what was promised.
// Whatever is in it counts as promised from then on.
func (h *history) judge() {
	h.t.Helper()
	if h.store.Clean() && !h.closing {
		h.t.Error("a crash looks like a clean stop")
	}
	if h.log == nil {
		return
	}
	if err := h.log.Check(); err != nil {
		h.t.Fatalf("check: %v", err)
	}
	m := h.log.Marks()
	if m.Start < h.startLow || m.Start > h.startHigh {
		h.t.Errorf("the log starts at %d, want it in [%d, %d]", m.Start, h.startLow, h.startHigh)
	}
	all := h.contents()
	for _, b := range all {
		h.judgeBatch(b, m)
	}
	for o, v := range h.sure {
		if o >= m.Start {
			h.t.Fatalf("offset %d with %q was acknowledged and is lost: marks %+v", o, v, m)
		}
	}
	h.judgeEpochs(all)
	h.judgeDuplicates(all)
	for _, b := range all {
		for r := range b.Records(1 << 20) {
			h.sure[r.Offset] = string(r.Value)
		}
	}
	h.forget(m.Start)
	h.resume()
}

func (h *history) judgeBatch(b batch.Batch, m engine.Marks) {
	h.t.Helper()
	for r, err := range b.Records(1 << 20) {
		if err != nil {
			h.t.Fatal(err)
		}
		if !h.values[r.Offset][string(r.Value)] {
			h.t.Fatalf("offset %d has %q, which was never appended there", r.Offset, r.Value)
		}
		if want, ok := h.sure[r.Offset]; ok && want != string(r.Value) && r.Offset >= m.Start {
			h.t.Fatalf("offset %d has %q, acknowledged was %q", r.Offset, r.Value, want)
		}
		delete(h.sure, r.Offset)
	}
}

// judgeEpochs holds the epochs to what the batches say.
func (h *history) judgeEpochs(all []batch.Batch) {
	h.t.Helper()
	end := h.log.Marks().End
	for i := len(all) - 1; i >= 0; i-- {
		epoch := all[i].LeaderEpoch()
		if i == len(all)-1 || all[i+1].LeaderEpoch() != epoch {
			if got, at := h.log.EpochEnd(epoch); got != epoch || at != end {
				h.t.Errorf("epoch %d ends at (%d, %d), want %d", epoch, got, at, end)
			}
		}
		end = all[i].BaseOffset()
	}
	if n := len(all); n > 0 && h.log.Epoch() < all[n-1].LeaderEpoch() {
		h.t.Errorf("the log's epoch is %d, its last batch is of %d", h.log.Epoch(), all[n-1].LeaderEpoch())
	}
}

// judgeDuplicates sends the last five batches of the last producer again.
func (h *history) judgeDuplicates(all []batch.Batch) {
	h.t.Helper()
	end := h.log.Marks().End
	for i := len(all) - 1; i >= max(0, len(all)-5) && all[i].ProducerID() == all[len(all)-1].ProducerID(); i-- {
		if all[i].ProducerID() < 0 {
			break
		}
		again := batch.Batch(append([]byte{}, all[i]...))
		again.Stamp(0, -1)
		set, err := batch.Parse(again)
		if err != nil {
			h.t.Fatal(err)
		}
		a, err := h.log.Append(set, h.log.Epoch())
		if err != nil || !a.Duplicate || a.Base != all[i].BaseOffset() || a.Next != all[i].NextOffset() {
			h.t.Errorf("the batch at %d, sent again, got %+v, %v", all[i].BaseOffset(), a, err)
		}
	}
	if got := h.log.Marks().End; got != end {
		h.t.Fatalf("batches that were sent again have moved the end from %d to %d", end, got)
	}
}
