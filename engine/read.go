package engine

import (
	"context"
	"errors"
	"sort"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// Read pins the bytes from the batch that holds r.From up to r.UpTo or
// r.MaxBytes, within one segment, and copies none of them. The Extent is empty
// when there is nothing below r.UpTo; it may end within a batch, but not within
// the first one, see Read.AtLeastOne. It must be released.
//
// Errors: *RangeError when From lies outside [Start, End], *CorruptError,
// ErrClosed.
func (l *Log) Read(ctx context.Context, r Read) (segment.Extent, error) {
	for {
		generation := l.generation.Load()
		start, end := l.start.Load(), l.end.Load()
		if r.From < start || r.From > end {
			return segment.Extent{}, &RangeError{r.From, start, end}
		}
		upTo := min(r.UpTo, end)
		if r.From >= upTo {
			return segment.Extent{}, nil
		}
		e, err := l.readParts(ctx, r, upTo)
		if err == nil && l.generation.Load() == generation {
			l.store.cold.admit(ctx, e)
			return e, nil
		}
		// The log was cut or trimmed meanwhile: what was found may be other
		// bytes by now.
		if err == nil {
			e.Release()
		}
		// Or it is being cut: then this waits for the end of that, which counts, too.
		if closed := l.open(); closed != nil {
			return segment.Extent{}, closed
		}
		if err != nil && !errors.Is(err, segment.ErrClosed) && l.generation.Load() == generation {
			return segment.Extent{}, err
		}
	}
}

// open reports ErrClosed after Close.
func (l *Log) open() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return ErrClosed
	}
	return nil
}

// readParts looks from the part that should hold r.From. A log with holes may
// have nothing more in it: then the next one's first batch is meant.
func (l *Log) readParts(ctx context.Context, r Read, upTo int64) (segment.Extent, error) {
	parts := *l.view.Load()
	i := partOf(parts, r.From)
	if i < 0 {
		return segment.Extent{}, segment.ErrClosed // trimmed since
	}
	if d, ok := parts[i].damaged().holding(r.From); ok {
		return segment.Extent{}, l.corruptError(d)
	}
	for ; i < len(parts) && parts[i].base < upTo; i++ {
		e, found, err := l.readPart(ctx, parts[i], i == len(parts)-1 || parts[i+1].base > upTo, r, upTo)
		if found || err != nil {
			return e, err
		}
	}
	return segment.Extent{}, nil
}

// partOf is the index of the part that offset belongs to, -1 if it is before
// all of them.
func partOf(parts []*part, offset int64) int {
	return sort.Search(len(parts), func(i int) bool { return parts[i].base > offset }) - 1
}

// readPart reads from one part. found is false if it has no batch at r.From or
// past it.
func (l *Log) readPart(ctx context.Context, p *part, bounded bool, r Read, upTo int64) (e segment.Extent, found bool, err error) {
	if err := p.acquire(); err != nil {
		return segment.Extent{}, false, err
	}
	defer p.release()
	s := newScanner(l, p)
	defer s.free()
	pos, size, err := s.find(r.From, func(h batch.Batch) bool { return h.LastOffset() >= r.From })
	if err != nil {
		return segment.Extent{}, false, err
	}
	ds := p.damaged()
	if d, ok := ds.holding(r.From); ok { // it was met on the way
		return segment.Extent{}, false, l.corruptError(d)
	}
	if size == 0 || s.base >= upTo {
		return segment.Extent{}, size > 0, nil
	}
	n := r.MaxBytes
	if n < size {
		if !r.AtLeastOne {
			return segment.Extent{}, true, nil
		}
		n = size
	}
	end := p.seg.Size()
	if bounded && n > size && !p.below(upTo, pos+n) {
		// The first batch past upTo bounds what may be seen.
		stop, size, err := s.find(upTo-1, func(h batch.Batch) bool { return h.BaseOffset() >= upTo })
		if err != nil {
			return segment.Extent{}, false, err
		}
		if size > 0 {
			end = stop
		} else {
			end = s.end
		}
	}
	e, err = p.seg.Extent(ctx, pos, min(n, ds.behind(pos, end)-pos))
	return e, true, err
}

// below reports whether the index knows that the bytes before pos are of batches
// that begin before upTo.
func (p *part) below(upTo, pos int64) bool {
	e, ok := p.offsets.Floor(upTo - 1)
	return ok && pos <= e.Value
}

// Epoch is the leader epoch of the log's end, -1 if none is known.
func (l *Log) Epoch() int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.epochs.latest()
}

// EpochEnd returns the largest epoch at or below epoch that the log has, and
// the offset at which it ends; (-1, -1) if it has none.
func (l *Log) EpochEnd(epoch int32) (largest int32, end int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.epochs.end(epoch, l.end.Load())
}

// Segments describes the segments, oldest first.
func (l *Log) Segments() []SegmentStat {
	l.mu.Lock()
	defer l.mu.Unlock()
	var s []SegmentStat
	for _, p := range *l.view.Load() {
		s = append(s, p.stat())
	}
	return s
}

// Bytes is the size of all segments.
func (l *Log) Bytes() int64 {
	var n int64
	for _, p := range *l.view.Load() {
		n += p.size()
	}
	return n
}
