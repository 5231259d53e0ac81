package protocol

import (
	"context"
	"errors"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
	"github.com/bobbin-log/bobbin/segment"
)

// Fetch, versions 4 to 18.
//
//	 4  record batches of magic 2 and isolation levels
//	 5  log start offsets; 6 KAFKA_STORAGE_ERROR, which older clients get as
//	    NOT_LEADER_OR_FOLLOWER
//	 7  fetch sessions: see fetch_session.go
//	 9  fencing by leader epoch
//	10  the client knows zstd; older ones get it too, as from Kafka 4.4
//	11  preferred read replica, which is never one here
//	12  flexible; diverging epochs
//	13  topic ids instead of names
//	15  the replica's state in a tag
//	16  the current leader and its endpoint on NOT_LEADER_OR_FOLLOWER and
//	    FENCED_LEADER_EPOCH (KIP-951)
//	17, 18  fields between brokers
//
// The records are not in the response: it has holes of their size, which the
// sender fills from the log's files.

// fetchPart is one partition of a Fetch, and what was read of it.
type fetchPart struct {
	key       sessionKey
	topic     string // its name, also where the key has only the id
	params    fetchParams
	partition *replication.Partition // nil if the request had an error for it

	code                                int16
	highWatermark, lastStable, logStart int64
	diverges                            bool
	divergingEpoch                      int32
	divergingEnd                        int64
	extent                              segment.Extent
	aborted                             []engine.Aborted
	omit                                bool // nothing new for the session
}

// fetchAnswer is a Fetch on its way.
type fetchAnswer struct {
	server   *Server
	listener string
	header   wire.RequestHeader
	request  wire.FetchRequest
	response wire.FetchResponse

	code    int16 // of the whole request
	session *fetchSession
	create  bool // a session
	parts   []fetchPart
	// minBytes and maxBytes are the request's, within the broker's limits.
	minBytes, maxBytes int64
	deadline           time.Time
	complete           bool
	pins               []segment.Extent // by hole
	channels           []<-chan struct{}
	changes            changes
}

// fetch begins a Fetch, and finishes it if there is enough to be had.
func (s *Server) fetch(r *request) (answer, error) {
	a, _ := s.fetches.Get().(*fetchAnswer)
	if a == nil {
		a = &fetchAnswer{server: s}
	}
	a.header, a.listener = r.header, r.conn.listener
	if err := a.request.Decode(r.body, r.version()); err != nil {
		a.done()
		return nil, err
	}
	q := &a.request
	a.code, a.session, a.create, a.complete = codeNone, nil, false, false
	a.maxBytes = int64(max(0, min(int(q.MaxBytes), s.limits.FetchBytes)))
	a.minBytes = min(int64(q.MinBytes), a.maxBytes)
	a.begin()
	a.read()
	if q.MaxWaitMs <= 0 || a.enough() {
		a.complete = true
	} else {
		a.deadline = time.Now().Add(min(time.Duration(q.MaxWaitMs)*time.Millisecond, maxTimeout))
	}
	return a, nil
}

// begin finds out what is to be read: what the request lists, or its session.
func (a *fetchAnswer) begin() {
	q := &a.request
	usesIDs := a.header.RequestApiVersion >= 13
	if q.SessionEpoch == initialSessionEpoch || q.SessionEpoch == finalSessionEpoch {
		if q.SessionId != noSession {
			a.server.sessions.remove(q.SessionId)
		}
		a.create = q.SessionEpoch == initialSessionEpoch
	} else {
		a.session, a.code = a.server.sessions.resume(time.Now(), q, usesIDs)
		if a.code != codeNone {
			return
		}
	}
	if a.session != nil {
		a.session.each(a.add)
		return
	}
	if len(q.Topics) > 1 || len(q.Topics) == 1 && len(q.Topics[0].Partitions) > 1 {
		a.server.node.WarmUp(a.server.ctx, a.listed)
	}
	for i := range q.Topics {
		t := &q.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			a.add(sessionKey{topic: t.Topic, id: t.TopicId, partition: p.Partition}, paramsOf(p))
		}
	}
}

// listed yields the partitions that the request lists, nil for those that there
// are not.
func (a *fetchAnswer) listed(yield func(*replication.Partition) bool) {
	for i := range a.request.Topics {
		t := &a.request.Topics[i]
		for j := range t.Partitions {
			if !yield(a.server.cold(a.header.RequestApiVersion >= 13, t.TopicId, t.Topic, t.Partitions[j].Partition)) {
				return
			}
		}
	}
}

// add looks a partition up and puts it on the list.
func (a *fetchAnswer) add(key sessionKey, params fetchParams) {
	p := fetchPart{key: key, topic: key.topic, params: params}
	var err error
	if a.header.RequestApiVersion >= 13 {
		p.partition, err = a.server.node.PartitionByID(key.id, key.partition)
	} else {
		p.partition, err = a.server.node.Partition(key.topic, key.partition)
	}
	switch {
	case err != nil:
		p.fail(a.errorCode(err))
	case a.fromReplica():
		// Between brokers only, and there are none to replicate to.
		p.fail(codeNotLeaderOrFollower)
	}
	a.parts = append(a.parts, p)
}

// fromReplica reports whether the request claims to be another broker's.
func (a *fetchAnswer) fromReplica() bool {
	return a.request.ReplicaId >= 0 || a.request.ReplicaState.ReplicaId >= 0
}

// fail turns the part into an error.
func (p *fetchPart) fail(code int16) {
	p.code, p.partition = code, nil
	p.highWatermark, p.lastStable, p.logStart = -1, -1, -1
}

// errorCode is the code of an error as the request's version knows it.
func (a *fetchAnswer) errorCode(err error) int16 {
	code := codeOf(err)
	if code == codeKafkaStorageError && a.header.RequestApiVersion <= 5 {
		return codeNotLeaderOrFollower
	}
	return code
}

// read reads every partition, giving back what was read before.
func (a *fetchAnswer) read() {
	left, first := a.maxBytes, true
	for i := range a.parts {
		p := &a.parts[i]
		if p.partition == nil {
			continue
		}
		p.extent.Release()
		p.extent = segment.Extent{}
		// The first batch is sent even if it is larger than the limits, or its
		// consumer would never get past it; those of other partitions can wait.
		a.readPart(p, min(left, int64(max(p.params.maxBytes, 0))), first)
		if n := p.extent.Len(); n > 0 {
			left, first = max(left-n, 0), false
		}
	}
}

func (a *fetchAnswer) readPart(p *fetchPart, maxBytes int64, first bool) {
	if a.divergence(p) {
		return
	}
	r, err := p.partition.Read(a.server.ctx, replication.ReadRequest{
		From:        p.params.offset,
		MaxBytes:    maxBytes,
		AtLeastOne:  first,
		LeaderEpoch: p.params.leaderEpoch,
		Committed:   a.request.IsolationLevel == isolationCommitted,
	})
	if err != nil {
		partition := p.partition
		p.fail(a.errorCode(err))
		if p.code == codeNotLeaderOrFollower || p.code == codeFencedLeaderEpoch {
			p.partition = partition // to name its leader
		}
		a.server.corrupt(err, partition)
		return
	}
	p.code = codeNone
	p.extent, p.aborted = r.Extent, r.Aborted
	p.highWatermark, p.lastStable, p.logStart = r.HighWatermark, r.LastStable, r.LogStart
}

// isolationCommitted is the isolation level read_committed.
const isolationCommitted int8 = 1

// divergence looks, for a consumer that says which epoch it read last, whether
// the log still is the one that it read.
func (a *fetchAnswer) divergence(p *fetchPart) bool {
	p.diverges = false
	if p.params.lastFetchedEpoch < 0 || a.header.RequestApiVersion < 12 {
		return false
	}
	if p.partition.CheckEpoch(p.params.leaderEpoch) != nil {
		return false // Read says the same again
	}
	log, err := p.partition.Log()
	if err != nil {
		return false // Read says the same again
	}
	epoch, end, err := epochEnd(p.partition, p.params.lastFetchedEpoch)
	switch {
	case err != nil:
		return false
	case epoch < 0:
		// An epoch that is newer than all of ours: that log wasn't this one.
		p.fail(codeOffsetOutOfRange)
		return true
	case epoch == p.params.lastFetchedEpoch && end >= p.params.offset:
		return false
	}
	marks := log.Marks()
	p.code, p.diverges = codeNone, true
	p.divergingEpoch, p.divergingEnd = epoch, end
	p.highWatermark, p.lastStable, p.logStart = marks.Acked, marks.LastStable(), marks.Start
	return true
}

// enough reports whether the answer need not wait: there are bytes enough, or
// something that the consumer has to know at once.
func (a *fetchAnswer) enough() bool {
	if a.code != codeNone || len(a.parts) == 0 {
		return true
	}
	var bytes int64
	readable := false
	for i := range a.parts {
		p := &a.parts[i]
		if p.code != codeNone && a.failedJustNow(p) || p.diverges {
			return true
		}
		bytes += p.extent.Len()
		readable = readable || p.partition != nil
	}
	return bytes >= a.minBytes || !readable
}

// failedJustNow tells errors of reading, which are answered at once, from those
// of looking up, with which Kafka waits for the other partitions.
func (a *fetchAnswer) failedJustNow(p *fetchPart) bool {
	return p.code != codeUnknownTopicOrPartition && p.code != codeUnknownTopicID
}

func (a *fetchAnswer) ready() bool { return a.complete }

// wait waits until there is enough, the request's time is over, or the server
// shuts down.
func (a *fetchAnswer) wait(ctx context.Context) error {
	if a.complete {
		return nil
	}
	timer := time.NewTimer(time.Until(a.deadline))
	defer timer.Stop()
	for {
		// The channels are taken before the logs are looked at: what happens in
		// between closes them.
		clear(a.channels)
		a.channels = a.channels[:0]
		for i := range a.parts {
			if p := a.parts[i].partition; p != nil {
				a.channels = append(a.channels, p.Changed())
			}
		}
		a.read()
		if a.enough() {
			break
		}
		over, err := a.waitForChange(ctx, timer)
		if err != nil {
			return err
		}
		if over {
			a.read()
			break
		}
	}
	a.complete = true
	return nil
}

func (a *fetchAnswer) waitForChange(ctx context.Context, timer *time.Timer) (over bool, err error) {
	a.changes.start(a.channels)
	defer a.changes.stop()
	c := &a.changes.direct
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-a.server.drain:
		return true, nil
	case <-timer.C:
		return true, nil
	case <-a.changes.any:
	case <-c[0]:
	case <-c[1]:
	case <-c[2]:
	case <-c[3]:
	case <-c[4]:
	case <-c[5]:
	case <-c[6]:
	case <-c[7]:
	}
	return false, nil
}

func (a *fetchAnswer) extents() []segment.Extent { return a.pins }

func (a *fetchAnswer) done() {
	for i := range a.parts {
		a.parts[i].extent.Release()
	}
	small := len(a.parts) <= keepParts
	clear(a.parts)
	clear(a.pins)
	clear(a.channels)
	a.parts, a.pins, a.channels, a.session = a.parts[:0], a.pins[:0], a.channels[:0], nil
	if small {
		a.server.fetches.Put(a)
	}
}

// keepParts is how many partitions a pooled answer may have had: what larger
// ones allocated goes back to the garbage collector.
const keepParts = 4096

// corrupt logs damage that was found by reading.
func (s *Server) corrupt(err error, p *replication.Partition) {
	var damage *engine.CorruptError
	if errors.As(err, &damage) {
		s.logger.Error("damaged log", "topic", p.Topic(), "partition", p.ID(), "why", err)
	}
}
