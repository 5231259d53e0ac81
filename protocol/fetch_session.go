package protocol

import (
	"container/list"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
)

const (
	// noSession is the id of a Fetch outside of any session.
	noSession int32 = 0
	// initialSessionEpoch asks for all partitions and a new session.
	initialSessionEpoch int32 = 0
	// finalSessionEpoch asks for all partitions and no session.
	finalSessionEpoch int32 = -1

	// evictAfter is how long a session is safe from others that need its place
	// (min.incremental.fetch.session.eviction.ms, which Kafka fixed at 2 min).
	evictAfter = 2 * time.Minute
	// cachedPartitionsMax bounds the partitions of all sessions together, about
	// 200 bytes each. A session that doesn't fit isn't made: its consumer goes
	// on with full requests.
	cachedPartitionsMax = 200_000
)

// sessionKey names a partition within a session: by the topic's id in sessions
// of version 13 or newer, else by its name.
type sessionKey struct {
	topic     string
	id        wire.UUID
	partition int32
}

// fetchParams are what a consumer asks of one partition.
type fetchParams struct {
	offset           int64
	leaderEpoch      int32 // -1: any
	lastFetchedEpoch int32 // -1: unknown
	maxBytes         int32
}

// cachedPartition is what a session remembers of a partition, so that neither
// side has to repeat what has not changed.
type cachedPartition struct {
	key    sessionKey
	params fetchParams
	// highWatermark and logStart are those that the consumer was told last;
	// a highWatermark of -1 makes the next answer tell it anew.
	highWatermark, logStart int64
}

// fetchSession is one consumer's incremental fetch session (KIP-227): the list
// of its partitions is kept by the broker, requests tell what changed in it, and
// answers hold only partitions with news. Requests are ordered by an epoch, so
// that a lost answer is noticed.
type fetchSession struct {
	id      int32
	usesIDs bool
	created time.Time
	// used and size belong to the cache and its lock.
	used time.Time
	size int

	mu struct {
		sync.Mutex
		// epoch is the one that the next request must have.
		epoch int32
		parts map[sessionKey]*list.Element
		// order holds *cachedPartition in the order in which they are read.
		// Partitions that yielded data go to the end, so that one with a lot of
		// it doesn't starve the others.
		order list.List
	}
}

// sessionCache keeps the fetch sessions of all connections. Consumers may
// reconnect and go on with their session.
type sessionCache struct {
	max int
	mu  struct {
		sync.Mutex
		sessions   map[int32]*fetchSession
		partitions int // of all sessions
	}
}

func newSessionCache(maxSessions int) *sessionCache {
	c := &sessionCache{max: maxSessions}
	c.mu.sessions = map[int32]*fetchSession{}
	return c
}

// Len is the number of sessions.
func (c *sessionCache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.mu.sessions)
}

// remove ends a session.
func (c *sessionCache) remove(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeLocked(id)
}

func (c *sessionCache) removeLocked(id int32) {
	if s, ok := c.mu.sessions[id]; ok {
		delete(c.mu.sessions, id)
		c.mu.partitions -= s.size
	}
}

// create makes a session of partitions that were just answered and returns its
// id, or noSession if there is no room.
func (c *sessionCache) create(now time.Time, usesIDs bool, parts []cachedPartition) int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.partitions+len(parts) > cachedPartitionsMax {
		return noSession
	}
	if len(c.mu.sessions) >= c.max && !c.evict(now, len(parts)) {
		return noSession
	}
	s := &fetchSession{usesIDs: usesIDs, created: now, used: now}
	for s.id == noSession || c.mu.sessions[s.id] != nil {
		s.id = rand.Int32N(math.MaxInt32)
	}
	s.mu.epoch = initialSessionEpoch + 1
	s.mu.parts = make(map[sessionKey]*list.Element, len(parts))
	for i := range parts {
		if _, twice := s.mu.parts[parts[i].key]; !twice {
			p := parts[i]
			s.mu.parts[p.key] = s.mu.order.PushBack(&p)
		}
	}
	s.size = len(s.mu.parts)
	c.mu.sessions[s.id] = s
	c.mu.partitions += s.size
	return s.id
}

// evict makes room for a session of size partitions: in place of the one that
// was not used for the longest time, if that is over evictAfter, or of the
// smallest that is as old as that and not larger than the new one.
func (c *sessionCache) evict(now time.Time, size int) bool {
	var stale, small *fetchSession
	for _, s := range c.mu.sessions {
		if now.Sub(s.used) > evictAfter && (stale == nil || s.used.Before(stale.used)) {
			stale = s
		}
		if now.Sub(s.created) > evictAfter && s.size <= size && (small == nil || s.size < small.size) {
			small = s
		}
	}
	if stale == nil {
		stale = small
	}
	if stale == nil {
		return false
	}
	c.removeLocked(stale.id)
	return true
}

// resume takes up a session with a request of the given epoch, and applies what
// the request changes in its list. It returns the session, or nil when the
// request emptied it and it has ended; or an error code.
func (c *sessionCache) resume(now time.Time, q *wire.FetchRequest, usesIDs bool) (*fetchSession, int16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.mu.sessions[q.SessionId]
	if s == nil {
		return nil, codeFetchSessionIDNotFound
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mu.epoch != q.SessionEpoch:
		return nil, codeInvalidFetchSession
	case s.usesIDs != usesIDs:
		return nil, codeFetchSessionTopicID
	}
	s.change(q)
	c.mu.partitions += len(s.mu.parts) - s.size
	s.size = len(s.mu.parts)
	if s.size == 0 || c.mu.partitions > cachedPartitionsMax {
		c.removeLocked(s.id)
		if s.size == 0 {
			return nil, codeNone
		}
		return nil, codeFetchSessionIDNotFound // the consumer starts over
	}
	s.used = now
	s.mu.epoch = nextSessionEpoch(s.mu.epoch)
	return s, codeNone
}

// nextSessionEpoch follows e; after the largest comes 1.
func nextSessionEpoch(e int32) int32 {
	if e == math.MaxInt32 {
		return 1
	}
	return e + 1
}

// change applies the request's additions, updates and removals, in this order.
// The session's lock is held.
func (s *fetchSession) change(q *wire.FetchRequest) {
	for i := range q.Topics {
		t := &q.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			key := sessionKey{topic: t.Topic, id: t.TopicId, partition: p.Partition}
			if e, ok := s.mu.parts[key]; ok {
				e.Value.(*cachedPartition).params = paramsOf(p)
				continue
			}
			s.mu.parts[key] = s.mu.order.PushBack(&cachedPartition{
				key: key, params: paramsOf(p), highWatermark: -1, logStart: -1,
			})
		}
	}
	for i := range q.ForgottenTopicsData {
		t := &q.ForgottenTopicsData[i]
		for _, p := range t.Partitions {
			key := sessionKey{topic: t.Topic, id: t.TopicId, partition: p}
			if e, ok := s.mu.parts[key]; ok {
				s.mu.order.Remove(e)
				delete(s.mu.parts, key)
			}
		}
	}
}

// each calls f for every partition in the order in which they are to be read.
func (s *fetchSession) each(f func(key sessionKey, p fetchParams)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.mu.order.Front(); e != nil; e = e.Next() {
		c := e.Value.(*cachedPartition)
		f(c.key, c.params)
	}
}

// settle notes what the answer to the request of the given epoch tells of each
// partition, and marks those that hold no news as omitted. It reports false if
// another request went past this one.
func (s *fetchSession) settle(epoch int32, parts []fetchPart) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.epoch != nextSessionEpoch(epoch) {
		return false
	}
	for i := range parts {
		p := &parts[i]
		if e, ok := s.mu.parts[p.key]; ok {
			p.omit = !e.Value.(*cachedPartition).news(p)
			if p.extent.Len() > 0 {
				s.mu.order.MoveToBack(e)
			}
		}
	}
	return true
}

// news reports whether the consumer has to be told of what was read, and
// remembers that it was.
func (c *cachedPartition) news(p *fetchPart) bool {
	news := p.extent.Len() > 0 || p.code != codeNone || p.diverges ||
		c.highWatermark != p.highWatermark || c.logStart != p.logStart
	c.highWatermark, c.logStart = p.highWatermark, p.logStart
	if p.code != codeNone {
		c.highWatermark = -1 // so that the partition is sent when the error has gone
	}
	return news
}

func paramsOf(p *wire.FetchRequestFetchPartition) fetchParams {
	return fetchParams{
		offset:           p.FetchOffset,
		leaderEpoch:      max(p.CurrentLeaderEpoch, replication.AnyEpoch), // any negative one, as in Kafka
		lastFetchedEpoch: p.LastFetchedEpoch,
		maxBytes:         p.PartitionMaxBytes,
	}
}
