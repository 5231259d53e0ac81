package protocol

import (
	"context"
	"math/bits"
	"sync"

	"golang.org/x/sync/semaphore"
)

const (
	// smallestBuffer is the size of the smallest pooled buffer. Sizes are a
	// power of two and a sixteenth more, so that a batch of 64 KiB or 1 MiB
	// fits together with what surrounds it in a request.
	smallestBuffer = 68 << 10
	// bufferClasses is the number of pooled sizes, each twice the one before:
	// 68, 136, 272, 544, 1088 and 2176 KiB.
	bufferClasses = 6
	// largestBuffer is the size of the largest pooled buffer.
	largestBuffer = smallestBuffer << (bufferClasses - 1)
)

// buffer is a piece of memory that was taken from buffers.
type buffer struct {
	bytes []byte
	class int // its pool, or -1 if it is too large to be kept
	// budgeted says that it counts against the budget.
	budgeted bool
}

// buffers hands out memory for requests and responses: pooled by size, and
// bounded in sum for all connections. Memory that nobody uses for a while goes
// back to the garbage collector by itself.
type buffers struct {
	// budget counts the bytes that are handed out.
	budget *semaphore.Weighted
	size   int64
	pools  [bufferClasses]sync.Pool
}

// newBuffers returns buffers of at most total bytes at a time.
func newBuffers(total int64) *buffers {
	return &buffers{budget: semaphore.NewWeighted(total), size: total}
}

// class returns the smallest class whose buffers hold n bytes, or -1.
func class(n int) int {
	if n > largestBuffer {
		return -1
	}
	return bits.Len(uint(max(n-1, 0) / smallestBuffer))
}

// sizeOf is the number of bytes of a buffer for n bytes.
func sizeOf(n int) int {
	if c := class(n); c >= 0 {
		return smallestBuffer << c
	}
	return n
}

// try returns a buffer of at least n bytes, or nil if there is no budget left.
func (p *buffers) try(n int) *buffer {
	if !p.budget.TryAcquire(int64(sizeOf(n))) {
		return nil
	}
	b := p.make(class(n), n)
	b.budgeted = true
	return b
}

// beyond returns a buffer of the smallest size that doesn't count against the
// budget: for those that hold a part of it and can't wait for more.
func (p *buffers) beyond() *buffer {
	b := p.make(0, 0)
	b.budgeted = false
	return b
}

// take returns a buffer of at least n bytes. It waits for the budget until ctx
// ends.
func (p *buffers) take(ctx context.Context, n int) (*buffer, error) {
	if err := p.budget.Acquire(ctx, int64(sizeOf(n))); err != nil {
		return nil, err
	}
	b := p.make(class(n), n)
	b.budgeted = true
	return b, nil
}

func (p *buffers) make(c, n int) *buffer {
	if c < 0 {
		return &buffer{bytes: make([]byte, n), class: c}
	}
	if b, ok := p.pools[c].Get().(*buffer); ok {
		return b
	}
	return &buffer{bytes: make([]byte, smallestBuffer<<c), class: c}
}

// give takes a buffer back.
func (p *buffers) give(b *buffer) {
	if b.budgeted {
		p.budget.Release(int64(len(b.bytes)))
	}
	if b.class >= 0 {
		p.pools[b.class].Put(b)
	}
}
