package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// txnCheck holds a log's indexes of aborted transactions against its markers, in
// one pass over its batches: an entry that is missing would show consumers of
// committed data what was aborted, and one that is wrong would hide what was not.
//
// A transaction that was aborted needs an entry as long as the log has data of it.
// The entry says when it began, which may be before what the log has left of it:
// where compaction took records, or before the log's first segment.
type txnCheck struct {
	open  map[int64]int64 // by producer, the first offset of the transaction under way
	ended map[int64]int64 // by producer, the offset of its last marker
	start int64           // of the log's first segment
	// blind is set where batches were damaged, and markers among them perhaps: from
	// there on nothing is judged.
	blind bool

	// The segment.

	path    string
	rule    logRule
	next    int64                // the offset behind its last batch
	entries map[int64]abortedTxn // by marker; those that have not met it
}

// newTxnCheck begins a log with what its first producer snapshot knows to be open.
// nil is a log of which only a part is looked at: nothing of it can be judged.
func newTxnCheck(l *storedLog) *txnCheck {
	c := &txnCheck{open: map[int64]int64{}, ended: map[int64]int64{}}
	if l == nil || len(l.segments) == 0 {
		c.blind = true
		return c
	}
	c.start = l.segments[0].base
	known, _ := readProducers(filepath.Join(l.dir, fmt.Sprintf("%020d.snapshot", c.start)))
	for _, p := range known {
		if p.TxnFirst >= 0 {
			c.open[p.ProducerID] = p.TxnFirst
		}
	}
	return c
}

// begin goes on with a segment.
func (c *txnCheck) begin(s storedSegment, rule logRule) error {
	c.path, c.rule, c.next, c.entries = s.path[:len(s.path)-len(".log")]+".txnindex", rule, s.base, map[int64]abortedTxn{}
	if s.aborted == "" || c.blind {
		return nil
	}
	list, err := readAborted(s.aborted)
	var bad *sidecarError
	if errors.As(err, &bad) {
		c.entries = nil // which is found by itself
		return nil
	}
	for _, a := range list {
		c.entries[a.Last] = a
	}
	return err
}

// found makes a finding. What the markers past the recovery point say is put into
// the index by every start after a crash.
func (c *txnCheck) found(marker int64, format string, args ...any) []finding {
	if c.blind || c.entries == nil {
		return nil
	}
	f := finding{Path: c.path, Why: fmt.Sprintf(format, args...)}
	if c.rule.unfinished(marker) {
		f.Warning = true
		f.Why += " (the broker was not stopped cleanly: it mends that when it starts)"
	}
	return []finding{f}
}

// batch passes a whole batch.
func (c *txnCheck) batch(b batch.Batch) []finding {
	c.next = b.NextOffset()
	id := b.ProducerID()
	if b.Count() == 0 && id < 0 && !b.IsControl() {
		c.blind = true // a repair has put it in the place of others, perhaps
	}
	if !b.IsControl() {
		if _, ok := c.open[id]; b.IsTransactional() && !ok {
			c.open[id] = b.BaseOffset()
		}
		return nil
	}
	how, ok, err := b.Control()
	if err != nil || !ok || how != batch.Abort && how != batch.Commit {
		return nil
	}
	marker := b.BaseOffset()
	first, began := c.open[id]
	before, known := c.ended[id]
	entry, has := c.entries[marker]
	if how == batch.Abort && has && entry.ProducerID == id {
		delete(c.entries, marker)
	} else {
		has = false
	}
	delete(c.open, id)
	c.ended[id] = marker
	switch {
	case how == batch.Commit || !began:
		return nil
	case !has:
		return c.found(marker, "it has no entry for the transaction of producer %d that was aborted at offset %d: consumers of committed data get its records", id, marker)
	case entry.First == first || entry.First < first && (!known || entry.First > before) && (first <= c.rule.gaps || entry.First < c.start):
		return nil
	}
	return c.found(marker, "it says that the transaction of producer %d that was aborted at offset %d began at %d, and it began at %d", id, marker, entry.First, first)
}

// finish reports the entries of the segment that are about nothing in it.
func (c *txnCheck) finish() (all []finding) {
	for _, marker := range slices.Sorted(maps.Keys(c.entries)) {
		e := c.entries[marker]
		all = append(all, c.found(marker, "it says that a transaction of producer %d was aborted at offset %d, where the log has no marker of that", e.ProducerID, marker)...)
	}
	return all
}
