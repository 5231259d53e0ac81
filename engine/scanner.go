package engine

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// scanner reads the headers of a part's batches.
type scanner struct {
	l    *Log
	p    *part
	end  int64 // of the bytes that find looked at
	base int64 // offset of the batch that find found
	at   int64 // position of the header that find shows
	buf  *[scanBytes]byte
	from int64 // position of buf's first byte
	have int   // bytes in buf
	// generation is the log's when the scan began.
	generation uint64

	// bound is the offset before which the records of a part end that is not the
	// last, else 0.
	bound int64
	// due is the least offset that the next batch may begin with, and before
	// the batch that was seen last, whose position is -1 if there is none.
	due    int64
	before struct{ pos, base, due int64 }
}

// scanBytes is how much is read to look for a header: with Kafka's index
// interval the one wanted is mostly in the first read.
const scanBytes = 4096 + batch.HeaderSize

// scanBuffers are reused, so that a read allocates nothing.
var scanBuffers = sync.Pool{New: func() any { return new([scanBytes]byte) }}

func newScanner(l *Log, p *part) scanner {
	s := scanner{l: l, p: p, buf: scanBuffers.Get().(*[scanBytes]byte), generation: l.generation.Load()}
	s.bound, s.due, s.before.pos = l.bound(p), p.base, -1
	return s
}

func (s *scanner) free() { scanBuffers.Put(s.buf) }

// find returns place and size of the first batch, from the index entry below
// key on, whose header is wanted. A size of 0 means that there is none below
// end, which is where the part ended when find began. It goes around damage.
func (s *scanner) find(key int64, wanted func(header batch.Batch) bool) (pos, size int64, err error) {
	s.end = s.p.seg.Size()
	for pos = s.indexed(key); pos < s.end; {
		if to, ok := s.skip(pos); ok {
			pos = to
			continue
		}
		h, err := s.next(pos)
		if err != nil {
			if pos, err = s.around(err); err != nil {
				return 0, 0, err
			}
			continue
		}
		s.at = pos
		base, size, doubtful := h.BaseOffset(), h.Size(), s.doubtful(h)
		if !wanted(h) {
			pos += size
			continue
		}
		if doubtful {
			if to, err := s.confirm(pos, size); to != pos || err != nil {
				pos = to
				if err != nil {
					return 0, 0, err
				}
				continue
			}
		}
		s.base = base
		return pos, size, nil
	}
	return pos, 0, nil
}

// indexed returns the position of the index entry below key, or 0 if there is
// none, or none that is true: no checksum guards an index, and the header that it
// points at is read anyway. A scan begins there.
func (s *scanner) indexed(key int64) int64 {
	s.before.pos, s.due = -1, s.p.base
	e, ok := s.p.offsets.Floor(key)
	if !ok || e.Value >= s.end {
		return 0
	}
	h, err := s.header(e.Value)
	if err != nil || h.LastOffset() != e.Key {
		return 0
	}
	s.due = h.BaseOffset()
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
	if h.BaseOffset() < s.p.base || s.bound > 0 && h.NextOffset() > s.bound || h.LastOffsetDelta() < 0 || h.NextOffset() <= h.BaseOffset() {
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
	if err := batch.Batch(b).Check(); err != nil && !bugSkipCRC.made() {
		return nil, s.corrupt(pos, err.Error())
	}
	return b, nil
}

// skip returns where the scan goes on if the bytes at pos are known to be damaged.
func (s *scanner) skip(pos int64) (to int64, ok bool) {
	d, ok := s.p.damaged().at(pos)
	if ok {
		s.due, s.before.pos = d.Next, -1 // what was due may be a damaged batch's word
	}
	return d.End, ok
}

// next is header, and holds its offsets against those of the batches before.
func (s *scanner) next(pos int64) (batch.Batch, error) {
	h, err := s.header(pos)
	if err != nil {
		return nil, s.blame(pos, err)
	}
	if h.BaseOffset() < s.due {
		return nil, s.disorder(pos, h.BaseOffset())
	}
	s.before.pos, s.before.base, s.before.due = pos, h.BaseOffset(), s.due
	s.due = h.NextOffset()
	return h, nil
}

// blame is the error of the batch before pos, if that is not whole: it may be its
// length that led to where no batch begins. Else it is err.
func (s *scanner) blame(pos int64, err error) error {
	var bad *CorruptError
	if s.before.pos < 0 || !errors.As(err, &bad) {
		return err
	}
	if _, before := s.whole(s.before.pos, pos-s.before.pos); errors.As(before, &bad) {
		return before
	}
	return err
}

// disorder says which of two batches that overlap is damaged: the one at pos,
// which begins with base, or the one before it. No checksum guards a base offset,
// but a batch with a wrong one leaves a gap before itself or goes back; the last
// offset is in the checksum.
func (s *scanner) disorder(pos, base int64) error {
	first, due := s.before.pos, s.before.due
	if first >= 0 && base >= due {
		if s.before.base > due {
			return s.corrupt(first, fmt.Sprintf("offset %d where %d is due, and %d comes next", s.before.base, due, base))
		}
		if _, err := s.whole(first, pos-first); err != nil {
			return err
		}
	}
	return s.corrupt(pos, fmt.Sprintf("offset %d where at least %d is due", base, s.due))
}

// doubtful reports whether a header says what is so only in compacted logs, or
// where a bit flipped.
func (s *scanner) doubtful(h batch.Batch) bool {
	return s.before.base != s.before.due || int64(h.Count()) != int64(h.LastOffsetDelta())+1
}

// confirm looks at the batch behind the one at pos, which is doubtful. It returns
// pos, or where the scan goes on if the one at pos turns out to be damaged.
func (s *scanner) confirm(pos, size int64) (int64, error) {
	behind := pos + size
	if _, known := s.p.damaged().at(behind); known || behind >= s.end {
		return pos, nil
	}
	_, err := s.next(behind)
	var bad *CorruptError
	if errors.As(err, &bad) && bad.Pos == pos {
		return s.around(err)
	}
	if errors.As(err, &bad) {
		return pos, nil // it is met by who reads it
	}
	return pos, err
}
