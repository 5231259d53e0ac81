package fuzz_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// subject is one design's log under test.
type subject struct {
	config  engine.Config
	durable bool             // outlives the process
	acked   bool             // and a loss of power, once acknowledged
	now     func() time.Time // the store's clock
	idle    int              // StoreOptions.OpenSegments
	disk    *vfs.Mem
	store   *engine.Store
	log     *engine.Log
}

func newSubject(d engine.Design, now func() time.Time) *subject {
	s := segment.Designs[slices.IndexFunc(segment.Designs, func(s segment.Design) bool { return s.Name == d.Segment })]
	p := engine.SyncPolicies[slices.IndexFunc(engine.SyncPolicies, func(p engine.SyncPolicy) bool { return p.Name == d.Sync })]
	c := engine.DefaultConfig()
	c.Design, c.SegmentBytes, c.IndexBytes, c.IndexIntervalBytes = d, segmentBytes, 1<<12, 150
	c.RetentionBytes, c.RetentionAge, c.FlushRecords = 2500, -1, 7
	return &subject{config: c, durable: s.Durable, acked: s.Durable && p.AckDurable, now: now, disk: vfs.NewMem()}
}

// crossings are how many combinations of designs a program runs beside the
// neighbours of the default one.
const crossings = 6

// cast is who takes part in a program: every design of every family once, in the
// place of the default's, and some combinations at the program's choice. All
// combinations at once would take a second for one program; chosen, a night of
// fuzzing has had them all.
func cast(choose func(below int) int, now func() time.Time) (all []*subject) {
	var segments []string // those that have something to compare with the model
	for _, s := range segment.Designs {
		if s.Keeps {
			segments = append(segments, s.Name)
		}
	}
	chosen := map[engine.Design]bool{}
	add := func(change func(*engine.Design)) {
		d := engine.DefaultDesign
		if change(&d); !chosen[d] {
			chosen[d] = true
			all = append(all, newSubject(d, now))
		}
	}
	add(func(*engine.Design) {})
	for _, s := range segments {
		add(func(d *engine.Design) { d.Segment = s })
	}
	for _, i := range index.Designs {
		add(func(d *engine.Design) { d.Index = i.Name })
	}
	for _, p := range engine.SyncPolicies {
		add(func(d *engine.Design) { d.Sync = p.Name })
	}
	for range crossings {
		add(func(d *engine.Design) {
			d.Segment = segments[choose(len(segments))]
			d.Index = index.Designs[choose(len(index.Designs))].Name
			d.Sync = engine.SyncPolicies[choose(len(engine.SyncPolicies))].Name
		})
	}
	return all
}

const (
	subjectLog   = "t-0"
	segmentBytes = 900
)

func (s *subject) openStore(disk vfs.FS) (err error) {
	s.store, s.log = nil, nil
	s.store, err = engine.OpenStore(engine.StoreOptions{FS: disk, Dir: "/data", NodeID: 1, OpenSegments: s.idle, Now: s.now, JournalBytes: 128 << 10, JournalDepth: 2})
	return err
}

// open opens the log on the disk, or on a wrapper of it.
func (s *subject) open(disk vfs.FS) error {
	err := s.openStore(disk)
	if err == nil {
		s.log, err = s.store.Open(subjectLog, engine.LogOptions{Config: s.config})
	}
	return err
}

// close ends the store's goroutines, whatever its disk says.
func (s *subject) close() {
	if s.store != nil {
		_ = s.store.Close()
	}
}

// stopAfter opens the log on the disk and does something, until the disk has done
// so many operations and does no more.
func (s *subject) stopAfter(operations int, disk *vfs.Mem, do func()) {
	s.close()
	if s.open(vfs.NewInject(disk, vfs.StopAfter(operations).Before)) == nil {
		do()
	}
}

func (s *subject) create(first int64) (err error) {
	s.log, err = s.store.Create(subjectLog, engine.LogOptions{Config: s.config, First: first})
	return err
}

// send appends a batch, and waits until it is acknowledged.
func (s *subject) send(raw batch.Batch, epoch int32, want engine.Appended) error {
	set, err := batch.Parse(append([]byte{}, raw...))
	if err != nil {
		return err
	}
	got, err := s.log.Append(set, epoch)
	if err == nil {
		err = s.log.Wait(context.Background(), got.Next)
	}
	if err == nil && got != want {
		err = fmt.Errorf("answered %+v, want %+v", got, want)
	}
	return err
}

// read returns the bytes of one read.
func (s *subject) read(r engine.Read) ([]byte, error) {
	e, err := s.log.Read(context.Background(), r)
	if err != nil {
		return nil, err
	}
	defer e.Release()
	got := make([]byte, e.Len())
	if len(got) == 0 {
		return nil, nil
	}
	_, err = e.ReadAt(got, 0)
	return got, err
}

// catchUp judges what a crash has left of a log that it may take records from:
// no other batches than the model's, without a hole. Then it gives the log what
// it lacks and the leader has, so that it goes on in the program.
func (s *subject) catchUp(m *model, leader *subject) error {
	first := m.end
	if len(m.batches) > 0 {
		first = m.batches[0].BaseOffset()
	}
	if s.log == nil {
		if err := s.create(first); err != nil {
			return err
		}
	}
	marks := s.log.Marks()
	if marks.End > m.end {
		return fmt.Errorf("marks are %+v, but the log never went past %d", marks, m.end)
	}
	if err := m.checkAll(s); err != nil {
		return err
	}
	whole := marks.End == m.end || marks.End >= first && m.batches[m.holding(marks.End)].BaseOffset() == marks.End
	if marks.Start < marks.End && marks.End >= first && !whole {
		return fmt.Errorf("marks are %+v: the end is within a batch", marks)
	}
	if marks.Start > m.start || !whole {
		if err := s.log.Reset(first); err != nil {
			return err
		}
	}
	for s.log.Marks().End < m.end {
		got, err := leader.read(engine.Read{From: max(s.log.Marks().End, m.start), UpTo: m.end, MaxBytes: 1, AtLeastOne: true})
		if err != nil {
			return err
		}
		set, err := batch.Parse(got)
		if err != nil {
			return err
		}
		a, err := s.log.Replicate(set)
		if err == nil {
			err = s.log.Wait(context.Background(), a.Next)
		}
		if err != nil {
			return err
		}
	}
	return s.log.Trim(m.start)
}
