package fuzz_test

import (
	"fmt"
	"sort"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// model is what a log is supposed to be, as simple as it can be said.
//
// Invariant: batches are contiguous, the last one ends at end, and start lies
// within the first or at end.
type model struct {
	start, end int64
	batches    []batch.Batch // stamped, as they lie in the log
}

func (m *model) append(b batch.Batch) {
	m.batches = append(m.batches, b)
	m.end = b.NextOffset()
}

// holding is the index of the batch that holds offset.
func (m *model) holding(offset int64) int {
	return sort.Search(len(m.batches), func(i int) bool { return m.batches[i].LastOffset() >= offset })
}

func (m *model) truncate(to int64) {
	switch {
	case to >= m.end:
		return
	case to <= m.start:
		m.reset(to)
		return
	}
	i := m.holding(to)
	if base := m.batches[i].BaseOffset(); base >= m.start {
		m.batches, m.end = m.batches[:i], base
		return
	}
	m.reset(m.start)
}

func (m *model) reset(to int64) { *m = model{start: to, end: to} }

func (m *model) trim(to int64) {
	if to = min(to, m.end); to <= m.start {
		return
	}
	m.start = to
	m.batches = m.batches[m.holding(to):]
}

// last returns the batches of a producer that are in the log, newest first, and
// at most five.
func (m *model) last(producer int64) (found []batch.Batch) {
	for i := len(m.batches) - 1; i >= 0 && len(found) < 5; i-- {
		if m.batches[i].ProducerID() == producer {
			found = append(found, m.batches[i])
		}
	}
	return found
}

// check compares bytes that were read from the log with what is there: whole
// batches from the one that holds from on, none at or past upTo, and the last one
// perhaps cut.
func (m *model) check(got []byte, from, upTo int64) error {
	if from >= min(upTo, m.end) {
		if len(got) > 0 {
			return fmt.Errorf("%d bytes where nothing is to be read", len(got))
		}
		return nil
	}
	if len(got) == 0 {
		return fmt.Errorf("nothing, but there is a batch")
	}
	for i := m.holding(from); len(got) > 0; i++ {
		if i == len(m.batches) || m.batches[i].BaseOffset() >= upTo {
			return fmt.Errorf("%d bytes too many", len(got))
		}
		want := []byte(m.batches[i])
		n := min(len(want), len(got))
		if string(want[:n]) != string(got[:n]) {
			return fmt.Errorf("the batch at %d differs", m.batches[i].BaseOffset())
		}
		if n < len(want) && i == m.holding(from) {
			return fmt.Errorf("%d bytes of the first batch, which has %d", n, len(want))
		}
		got = got[n:]
	}
	return nil
}
