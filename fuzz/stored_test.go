package fuzz_test

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// stored is a batch that was appended, and what compaction has left of it.
type stored struct {
	batch.Batch                // stamped, as it was appended
	records     []batch.Record // that must be there
	going       []batch.Record // that may be there: a compaction takes them, and has not come to its end
	horizon     time.Time      // from which its tombstones go; zero: no compaction has met one
	rewritten   bool           // the bytes may be other ones, with the same meaning
	optional    bool           // nothing of it need be there, and never again will
}

func store(b batch.Batch) stored {
	s := stored{Batch: b}
	for r, err := range b.Records(1 << 20) {
		if err != nil {
			panic(err) // the program made it
		}
		r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
		s.records = append(s.records, r)
	}
	return s
}

// compact takes the records that are not the last ones of their keys, and the
// tombstones that readers had the time to see. anew says that every batch gets
// another codec.
func (s *stored) compact(last map[string]int64, now time.Time, anew bool) {
	expired := !s.horizon.IsZero() && !now.Before(s.horizon)
	goes := func(r batch.Record) bool {
		return last[string(r.Key)] != r.Offset || r.Value == nil && expired
	}
	for _, r := range s.records {
		if goes(r) {
			s.going = append(s.going, r)
		}
	}
	s.records = slices.DeleteFunc(slices.Clone(s.records), goes)
	if s.horizon.IsZero() && slices.ContainsFunc(s.records, func(r batch.Record) bool { return r.Value == nil }) {
		s.horizon = now.Add(tombstonesStay)
	}
	s.rewritten = s.rewritten || anew || len(s.going) > 0 || !s.horizon.IsZero()
}

// check compares a batch of the log with what is stored. Of a batch that start
// lies in, nobody asks for the records before.
func (s *stored) check(got batch.Batch, start int64) error {
	if !s.rewritten {
		if !bytes.Equal(got, s.Batch) {
			return fmt.Errorf("the batch at %d differs", s.BaseOffset())
		}
		return nil
	}
	if err := got.Check(); err != nil {
		return fmt.Errorf("the batch at %d: %w", s.BaseOffset(), err)
	}
	if identity(got) != identity(s.Batch) {
		return fmt.Errorf("the batch is %+v, want %+v", identity(got), identity(s.Batch))
	}
	must := slices.DeleteFunc(slices.Clone(s.records), func(r batch.Record) bool { return r.Offset < start })
	for r, err := range got.Records(1 << 20) {
		is := func(o batch.Record) bool { return sameRecord(r, o) }
		switch {
		case err != nil:
			return fmt.Errorf("the batch at %d: %w", s.BaseOffset(), err)
		case r.Offset < start:
		case len(must) > 0 && is(must[0]):
			must = must[1:]
		case !slices.ContainsFunc(s.going, is):
			return fmt.Errorf("record %d of key %q should not be there, or not so", r.Offset, r.Key)
		}
	}
	if len(must) > 0 {
		return fmt.Errorf("record %d of key %q is not there", must[0].Offset, must[0].Key)
	}
	return nil
}

// batchIdentity is what compaction leaves as it is, even of a batch of which no
// record stays.
type batchIdentity struct {
	base, last, producer  int64
	leaderEpoch, sequence int32
	producerEpoch         int16
}

func identity(b batch.Batch) batchIdentity {
	return batchIdentity{b.BaseOffset(), b.LastOffset(), b.ProducerID(), b.LeaderEpoch(), b.BaseSequence(), b.ProducerEpoch()}
}

func sameRecord(a, b batch.Record) bool {
	return a.Offset == b.Offset && a.Timestamp == b.Timestamp && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && (a.Value == nil) == (b.Value == nil)
}
