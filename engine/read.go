package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

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
		if l.generation.Load() == generation && !errors.Is(err, segment.ErrClosed) {
			if err == nil {
				l.store.cold.admit(ctx, e)
			}
			return e, err
		}
		// The log was cut or trimmed meanwhile: what was found may be other
		// bytes by now.
		if err == nil {
			e.Release()
		}
		if err := l.open(); err != nil {
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
	for ; i < len(parts) && parts[i].base < upTo; i++ {
		e, err := l.readPart(ctx, parts[i], i == len(parts)-1 || parts[i+1].base > upTo, r, upTo)
		if e.Len() > 0 || err != nil {
			return e, err
		}
		if !r.AtLeastOne {
			break
		}
	}
	return segment.Extent{}, nil
}

// partOf is the index of the part that offset belongs to, -1 if it is before
// all of them.
func partOf(parts []*part, offset int64) int {
	return sort.Search(len(parts), func(i int) bool { return parts[i].base > offset }) - 1
}

func (l *Log) readPart(ctx context.Context, p *part, bounded bool, r Read, upTo int64) (segment.Extent, error) {
	if err := p.acquire(); err != nil {
		return segment.Extent{}, err
	}
	defer p.release()
	s := newScanner(l, p)
	defer s.free()
	pos, size, err := s.find(r.From, func(h batch.Batch) bool { return h.LastOffset() >= r.From })
	if err != nil || size == 0 || s.base >= upTo {
		return segment.Extent{}, err
	}
	n := r.MaxBytes
	if n < size {
		if !r.AtLeastOne {
			return segment.Extent{}, nil
		}
		n = size
	}
	end := p.seg.Size()
	if bounded && n > size && !p.below(upTo, pos+n) {
		// The first batch past upTo bounds what may be seen.
		stop, size, err := s.find(upTo-1, func(h batch.Batch) bool { return h.BaseOffset() >= upTo })
		if err != nil {
			return segment.Extent{}, err
		}
		if size > 0 {
			end = stop
		} else {
			end = s.end
		}
	}
	return p.seg.Extent(ctx, pos, min(n, end-pos))
}

// below reports whether the index knows that the bytes before pos are of batches
// that begin before upTo.
func (p *part) below(upTo, pos int64) bool {
	e, ok := p.offsets.Floor(upTo - 1)
	return ok && pos <= e.Value
}

// scanner reads the headers of a part's batches. The part is acquired.
type scanner struct {
	l    *Log
	p    *part
	end  int64 // of the bytes that find looked at
	base int64 // offset of the batch that find found
	at   int64 // position of the header that find shows
	buf  *[scanBytes]byte
	from int64 // position of buf's first byte
	have int   // bytes in buf
}

// scanBytes is how much is read to look for a header: with Kafka's index
// interval the one wanted is mostly in the first read.
const scanBytes = 4096 + batch.HeaderSize

// scanBuffers are reused, so that a read allocates nothing.
var scanBuffers = sync.Pool{New: func() any { return new([scanBytes]byte) }}

func newScanner(l *Log, p *part) scanner {
	return scanner{l: l, p: p, buf: scanBuffers.Get().(*[scanBytes]byte)}
}

func (s *scanner) free() { scanBuffers.Put(s.buf) }

// find returns place and size of the first batch, from the index entry below
// key on, whose header is wanted. A size of 0 means that there is none below
// end, which is where the part ended when find began.
func (s *scanner) find(key int64, wanted func(header batch.Batch) bool) (pos, size int64, err error) {
	s.end = s.p.seg.Size()
	for pos = s.indexed(key); pos < s.end; {
		h, err := s.header(pos)
		if err != nil {
			return 0, 0, err
		}
		s.at = pos
		if wanted(h) {
			s.base = h.BaseOffset()
			return pos, h.Size(), nil
		}
		pos += h.Size()
	}
	return pos, 0, nil
}

// indexed returns the position of the index entry below key, or 0 if there is
// none, or none that is true: no checksum guards an index, and the header that it
// points at is read anyway.
func (s *scanner) indexed(key int64) int64 {
	e, ok := s.p.offsets.Floor(key)
	if !ok || e.Value >= s.end {
		return 0
	}
	if h, err := s.header(e.Value); err != nil || h.LastOffset() != e.Key {
		return 0
	}
	return e.Value
}

// header returns the header at pos, which is below end. It is valid until the
// next call.
func (s *scanner) header(pos int64) (batch.Batch, error) {
	if pos < s.from || pos+batch.HeaderSize > s.from+int64(s.have) {
		n, err := s.p.seg.ReadAt(s.buf[:min(scanBytes, s.end-pos)], pos)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		s.from, s.have = pos, n
	}
	at := int(pos - s.from)
	if s.have-at < batch.HeaderSize {
		return nil, s.corrupt(pos, fmt.Sprintf("%d bytes are left, a batch header has %d", s.end-pos, batch.HeaderSize))
	}
	h := batch.Batch(s.buf[at : at+batch.HeaderSize])
	size, err := batch.PeekSize(h)
	if err != nil {
		return nil, s.corrupt(pos, err.Error())
	}
	if pos+size > s.end {
		return nil, s.corrupt(pos, fmt.Sprintf("a batch of %d bytes, but %d are left", size, s.end-pos))
	}
	// No checksum guards the base offset.
	if h.BaseOffset() < s.p.base || h.LastOffsetDelta() < 0 || h.NextOffset() <= h.BaseOffset() {
		return nil, s.corrupt(pos, fmt.Sprintf("a batch of offsets %d to %d in the segment of %d", h.BaseOffset(), h.LastOffset(), s.p.base))
	}
	return h, nil
}

func (s *scanner) corrupt(pos int64, why string) error {
	return &CorruptError{Path: fileName(s.l.dir, s.p.base, suffixSegment), Pos: pos, Why: why}
}

// whole reads the batch at pos.
func (s *scanner) whole(pos, size int64) (batch.Batch, error) {
	b := make([]byte, size)
	if _, err := s.p.seg.ReadAt(b, pos); err != nil {
		return nil, err
	}
	if err := batch.Batch(b).Check(); err != nil {
		return nil, s.corrupt(pos, err.Error())
	}
	return b, nil
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
