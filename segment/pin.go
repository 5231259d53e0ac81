package segment

import (
	"slices"
	"sync"
)

// Pin remembers who uses a medium, and up to where, so that it is neither
// truncated under a reader nor given back before the last one is done.
//
// Every holder is one number: the end of the range that it uses. That is
// exact, where a bare count would make a truncation of the tail wait for a slow
// consumer of the head: [Pin.Drain] waits only for ranges that really end past
// the cut. What remains is bounded by how long such a holder may live, which is
// for its owner to bound: the protocol's write deadline for a consumer.
//
// The way not taken is a second, younger Pin at each truncation (epochs): it
// needs no search, but waits for every older holder wherever it reads.
type Pin struct {
	mu struct {
		sync.Mutex
		// ends holds one end for every holder, in no order. It is as long as
		// the segment has readers at one moment, so a search is cheaper than
		// any tree, and keeps its room: acquiring allocates nothing.
		ends []int64
		// closed is run by the last release once the owner has let go.
		closed func() error
		// drained is closed by the next release while somebody waits.
		drained chan struct{}
	}
}

// Acquire adds a holder of the bytes below end; it reports false once the owner
// has let go.
func (p *Pin) Acquire(end int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed != nil {
		return false
	}
	p.mu.ends = append(p.mu.ends, end)
	return true
}

// Release takes away one holder that was acquired with end. It panics if there
// is none: bytes would otherwise change under somebody else.
func (p *Pin) Release(end int64) {
	p.mu.Lock()
	// The youngest holder is the likeliest to go: search from the back.
	i := len(p.mu.ends) - 1
	for i >= 0 && p.mu.ends[i] != end {
		i--
	}
	if i < 0 {
		p.mu.Unlock()
		panic("segment: an Extent was released twice")
	}
	last := len(p.mu.ends) - 1
	p.mu.ends[i] = p.mu.ends[last]
	p.mu.ends = p.mu.ends[:last]
	if p.mu.drained != nil {
		close(p.mu.drained)
		p.mu.drained = nil
	}
	var closed func() error
	if last == 0 {
		closed = p.mu.closed
	}
	p.mu.Unlock()
	if closed != nil {
		// The owner is gone, and with it whoever could act on an error.
		_ = closed()
	}
}

// Drain waits until nobody holds bytes past size. With holders up to {40 90},
// Drain(40) waits for the second alone.
func (p *Pin) Drain(size int64) {
	for {
		p.mu.Lock()
		if !slices.ContainsFunc(p.mu.ends, func(end int64) bool { return end > size }) {
			p.mu.Unlock()
			return
		}
		if p.mu.drained == nil {
			p.mu.drained = make(chan struct{})
		}
		ch := p.mu.drained
		p.mu.Unlock()
		<-ch
	}
}

// Held is the number of holders.
func (p *Pin) Held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.ends)
}

// Close lets go of the medium: closed runs now if nobody holds it, else with
// the last release. A second call does nothing and returns ErrClosed.
func (p *Pin) Close(closed func() error) error {
	p.mu.Lock()
	if p.mu.closed != nil {
		p.mu.Unlock()
		return ErrClosed
	}
	p.mu.closed = closed
	held := len(p.mu.ends)
	p.mu.Unlock()
	if held == 0 {
		return closed()
	}
	return nil
}
