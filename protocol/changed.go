package protocol

import "sync"

// selectWidth is how many channels one select waits for.
const selectWidth = 8

// changes waits for the first of any number of channels to be closed. A few are
// waited for by the caller's own select, more by one goroutine for every
// selectWidth of them, which end with stop.
type changes struct {
	// direct are for the caller's select; the rest is nil.
	direct [selectWidth]<-chan struct{}
	// any gets a token when one of the other channels is closed.
	any  chan struct{}
	done chan struct{}
	wait sync.WaitGroup
}

// start begins to wait. Each start needs a stop.
func (c *changes) start(channels []<-chan struct{}) {
	clear(c.direct[:])
	if len(channels) <= selectWidth {
		copy(c.direct[:], channels)
		return
	}
	c.any, c.done = make(chan struct{}, 1), make(chan struct{})
	for len(channels) > 0 {
		n := min(len(channels), selectWidth)
		var group [selectWidth]<-chan struct{}
		copy(group[:], channels[:n])
		channels = channels[n:]
		c.wait.Go(func() { c.watch(&group) })
	}
}

func (c *changes) watch(g *[selectWidth]<-chan struct{}) {
	select {
	case <-g[0]:
	case <-g[1]:
	case <-g[2]:
	case <-g[3]:
	case <-g[4]:
	case <-g[5]:
	case <-g[6]:
	case <-g[7]:
	case <-c.done:
		return
	}
	select {
	case c.any <- struct{}{}:
	default:
	}
}

// stop ends the waiting and all that was started for it.
func (c *changes) stop() {
	clear(c.direct[:])
	if c.done != nil {
		close(c.done)
		c.wait.Wait()
		c.any, c.done = nil, nil
	}
}
