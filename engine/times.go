package engine

import (
	"errors"
	"math"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// decompressMax bounds, in bytes, what one batch may expand to when the engine
// looks for a timestamp in it.
const decompressMax = 64 << 20

// OffsetForTime finds the first record, below Acked, with a timestamp of at
// least ms. ok is false if there is none. Errors: ErrClosed, *CorruptError, and
// those of the disk.
func (l *Log) OffsetForTime(ms int64) (p Position, ok bool, err error) {
	upTo := l.ackedOffset()
	parts, err := l.partsNewerThan(ms)
	if err != nil {
		return Position{}, false, err
	}
	for _, part := range parts {
		p, ok, err := l.timeInPart(part, ms, upTo)
		if ok || err != nil {
			return p, ok, err
		}
	}
	return Position{}, false, nil
}

// partsNewerThan lists the parts that hold a timestamp of at least ms. Where an
// index denies it, the part itself is asked, once.
func (l *Log) partsNewerThan(ms int64) (found []*part, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return nil, ErrClosed
	}
	for _, p := range *l.view.Load() {
		if p.newest < ms && !p.surveyed {
			if err := l.surveyNewest(p); err != nil {
				return nil, err
			}
		}
		if p.newest >= ms {
			found = append(found, p)
		}
	}
	return found, nil
}

func (l *Log) timeInPart(p *part, ms, upTo int64) (Position, bool, error) {
	if err := p.acquire(); errors.Is(err, segment.ErrClosed) {
		return Position{}, false, l.open() // trimmed: the records are gone; or the log was closed
	} else if err != nil {
		return Position{}, false, err
	}
	defer p.release()
	s := newScanner(l, p)
	defer s.free()
	from, err := s.timed(p.times.Floor(ms))
	if err != nil {
		return Position{}, false, err
	}
	from = max(from, l.start.Load())
	for {
		pos, size, err := s.find(from, func(h batch.Batch) bool { return h.LastOffset() >= from && h.MaxTimestamp() >= ms })
		if err != nil || size == 0 || s.base >= upTo {
			return Position{}, false, err
		}
		b, err := s.whole(pos, size)
		if err != nil {
			if _, err := s.around(err); err != nil {
				return Position{}, false, err
			}
			continue
		}
		for r, err := range b.Records(decompressMax) {
			if err != nil {
				return Position{}, false, s.corrupt(pos, err.Error())
			}
			if r.Timestamp >= ms && r.Offset >= l.start.Load() {
				return Position{r.Offset, r.Timestamp, b.LeaderEpoch()}, true, nil
			}
		}
		from = b.NextOffset()
	}
}

// timed returns an offset below which every record is older than an entry of the
// time index says: the one that it names, or, as nothing guards an index, the
// part's base if the batch there does not bear it out.
func (s *scanner) timed(e index.Entry, ok bool) (int64, error) {
	if !ok || e.Value < s.p.base {
		return s.p.base, nil
	}
	borne := false
	_, _, err := s.find(e.Value, func(h batch.Batch) bool {
		borne = h.LastOffset() == e.Value && h.MaxTimestamp() == e.Key
		return h.LastOffset() >= e.Value
	})
	if !borne {
		return s.p.base, err
	}
	return e.Value, err
}

// NewestTime finds the first record that has the greatest timestamp of those from
// Start up to Acked. ok is false if none has a timestamp. Errors are those of
// OffsetForTime.
func (l *Log) NewestTime() (p Position, ok bool, err error) {
	start, upTo := l.start.Load(), l.ackedOffset()
	if _, err := l.partsNewerThan(math.MaxInt64); err != nil { // so that all are known
		return Position{}, false, err
	}
	newest := int64(-1)
	var cut []*part // at the log's start or at Acked, in front of its newest record
	l.mu.Lock()
	for _, p := range *l.view.Load() {
		if p.base >= start && p.newestOffset < upTo {
			newest = max(newest, p.newest)
		} else {
			cut = append(cut, p)
		}
	}
	l.mu.Unlock()
	for _, p := range cut {
		t, err := l.newestBetween(p, start, upTo)
		if err != nil {
			return Position{}, false, err
		}
		newest = max(newest, t)
	}
	if newest < 0 {
		return Position{}, false, nil
	}
	return l.OffsetForTime(newest)
}

// newestBetween is the greatest timestamp of a part's records from start up to
// the batch at upTo, -1 if there is none.
func (l *Log) newestBetween(p *part, start, upTo int64) (newest int64, err error) {
	newest = -1
	if err := p.acquire(); errors.Is(err, segment.ErrClosed) {
		return newest, l.open() // trimmed: the records are gone; or the log was closed
	} else if err != nil {
		return newest, err
	}
	defer p.release()
	s := newScanner(l, p)
	defer s.free()
	// The batch that the start lies in may owe its time to a record before it.
	pos, size, err := s.find(start, func(h batch.Batch) bool { return h.LastOffset() >= start })
	if err != nil || size == 0 || s.base >= upTo {
		return newest, err
	}
	if s.base < start {
		b, err := s.whole(pos, size)
		if err != nil {
			if _, err := s.around(err); err != nil {
				return newest, err
			}
			return l.newestBetween(p, start, upTo)
		}
		for r, err := range b.Records(decompressMax) {
			if err != nil {
				return newest, s.corrupt(pos, err.Error())
			}
			if r.Offset >= start {
				newest = max(newest, r.Timestamp)
			}
		}
		start = b.NextOffset()
	}
	_, _, err = s.find(start, func(h batch.Batch) bool {
		if h.LastOffset() >= start && h.BaseOffset() < upTo {
			newest = max(newest, newestOf(h))
		}
		return h.BaseOffset() >= upTo
	})
	return newest, err
}
