package engine

import (
	"errors"
	"fmt"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// Check reads the whole log and verifies it: every batch's framing and CRC, that
// offsets ascend without overlap, that every index entry points at the batch
// that it names, and that the marks agree with what is there. It returns all
// that it finds, each a *CorruptError where a place can be named. Appends wait
// while it runs. Of a design that keeps no bytes only the marks are checked.
func (l *Log) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return ErrClosed
	}
	var found []error
	parts := *l.view.Load()
	if len(parts) == 0 {
		return l.mu.failed // in the middle of a reset
	}
	next := parts[0].base
	for i, p := range parts {
		if p.base < next {
			found = append(found, &CorruptError{Path: fileName(l.dir, p.base, suffixSegment), Why: fmt.Sprintf("it begins before offset %d, where the segment before it ends", next)})
		}
		end, err := l.checkPart(p)
		found = append(found, err)
		next = max(end, p.base)
		if i < len(parts)-1 && !p.sealed {
			found = append(found, fmt.Errorf("%s: segment %d is not sealed, but not the last", l.name, p.base))
		}
	}
	m := l.Marks()
	if m.Start > m.Durable || m.Durable > m.End || m.Start > m.Acked || m.Acked > m.End || m.Start > m.Undecided || m.Undecided > m.End {
		found = append(found, fmt.Errorf("%s: marks %+v are out of order", l.name, m))
	}
	if next != m.End && l.mu.failed == nil {
		found = append(found, fmt.Errorf("%s: the last batch ends before offset %d, the log at %d", l.name, next, m.End))
	}
	return errors.Join(found...)
}

// checkPart verifies one segment and its indexes, and returns the offset after
// its last record.
func (l *Log) checkPart(p *part) (next int64, err error) {
	if !l.config.Load().design.segment.Keeps {
		return p.next, nil
	}
	if err := p.acquire(); err != nil {
		return p.next, err
	}
	defer p.release()
	s := newScanner(l, p)
	defer s.free()
	s.end = p.seg.Size()
	next = p.base
	newest := int64(-1)
	positions := map[int64]int64{} // last offset of a batch → position
	var buf []byte
	for pos, size := int64(0), int64(0); pos < s.end; pos += size {
		if d, ok := p.damaged().at(pos); ok {
			err = errors.Join(err, l.corruptError(d))
			to, _ := s.skip(pos)
			size, next = to-pos, s.due
			continue
		}
		h, e := s.next(pos)
		if e == nil {
			size = h.Size()
			buf, e = s.checked(buf, pos, size)
		}
		if e != nil {
			return next, errors.Join(err, e)
		}
		next = s.due
		b := batch.Batch(buf)
		positions[b.LastOffset()] = pos
		newest = max(newest, newestOf(b))
	}
	// What only the indexes say may be short of the truth, see surveyNewest.
	if newest != p.newest && p.newest >= 0 && (p.surveyed || newest < p.newest) && len(p.damaged()) == 0 {
		err = fmt.Errorf("%s: segment %d has records up to time %d, but is known for %d", l.name, p.base, newest, p.newest)
	}
	wrong := func(suffix string, e index.Entry, why string) {
		err = errors.Join(err, &CorruptError{Path: fileName(l.dir, p.base, suffix), Pos: -1, Why: fmt.Sprintf("entry %d→%d %s", e.Key, e.Value, why)})
	}
	p.offsets.All(func(e index.Entry) bool {
		if _, quarantined := p.damaged().at(e.Value); quarantined {
			return true
		}
		if pos, ok := positions[e.Key]; !ok || pos != e.Value {
			wrong(suffixOffsets, e, "points at no batch that ends with that offset")
		}
		return true
	})
	p.times.All(func(e index.Entry) bool {
		if _, quarantined := p.damaged().holding(e.Value); quarantined {
			return true
		}
		if _, ok := positions[e.Value]; !ok || e.Key > newest {
			wrong(suffixTimes, e, "names no batch, or a time that no record has")
		}
		return true
	})
	return next, err
}
