package vfs

import (
	"errors"
	"sync/atomic"
)

// ErrCrashed is what every operation fails with once a [Stop] has stopped.
var ErrCrashed = errors.New("crashed")

// Stop lets a number of changing operations pass and fails everything after them:
// the process is as good as dead, and what the file system below holds is what it
// left. A test that repeats its program with StopAfter(0), StopAfter(1) and so on
// until the program ends without [Stop.Stopped] has crashed it at every point.
//
// Operations that change nothing ([Kind.Changes]) do not count, but fail too
// once stopped. A program that stores through mappings can still do so after the
// stop; where this matters, take the [Mem.Crash] in [Inject.After] instead.
type Stop struct {
	limit int64
	seen  atomic.Int64 // changing operations asked for
}

// StopAfter returns a Stop that lets n changing operations pass. Its Before is the
// hook for [NewInject].
func StopAfter(n int) *Stop { return &Stop{limit: int64(n)} }

// Before is the hook.
func (s *Stop) Before(op Op) error {
	if op.Kind.Changes() && s.seen.Add(1) > s.limit || s.Stopped() {
		return ErrCrashed
	}
	return nil
}

// Stopped reports whether an operation was refused.
func (s *Stop) Stopped() bool { return s.seen.Load() > s.limit }
