package fuzz_test

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// model is what a log is supposed to be, as simple as it can be said.
//
// Invariant: batches are contiguous, the last one ends at end, and start lies
// within the first or at end. Compaction takes records out of batches, and no batch
// off the list: it makes some optional, but never the last.
type model struct {
	start, end int64
	batches    []stored
}

func (m *model) append(b batch.Batch) {
	m.batches = append(m.batches, store(b))
	m.end = b.NextOffset()
}

// holding is the index of the batch that holds offset.
func (m *model) holding(offset int64) int {
	return sort.Search(len(m.batches), func(i int) bool { return m.batches[i].LastOffset() >= offset })
}

// truncate cuts the log to where the last batch ends that is there in front of to,
// and returns where a log may end that has some of the optional ones behind that.
func (m *model) truncate(to int64) (atMost int64) {
	switch {
	case to >= m.end:
		return m.end
	case to <= m.start:
		m.reset(to)
		return to
	}
	i := m.holding(to)
	if atMost = to; !m.batches[i].optional {
		atMost = max(m.batches[i].BaseOffset(), m.start)
	}
	for i > 0 && m.batches[i-1].optional {
		i--
	}
	if base := m.batches[i].BaseOffset(); base >= m.start {
		m.batches, m.end = m.batches[:i], base
	} else {
		m.reset(m.start)
	}
	return atMost
}

func (m *model) reset(to int64) { *m = model{start: to, end: to} }

func (m *model) trim(to int64) {
	if to = min(to, m.end); to <= m.start {
		return
	}
	m.start = to
	m.batches = m.batches[m.holding(to):]
}

// compact begins a compaction of what lies below upTo: of each key the last record
// stays. Until settle ends it, both the old and the new are right.
func (m *model) compact(upTo int64, now time.Time, anew bool) {
	last, newest := map[string]int64{}, map[int64]int64{}
	for _, s := range m.batches {
		newest[s.ProducerID()] = s.BaseOffset()
		for _, r := range s.records {
			if r.Offset < upTo {
				last[string(r.Key)] = r.Offset
			}
		}
	}
	for i := range m.batches[:m.holding(upTo)] {
		s := &m.batches[i]
		s.compact(last, now, anew)
		// Without its last batch a producer's next one would look like a gap.
		needed := s.ProducerID() >= 0 && newest[s.ProducerID()] == s.BaseOffset()
		visible := slices.ContainsFunc(s.records, func(r batch.Record) bool { return r.Offset >= m.start })
		s.optional = s.optional || !needed && !visible
	}
}

// settle ends a compaction.
func (m *model) settle() {
	for i := range m.batches {
		m.batches[i].going = nil
	}
}

// last returns the batches of a producer that the log is sure to remember, newest
// first, and at most five: none from before one that may have been forgotten.
func (m *model) last(producer int64) (found []batch.Batch) {
	for i := len(m.batches) - 1; i >= 0 && len(found) < 5; i-- {
		if m.batches[i].ProducerID() != producer {
			continue
		}
		if m.batches[i].optional {
			break
		}
		found = append(found, m.batches[i].Batch)
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
	i, whole := m.holding(from), 0
	for ; len(got) > 0; whole++ {
		b, rest, err := batch.Next(got)
		for err == nil && i < len(m.batches) && m.batches[i].optional && m.batches[i].BaseOffset() != b.BaseOffset() {
			i++ // it is not there
		}
		if i == len(m.batches) || m.batches[i].BaseOffset() >= upTo {
			return fmt.Errorf("%d bytes too many", len(got))
		}
		if err != nil {
			return m.checkCut(got, i, whole)
		}
		if err := m.batches[i].check(b, m.start); err != nil {
			return err
		}
		i, got = i+1, rest
	}
	for ; whole == 0 && i < len(m.batches) && m.batches[i].BaseOffset() < upTo; i++ {
		if !m.batches[i].optional {
			return fmt.Errorf("nothing, but there is a batch at %d", m.batches[i].BaseOffset())
		}
	}
	return nil
}

// checkCut judges the piece of a batch that ends a read, behind some that are
// whole: it is of the batch with number i, or of one after it if that is optional.
func (m *model) checkCut(got []byte, i, whole int) error {
	s := m.batches[i]
	if whole == 0 {
		return fmt.Errorf("%d bytes of the first batch, which has %d", len(got), len(s.Batch))
	}
	if !s.rewritten && !s.optional && !bytes.HasPrefix(s.Batch, got) {
		return fmt.Errorf("the beginning of the batch at %d differs", s.BaseOffset())
	}
	return nil
}

// checkAll reads the whole log and compares it.
func (m *model) checkAll(s *subject) error {
	marks := s.log.Marks()
	for from := max(marks.Start, m.start); from < marks.End; {
		got, err := s.read(engine.Read{From: from, UpTo: marks.End, MaxBytes: 2000, AtLeastOne: true})
		if err == nil {
			err = m.check(got, from, marks.End)
		}
		if err != nil {
			return fmt.Errorf("read from %d of %+v: %w", from, marks, err)
		}
		for b, rest, err := batch.Next(got); err == nil; b, rest, err = batch.Next(rest) {
			from = b.NextOffset()
		}
		if len(got) == 0 {
			break
		}
	}
	return nil
}

// epochEnd is where a leader epoch may end.
type epochEnd struct{ low, high int64 }

// epochs returns where each leader epoch ends of which there is a batch. Which of
// the epochs a hole belongs to is for each log to say.
func (m *model) epochs() map[int32]epochEnd {
	ends := map[int32]epochEnd{}
	latest := int32(-1)
	for _, s := range m.batches {
		if s.optional {
			continue
		}
		if e, known := ends[latest]; known && latest != s.LeaderEpoch() {
			ends[latest] = epochEnd{e.low, s.BaseOffset()}
		}
		latest = s.LeaderEpoch()
		ends[latest] = epochEnd{s.NextOffset(), m.end}
	}
	return ends
}

// find returns the first record that is not older than ms.
func (m *model) find(ms int64) (engine.Position, bool) {
	for _, s := range m.batches {
		for _, r := range s.records {
			if r.Timestamp >= ms && r.Offset >= m.start {
				return engine.Position{Offset: r.Offset, Timestamp: r.Timestamp, Epoch: s.LeaderEpoch()}, true
			}
		}
	}
	return engine.Position{}, false
}

// mayDrop says why retention must not have moved the start of a log to an offset:
// because of the bytes that are left, if it went by size, and because of what is
// gone, if it went by age.
func (m *model) mayDrop(to, left int64, c engine.Config, now time.Time) error {
	if to == m.start {
		return nil
	}
	young := false
	for _, s := range m.batches {
		for _, r := range s.records {
			young = young || r.Offset >= m.start && r.Offset < to && now.Sub(time.UnixMilli(r.Timestamp)) <= c.RetentionAge
		}
	}
	by := func(what string) bool {
		return strings.Contains(c.Design.Retention, what) || strings.Contains(c.Design.Retention, "delete")
	}
	if to < m.start || to > m.end || !(by("size") && left >= c.RetentionBytes) && !(by("time") && !young) {
		return fmt.Errorf("retention moved the start from %d to %d: %d bytes are left, young ones are gone: %v", m.start, to, left, young)
	}
	return nil
}
