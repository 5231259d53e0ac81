package segment

import (
	"fmt"
	"sync/atomic"
)

// span is how much of a medium counts, and who holds it: what all designs share
// to keep truncation, closing and readers apart.
//
// No reader sees bytes past size, and none that it holds are taken away. The
// proof: [span.hold] acquires the pin and then looks at size again; [span.cut]
// lowers size and then looks at the pin. Whichever comes second sees the other:
// either cut finds the holder and waits, or hold finds the lower size, gives the
// pin back and tries again below it. New readers cannot keep cut waiting, for
// they all end at or below the size that it has already published.
type span struct {
	// size is the number of bytes added and not truncated. It is stored by the
	// one appender, after the bytes are on the medium.
	size atomic.Int64
	pin  Pin
}

// hold pins as much of [pos, pos+n) as is there, and returns how much that is.
// When it is more than nothing, the caller releases the pin at pos plus it.
func (s *span) hold(pos, n int64) (int64, error) {
	if pos < 0 || n < 0 {
		return 0, fmt.Errorf("segment: no range starts at %d and has %d bytes", pos, n)
	}
	for {
		size := s.size.Load()
		if pos >= size || n == 0 {
			return 0, s.enterOnce()
		}
		// As a difference: pos+n may overflow.
		held := min(n, size-pos)
		if !s.pin.Acquire(pos + held) {
			return 0, ErrClosed
		}
		if s.size.Load() >= pos+held {
			return held, nil
		}
		s.pin.Release(pos + held)
	}
}

// Pinned implements [Segment].
func (s *span) Pinned() bool { return s.pin.Held() > 0 }

// enter keeps the medium open for a call that holds no bytes; the caller
// releases the pin at 0.
func (s *span) enter() error {
	if !s.pin.Acquire(0) {
		return ErrClosed
	}
	return nil
}

// enterOnce reports ErrClosed after Close.
func (s *span) enterOnce() error {
	err := s.enter()
	if err == nil {
		s.pin.Release(0)
	}
	return err
}

// cut lowers size and waits until no holder is left past it.
func (s *span) cut(size int64) error {
	if old := s.size.Load(); size < 0 || size > old {
		return fmt.Errorf("segment: cannot truncate %d bytes to %d", old, size)
	}
	s.size.Store(size)
	s.pin.Drain(size)
	return nil
}
