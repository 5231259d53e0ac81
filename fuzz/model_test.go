package fuzz_test

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/bobbin-log/bobbin/engine"
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

// epochs returns where each leader epoch that has a batch ends.
func (m *model) epochs() map[int32]int64 {
	ends := map[int32]int64{}
	for _, b := range m.batches {
		ends[b.LeaderEpoch()] = b.NextOffset()
	}
	return ends
}

// find returns the first record that is not older than ms.
func (m *model) find(ms int64) (engine.Position, bool) {
	for _, b := range m.batches {
		for r, err := range b.Records(1 << 20) {
			if err == nil && r.Timestamp >= ms && r.Offset >= m.start {
				return engine.Position{Offset: r.Offset, Timestamp: r.Timestamp, Epoch: b.LeaderEpoch()}, true
			}
		}
	}
	return engine.Position{}, false
}

// mayDrop says why retention must not have moved the start to an offset: because
// of what is left, if it went by size, and of what is gone, if it went by age.
func (m *model) mayDrop(to int64, retention string, c engine.Config, now time.Time) error {
	if to == m.start {
		return nil
	}
	left, young := int64(0), false
	for _, b := range m.batches {
		switch {
		case b.BaseOffset() >= to:
			left += int64(len(b))
		case now.Sub(time.UnixMilli(b.MaxTimestamp())) <= c.RetentionAge:
			young = true
		}
	}
	bySize := strings.Contains(retention, "size") && left >= c.RetentionBytes
	byAge := strings.Contains(retention, "time") && !young
	if to < m.start || to > m.end || !bySize && !byAge {
		return fmt.Errorf("retention %s moved the start from %d to %d: %d bytes are left, young ones are gone: %v", retention, m.start, to, left, young)
	}
	return nil
}
