package protocol

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// sweepEvery is the time between two looks at the connections.
const sweepEvery = time.Second

// errIdle says that nothing was asked on a connection for a long time.
var errIdle = errors.New("idle")

// sweep closes connections that are idle for too long, and those whose peer
// sends a request or takes an answer too slowly. One goroutine looks at all of
// them: a deadline of its own for every read and write would cost each request
// more than all the rest of its reading.
func (s *Server) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		s.mu.Lock()
		for c := range s.mu.conns {
			if why := c.overdue(now); why != nil {
				c.close(why)
			}
		}
		s.mu.Unlock()
	}
}

// overdue returns why the connection is to be closed, or nil.
func (c *conn) overdue(now time.Time) error {
	l := &c.server.limits
	if took, late := c.seen.in.overdue(&c.frames.meter, now, l.TransferGrace, l.TransferRate); late {
		return fmt.Errorf("%w: %d bytes of a request in %v, then still not all of it",
			errSwept, c.frames.moved.Load(), took.Round(time.Second))
	}
	if took, late := c.seen.out.overdue(&c.sender.meter, now, l.TransferGrace, l.TransferRate); late {
		return fmt.Errorf("%w: took %d bytes of an answer in %v, then still not all of it",
			errSwept, c.sender.moved.Load(), took.Round(time.Second))
	}
	if n := c.requests.Load(); n != c.seen.requests || c.seen.idle.IsZero() || c.waiting.Load() > 0 {
		c.seen.requests, c.seen.idle = n, now
	}
	if now.Sub(c.seen.idle) > l.IdleTime {
		return fmt.Errorf("%w for %v", errIdle, l.IdleTime)
	}
	return nil
}

// isReset reports whether an error is the peer's way to leave in a hurry.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
