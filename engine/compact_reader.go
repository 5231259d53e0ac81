package engine

import (
	"fmt"
	"io"
	"slices"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// batchReader reads the batches of one part after the other, in large steps, and
// checks each. It keeps one buffer, as large as the largest batch.
type batchReader struct {
	l    *Log
	pace func(bytes int) error // is told what was read; its error ends the reading
	buf  []byte

	p    *part
	pos  int64 // of the next batch
	end  int64
	next int64 // the least offset that it may have
	from int64 // position of buf's first byte
}

// cleanBytes is how much is read, and written, at a time.
const cleanBytes = 1 << 20

// open begins with the part's first batch.
func (r *batchReader) open(p *part) {
	r.p, r.pos, r.end, r.next = p, 0, p.seg.Size(), p.base
	r.from, r.buf = 0, r.buf[:0]
}

// read returns the next batch, valid until the next call, or io.EOF. A batch that
// is not whole is a *CorruptError.
func (r *batchReader) read() (batch.Batch, error) {
	if r.pos == r.end {
		return nil, io.EOF
	}
	if r.end-r.pos < batch.HeaderSize {
		return nil, r.corrupt(fmt.Sprintf("%d bytes are left, a batch header has %d", r.end-r.pos, batch.HeaderSize))
	}
	head, err := r.bytes(batch.HeaderSize)
	if err != nil {
		return nil, err
	}
	size, err := batch.PeekSize(head)
	if err != nil {
		return nil, r.corrupt(err.Error())
	}
	if size > r.end-r.pos {
		return nil, r.corrupt(fmt.Sprintf("a batch of %d bytes, but %d are left", size, r.end-r.pos))
	}
	whole, err := r.bytes(size)
	if err != nil {
		return nil, err
	}
	b := batch.Batch(whole)
	if err := b.Check(); err != nil {
		return nil, r.corrupt(err.Error())
	}
	if b.BaseOffset() < r.next {
		return nil, r.corrupt(fmt.Sprintf("offset %d where at least %d is due", b.BaseOffset(), r.next))
	}
	r.next = b.NextOffset()
	r.pos += size
	return b, nil
}

// bytes returns n bytes from pos on, all of which the part has.
func (r *batchReader) bytes(n int64) ([]byte, error) {
	at := r.pos - r.from
	if at+n <= int64(len(r.buf)) {
		return r.buf[at : at+n], nil
	}
	want := int(min(max(n, cleanBytes), r.end-r.pos))
	r.buf = slices.Grow(r.buf[:0], want)[:want]
	r.from = r.pos
	if _, err := r.p.seg.ReadAt(r.buf, r.pos); err != nil {
		r.buf = r.buf[:0]
		return nil, err
	}
	if err := r.pace(want); err != nil {
		return nil, err
	}
	return r.buf[:n], nil
}

func (r *batchReader) corrupt(why string) error {
	return &CorruptError{Path: fileName(r.l.dir, r.p.base, suffixSegment), Pos: r.pos, Why: why}
}
