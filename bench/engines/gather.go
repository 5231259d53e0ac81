package main

import "sync"

// gather makes one write of all appends that come while the one before is under
// way: what callers of a log with a batch call but without group commit of its own
// do, the Raft library of raft-wal's authors among them. The bytes of an append are
// its caller's, who waits until they are written.
type gather struct {
	write func(batches [][]byte) error
	mu    struct {
		sync.Mutex
		next    *group // those that wait for the write under way
		writing bool
	}
}

// group is the appends of one write.
type group struct {
	batches [][]byte
	lead    chan struct{} // the first of them may write
	done    chan struct{} // it has; err says how that went
	err     error
}

func newGather(write func([][]byte) error) *gather { return &gather{write: write} }

func (g *gather) append(b []byte) error {
	g.mu.Lock()
	own := g.mu.next
	first := own == nil
	if first {
		own = &group{lead: make(chan struct{}), done: make(chan struct{})}
		g.mu.next = own
	}
	own.batches = append(own.batches, b)
	busy := g.mu.writing
	g.mu.writing = true
	g.mu.Unlock()
	if !first {
		<-own.done
		return own.err
	}
	if busy {
		<-own.lead
	}
	g.mu.Lock()
	g.mu.next = nil
	g.mu.Unlock()
	own.err = g.write(own.batches)
	close(own.done)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.next != nil {
		close(g.mu.next.lead)
	} else {
		g.mu.writing = false
	}
	return own.err
}
