package main

import (
	"fmt"
	"slices"
)

// indexCheck holds a segment's indexes against its batches, in one pass over
// both. An index can always be built anew, so all that it finds are warnings.
type indexCheck struct {
	paths   [2]string // offsets, times
	offsets []indexEntry
	times   []indexEntry // sorted by the offset that they name, as they are written
}

func (v *verifier) openIndexes(s storedSegment) (*indexCheck, error) {
	c := &indexCheck{paths: [2]string{s.offsets, s.times}}
	for i, to := range []*[]indexEntry{&c.offsets, &c.times} {
		if c.paths[i] == "" {
			continue
		}
		entries, found, err := readIndex(c.paths[i], s.base, []int{offsetEntryBytes, timeEntryBytes}[i])
		if err != nil {
			return nil, err
		}
		if s.last && len(found) == 1 && isReserved(found[0]) {
			found = nil // the segment that is appended to has room reserved
		}
		v.report.add(found...)
		*to = entries
	}
	if !slices.IsSortedFunc(c.times, func(x, y indexEntry) int { return int(min(max(x.value-y.value, -1), 1)) }) {
		v.report.add(warning(c.paths[1], 0, "the offsets of its entries do not ascend"))
		c.times = nil
	}
	return c, nil
}

// batch checks the entries that speak of b.
func (c *indexCheck) batch(b storedBatch, r *verifyReport) {
	for len(c.offsets) > 0 && c.offsets[0].value <= b.pos {
		e := c.offsets[0]
		c.offsets = c.offsets[1:]
		switch {
		case e.value < b.pos:
			r.add(warning(c.paths[0], e.at, fmt.Sprintf("it points at byte %d, where no batch begins", e.value)))
		case e.key != b.LastOffset():
			r.add(warning(c.paths[0], e.at, fmt.Sprintf("it says that the batch at byte %d ends with offset %d, and it ends with %d", e.value, e.key, b.LastOffset())))
		}
	}
	for len(c.times) > 0 && c.times[0].value <= b.LastOffset() {
		e := c.times[0]
		c.times = c.times[1:]
		if e.value < b.BaseOffset() {
			r.add(warning(c.paths[1], e.at, fmt.Sprintf("it names offset %d, which is in no batch", e.value)))
		} else if e.key != b.MaxTimestamp() {
			r.add(warning(c.paths[1], e.at, fmt.Sprintf("it says that the newest time of the batch with offset %d is %d, and it is %d", e.value, e.key, b.MaxTimestamp())))
		}
	}
}

// skip leaves out the entries that speak of damaged bytes.
func (c *indexCheck) skip(d *damage) {
	for len(c.offsets) > 0 && c.offsets[0].value < d.end {
		c.offsets = c.offsets[1:]
	}
	// What the damaged batches' offsets were is not known.
	c.times = nil
}

// finish reports the entries that are left after the last batch.
func (c *indexCheck) finish(r *verifyReport) {
	if len(c.offsets) > 0 {
		r.add(warning(c.paths[0], c.offsets[0].at, fmt.Sprintf("it points at byte %d, behind the last batch", c.offsets[0].value)))
	}
	if len(c.times) > 0 {
		r.add(warning(c.paths[1], c.times[0].at, fmt.Sprintf("it names offset %d, behind the last batch", c.times[0].value)))
	}
}
