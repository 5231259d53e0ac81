package engine

import (
	"context"
	"sync"
	"sync/atomic"
)

// watch lets goroutines wait for an offset that only grows, or for any change,
// and costs the one who publishes a single atomic load while nobody waits.
//
// No wake-up is lost: whoever waits first stores interest and then looks at the
// offset; whoever publishes first stores the offset and then looks at interest.
// One of the two sees the other.
type watch struct {
	channels *sync.Pool // see newWaiterChannels
	interest atomic.Bool
	mu       struct {
		sync.Mutex
		waiters []waiter
		changed chan struct{} // made when somebody asks for it
		err     error         // final: set by fail
	}
}

type waiter struct {
	upTo int64
	ch   chan error // has room for one
}

// newWaiterChannels makes a store's pool of channels, which are reused so that
// waiting allocates nothing. They are not shared by stores: a channel belongs to
// the testing/synctest bubble in which it was made.
func newWaiterChannels() *sync.Pool {
	return &sync.Pool{New: func() any { return make(chan error, 1) }}
}

// published wakes those whose offset has come, and everyone who waits for any
// change.
func (w *watch) published(offset int64) {
	if w.interest.Load() {
		w.wake(offset, nil)
	}
}

// fail wakes everyone, now and ever after, with err.
func (w *watch) fail(err error) { w.wake(-1, err) }

func (w *watch) wake(offset int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && w.mu.err == nil {
		w.mu.err = err
	}
	if w.mu.changed != nil {
		close(w.mu.changed)
		w.mu.changed = nil
	}
	kept := w.mu.waiters[:0]
	for _, x := range w.mu.waiters {
		switch {
		case x.upTo <= offset:
			x.ch <- nil
		case w.mu.err != nil:
			x.ch <- w.mu.err
		default:
			kept = append(kept, x)
		}
	}
	w.mu.waiters = kept
	w.interest.Store(len(kept) > 0)
}

// wait returns once reached(upTo), or with the error of fail or ctx.
func (w *watch) wait(ctx context.Context, upTo int64, reached func(int64) bool) error {
	w.mu.Lock()
	w.interest.Store(true)
	if reached(upTo) {
		w.mu.Unlock()
		return nil
	}
	if err := w.mu.err; err != nil {
		w.mu.Unlock()
		return err
	}
	ch := w.channels.Get().(chan error)
	w.mu.waiters = append(w.mu.waiters, waiter{upTo, ch})
	w.mu.Unlock()
	select {
	case err := <-ch:
		w.channels.Put(ch)
		return err
	case <-ctx.Done():
		w.forget(ch)
		return ctx.Err()
	}
}

// forget takes a waiter back. If it was woken meanwhile, the token stays with
// the channel, which is then left to the garbage collector.
func (w *watch) forget(ch chan error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, x := range w.mu.waiters {
		if x.ch == ch {
			w.mu.waiters = append(w.mu.waiters[:i], w.mu.waiters[i+1:]...)
			w.channels.Put(ch)
			return
		}
	}
}

// change returns a channel that is closed at the next change.
func (w *watch) change() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.err != nil {
		// Not kept: wake would close it again.
		over := make(chan struct{})
		close(over)
		return over
	}
	w.interest.Store(true)
	if w.mu.changed == nil {
		w.mu.changed = make(chan struct{})
	}
	return w.mu.changed
}
