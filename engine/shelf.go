package engine

import (
	"errors"
	"sync"
)

// shelf is the parts of a store that are open, so that they are not too many.
//
// It is a clock: the hand goes round, and closes what was not used since it came
// by last. Parts in use, parts with something that is not durable and segments of
// which somebody holds bytes are passed over, so the bound is one on what is open
// for nothing: at most shelfLook parts are looked at for one that is opened.
//
// A list by last use would be truer. It would take the store's one lock for every
// read of every log; here a use sets a flag under the part's own.
//
// Lock order: shelf.sweeping → shelf.mu → part.use.
type shelf struct {
	max int // parts
	// sweeping is held until what a sweep took off the shelf is closed: who clears it
	// for want of descriptors then has those that another one has just given back.
	sweeping sync.Mutex
	mu       struct {
		sync.Mutex
		open []*part
		hand int
	}
}

const (
	// shelfDefault is how many parts may be open, where nothing else is said: a
	// sealed one has one descriptor, and a growing one three; the designs direct and
	// uring have one or two more for what they write.
	shelfDefault = 1024
	// shelfLook bounds what one opening costs when nothing can be closed.
	shelfLook = 32
)

// add puts a part that was opened on the shelf, and closes others if these are
// too many. Parts that would lose their bytes are not on it.
func (s *shelf) add(p *part) {
	if !p.log.config.Load().design.segment.Durable {
		return
	}
	s.mu.Lock()
	if p.isClosed() { // since it was opened: it was off the shelf then, and stays so
		s.mu.Unlock()
		return
	}
	p.use.slot = len(s.mu.open)
	s.mu.open = append(s.mu.open, p)
	var out []*evicted
	for range shelfLook {
		if len(s.mu.open) <= s.max {
			break
		}
		s.mu.hand %= len(s.mu.open)
		if e := s.mu.open[s.mu.hand].evict(); e != nil {
			s.take(s.mu.hand)
			out = append(out, e)
		} else {
			s.mu.hand++
		}
	}
	s.mu.Unlock()
	for _, e := range out {
		e.close()
	}
}

// take removes what is in a slot. s.mu is held.
func (s *shelf) take(slot int) {
	last := len(s.mu.open) - 1
	s.mu.open[slot].use.slot = -1
	if slot != last {
		s.mu.open[slot] = s.mu.open[last]
		s.mu.open[slot].use.slot = slot
	}
	s.mu.open[last] = nil
	s.mu.open = s.mu.open[:last]
}

// remove takes a part off the shelf that is being closed.
func (s *shelf) remove(p *part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.use.slot >= 0 {
		s.take(p.use.slot)
	}
}

// sweep closes the parts that were not used since the sweep before.
func (s *shelf) sweep() {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	var out []*evicted
	s.mu.Lock()
	for i := len(s.mu.open) - 1; i >= 0; i-- {
		if e := s.mu.open[i].evict(); e != nil {
			s.take(i)
			out = append(out, e)
		}
	}
	s.mu.Unlock()
	for _, e := range out {
		e.close()
	}
}

// clear closes all parts that can be closed.
func (s *shelf) clear() {
	s.sweep() // which spares those that were used lately
	s.sweep()
}

// evicted is a part that is off the shelf, and the files that are to be closed.
type evicted struct {
	p *part
	m *media
}

// evict takes a part's files away if they can be closed and were not used since
// the last try. shelf.mu is held; the files are closed without it.
func (p *part) evict() *evicted {
	u := &p.use
	u.Lock()
	defer u.Unlock()
	if u.recent {
		u.recent = false
		return nil
	}
	if u.users > 0 || u.kept || u.closed || u.moving != nil || p.media == nil || p.seg.Pinned() {
		return nil
	}
	m := p.media
	u.size = m.seg.Size()
	u.moving = make(chan struct{})
	p.media = nil
	if m.noIndex || !p.log.config.Load().design.index.OnDisk {
		u.spare = &media{offsets: m.offsets, times: m.times, noIndex: m.noIndex}
	}
	return &evicted{p, m}
}

// close closes the files, and lets the part be opened again.
func (e *evicted) close() {
	u := &e.p.use
	err := e.m.seg.Close()
	if u.spare == nil {
		err = errors.Join(err, e.m.closeIndexes())
	}
	if err != nil {
		e.p.log.log.Warn("files of an idle segment not closed", "log", e.p.log.name, "segment", e.p.base, "err", err)
	}
	u.Lock()
	defer u.Unlock()
	close(u.moving)
	u.moving = nil
}
