package engine

import (
	"math"
	"slices"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// fates is what became of the transactions in a log. Compaction asks it, as it
// goes through the log from its start:
//
//   - Data of an aborted transaction goes.
//   - A marker stays as long as any batch before it belongs to the transaction
//     that it ends, and for delete.retention.ms after: whoever reads the data
//     must come to know how it was decided (KAFKA-14055).
//   - What is not decided yet is not compacted.
//
// The truth is the markers themselves. The .txnindex files beside the segments
// only say where aborted transactions are; their entries are carried over with
// the markers.
type fates struct {
	// known is set by learn. Most logs have no transactions, and need not be read
	// for them.
	known bool
	// aborted are the transactions that were, by producer, oldest first.
	aborted map[int64][]offsetRange
	// open are the first offsets of the transactions that have no marker yet.
	open map[int64]int64

	// What was met on the way through the log since the producer's last marker.

	keptData    map[int64]bool
	abortedData map[int64]bool
}

// offsetRange is a transaction: the offset of its first record and of its marker.
type offsetRange struct{ first, marker int64 }

func newFates() *fates {
	return &fates{aborted: map[int64][]offsetRange{}, open: map[int64]int64{}, keptData: map[int64]bool{}, abortedData: map[int64]bool{}}
}

// learn reads all headers and markers that the log has.
func (f *fates) learn(l *Log) error {
	f.known = true
	for _, p := range *l.view.Load() {
		if err := l.replayPart(p, p.base, f.see); err != nil {
			return err
		}
	}
	return nil
}

func (f *fates) see(s *scanner, h batch.Batch) error {
	if h.IsControl() {
		return f.decide(s, h)
	}
	if _, ok := f.open[h.ProducerID()]; h.IsTransactional() && !ok {
		f.open[h.ProducerID()] = h.BaseOffset()
	}
	return nil
}

// decide notes what the marker with the header h, which s is at, says.
func (f *fates) decide(s *scanner, h batch.Batch) error {
	if h.Count() == 0 {
		return nil // compaction has emptied it: nothing of its transaction is left
	}
	producer, offset := h.ProducerID(), h.BaseOffset()
	b, err := s.whole(s.at, h.Size())
	if err != nil {
		return err
	}
	t, _, err := b.Control()
	if err != nil {
		return s.corrupt(s.at, err.Error())
	}
	if t != batch.Abort && t != batch.Commit {
		return nil
	}
	if first, ok := f.open[producer]; ok && t == batch.Abort {
		f.aborted[producer] = append(f.aborted[producer], offsetRange{first, offset})
	}
	delete(f.open, producer)
	return nil
}

// undecided is the first offset of the oldest open transaction.
func (f *fates) undecided() int64 {
	first := int64(math.MaxInt64)
	for _, o := range f.open {
		first = min(first, o)
	}
	return first
}

// isAborted reports whether the data of a batch was taken back.
func (f *fates) isAborted(b batch.Batch) bool {
	if !b.IsTransactional() || b.IsControl() {
		return false
	}
	all := f.aborted[b.ProducerID()]
	i, _ := slices.BinarySearchFunc(all, b.BaseOffset(), func(r offsetRange, o int64) int {
		if r.marker < o {
			return -1
		}
		return 1
	})
	return i < len(all) && all[i].first <= b.BaseOffset()
}

// data passes a batch of data, and reports whether it was aborted.
func (f *fates) data(b batch.Batch) bool {
	if !b.IsTransactional() {
		return false
	}
	if f.isAborted(b) {
		f.abortedData[b.ProducerID()] = true
		return true
	}
	f.keptData[b.ProducerID()] = true
	return false
}

// marker passes a marker, and reports whether nothing is left that it decides,
// and whether it is one of an aborted transaction of which something is.
func (f *fates) marker(b batch.Batch) (idle, aborts bool, err error) {
	t, ok, err := b.Control()
	if err != nil || !ok {
		return true, false, err
	}
	id := b.ProducerID()
	switch t {
	case batch.Abort:
		aborts = f.abortedData[id]
		delete(f.abortedData, id)
		return !aborts || bugMarkersEarly.made(), aborts, nil
	case batch.Commit:
		idle = !f.keptData[id]
		delete(f.keptData, id)
		return idle || bugMarkersEarly.made(), false, nil
	}
	return false, false, nil
}
