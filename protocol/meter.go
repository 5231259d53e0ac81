package protocol

import (
	"sync/atomic"
	"time"
)

// meter shows the sweeper whether one direction of a connection is stuck in the
// middle of something. It is written by the goroutine that moves the bytes and
// costs nothing as long as they flow without waiting.
type meter struct {
	// turn is odd while a transfer waits halfway; each one has another number.
	turn atomic.Uint32
	// moved counts the bytes of the transfer under way since it first waited.
	moved atomic.Int64
}

// stall says that the transfer under way has to wait for the peer.
func (m *meter) stall() {
	if m.turn.Load()%2 == 0 {
		m.moved.Store(0)
		m.turn.Add(1)
	}
}

// pass says that n bytes were moved.
func (m *meter) pass(n int) {
	if m.turn.Load()%2 == 1 {
		m.moved.Add(int64(n))
	}
}

// done says that the transfer is over.
func (m *meter) done() {
	if m.turn.Load()%2 == 1 {
		m.turn.Add(1)
	}
}

// watch is the sweeper's memory of a meter.
type watch struct {
	turn  uint32
	since time.Time
}

// overdue reports whether the transfer that the meter shows is slower than
// grace and rate (bytes a second) allow, and how long it has taken.
func (w *watch) overdue(m *meter, now time.Time, grace time.Duration, rate int64) (time.Duration, bool) {
	turn := m.turn.Load()
	if turn != w.turn || turn%2 == 0 {
		w.turn, w.since = turn, now
		return 0, false
	}
	took := now.Sub(w.since)
	allowed := grace + time.Duration(float64(m.moved.Load())/float64(rate)*float64(time.Second))
	return took, took > allowed
}
