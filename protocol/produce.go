package protocol

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// Produce, versions 3 to 13. Version 0 is what ApiVersions says is the oldest,
// since librdkafka takes a newer minimum to mean that the broker knows none of
// the old compressions; 0 to 2 close the connection, as in Kafka.
//
//	 3  record batches of magic 2, one for each partition; transactional ids
//	 5  the log's start in the response
//	 7  zstd
//	 8  record errors and messages
//	 9  flexible
//	10  the current leader and its endpoint on NOT_LEADER_OR_FOLLOWER (KIP-951)
//	11, 12  transactions v2
//	13  topic ids instead of names
//
// A request with acks 0 gets no answer; if it fails, its connection is closed,
// which is all that its producer can notice.

// produceAnswer is a Produce request whose batches were appended, and which
// waits until they are safe.
type produceAnswer struct {
	server   *Server
	listener string
	header   wire.RequestHeader
	request  wire.ProduceRequest
	response wire.ProduceResponse
	waits    []produceWait
	timeout  time.Duration
}

// produceWait is one appended batch: pending, and where its result stands in
// the response.
type produceWait struct {
	pending          replication.Pending
	topic, partition int
}

// noAcks asks for no answer.
const noAcks int16 = 0

// minSyncTime is how long a Produce request waits for this broker's disk at
// least, whatever time it gives: that time is meant for replicas, and Kafka's
// leader answers one of 0 with success, as its own log needs no waiting.
const minSyncTime = 5 * time.Second

// produce appends the request's batches.
func (s *Server) produce(r *request) (answer, error) {
	a, _ := s.produces.Get().(*produceAnswer)
	if a == nil {
		a = &produceAnswer{server: s}
	}
	a.header, a.listener = r.header, r.conn.listener
	if err := a.request.Decode(r.body, r.version()); err != nil {
		a.done()
		return nil, err
	}
	a.timeout = max(time.Duration(a.request.TimeoutMs)*time.Millisecond, minSyncTime)
	a.response.Default()
	if a.many() {
		s.node.WarmUp(s.ctx, a.partitions)
	}
	for i := range a.request.TopicData {
		t := &a.request.TopicData[i]
		out := wire.Append(&a.response.Responses)
		out.Name, out.TopicId = t.Name, t.TopicId
		for j := range t.PartitionData {
			a.partition(t, &t.PartitionData[j], wire.Append(&out.PartitionResponses))
		}
	}
	// The frame is the connection's again once this returns.
	a.release()
	if a.request.Acks != noAcks {
		return a, nil
	}
	defer a.done()
	return nil, a.failure()
}

// many reports whether the request is for more than one partition.
func (a *produceAnswer) many() bool {
	topics := a.request.TopicData
	return len(topics) > 1 || len(topics) == 1 && len(topics[0].PartitionData) > 1
}

// partitions yields the request's partitions, nil for those that there are not.
func (a *produceAnswer) partitions(yield func(*replication.Partition) bool) {
	for i := range a.request.TopicData {
		t := &a.request.TopicData[i]
		for j := range t.PartitionData {
			if !yield(a.server.cold(a.header.RequestApiVersion >= 13, t.TopicId, t.Name, t.PartitionData[j].Index)) {
				return
			}
		}
	}
}

// cold finds the partition that a request names, its topic by id or by name, and
// leaves its log as it is; nil if there is none.
func (s *Server) cold(byID bool, id [16]byte, name string, partition int32) *replication.Partition {
	if byID {
		return s.node.ColdPartition(id, partition)
	}
	return s.node.ColdPartitionNamed(name, partition)
}

// partition appends what was sent for one partition.
func (a *produceAnswer) partition(t *wire.ProduceRequestTopicProduceData, d *wire.ProduceRequestPartitionProduceData, out *wire.ProduceResponsePartitionProduceResponse) {
	out.Index, out.BaseOffset = d.Index, -1
	p, err := a.find(t, d.Index)
	var pending replication.Pending
	if err == nil {
		pending, err = a.append(p, d.Records)
	}
	if err != nil {
		a.fail(out, p, err)
		return
	}
	out.BaseOffset = pending.Base
	out.LogAppendTimeMs = pending.Time
	out.LogStartOffset = pending.Start
	if !pending.Done() {
		a.waits = append(a.waits, produceWait{pending, len(a.response.Responses) - 1, len(a.response.Responses[len(a.response.Responses)-1].PartitionResponses) - 1})
	}
}

func (a *produceAnswer) find(t *wire.ProduceRequestTopicProduceData, index int32) (*replication.Partition, error) {
	switch {
	case !replication.Acks(a.request.Acks).Valid():
		return nil, replication.ErrAcks
	case a.request.TransactionalId != nil:
		return nil, errTransactions
	case a.header.RequestApiVersion >= 13:
		return a.server.node.PartitionByID(t.TopicId, index)
	}
	return a.server.node.Partition(t.Name, index)
}

// append checks a producer's records against the topic's rules and appends them.
func (a *produceAnswer) append(p *replication.Partition, records wire.Records) (replication.Pending, error) {
	var none replication.Pending
	c := p.Config()
	if err := a.checkSize(records.Bytes, c); err != nil {
		return none, err
	}
	set, err := batch.Parse(records.Bytes)
	if err != nil {
		return none, err
	}
	if set.Len() != 1 {
		return none, fmt.Errorf("%w: Produce requests must have exactly one record batch for each partition, not %d", batch.ErrInvalid, set.Len())
	}
	b := set.First()
	switch {
	case b.IsTransactional():
		return none, errTransactions
	case b.Codec() == batch.Zstd && a.header.RequestApiVersion < 7:
		return none, fmt.Errorf("%w: Produce requests before version 7 cannot use zstd", batch.ErrCodec)
	}
	facts, err := b.Examine(rulesOf(c))
	if err != nil {
		return none, err
	}
	if !c.AppendTime {
		b.StampMaxTimestamp(facts.MaxTimestamp)
	}
	if set, err = recompressed(set, c); err != nil {
		return none, err
	}
	return p.Append(set, replication.Acks(a.request.Acks), replication.AnyEpoch)
}

// checkSize refuses a batch that is larger than the topic allows, before all of
// it is read for its checksum.
func (a *produceAnswer) checkSize(records []byte, c *engine.Config) error {
	if len(records) == 0 {
		return fmt.Errorf("%w: Produce requests must have exactly one record batch for each partition, not none", batch.ErrInvalid)
	}
	size, err := batch.PeekSize(records)
	if err == nil && size <= int64(len(records)) && size > c.MaxMessageBytes {
		return &tooLargeError{size: size, max: c.MaxMessageBytes}
	}
	return err
}

// rulesOf are what a topic's configuration asks of a batch.
func rulesOf(c *engine.Config) batch.Rules {
	r := batch.Rules{RequireKeys: c.Compact}
	if !c.AppendTime {
		now := time.Now().UnixMilli()
		if before := c.TimestampBeforeMax.Milliseconds(); before < math.MaxInt64/int64(time.Millisecond) {
			r.MinTimestamp = now - before
		}
		if after := c.TimestampAfterMax.Milliseconds(); after < math.MaxInt64/int64(time.Millisecond) {
			r.MaxTimestamp = now + after
		}
	}
	return r
}

// recompressed returns the set in the compression that the topic wants.
func recompressed(set batch.Set, c *engine.Config) (batch.Set, error) {
	codec, level, recode, err := c.Compression()
	if err != nil || !recode || codec == set.First().Codec() {
		return set, err
	}
	b, err := batch.Recompress(set.First(), codec, level, 0)
	if err != nil {
		return set, err
	}
	if int64(len(b)) > c.MaxMessageBytes {
		return set, &tooLargeError{size: int64(len(b)), max: c.MaxMessageBytes}
	}
	return batch.Trusted(b)
}

// fail notes why a partition's batch was not appended.
func (a *produceAnswer) fail(out *wire.ProduceResponsePartitionProduceResponse, p *replication.Partition, err error) {
	out.ErrorCode = codeOf(err)
	out.BaseOffset, out.LogAppendTimeMs, out.LogStartOffset = -1, -1, -1
	if p != nil && out.ErrorCode != codeMessageTooLarge && out.ErrorCode != codeCorruptMessage {
		if log, err := p.Log(); err == nil {
			out.LogStartOffset = log.Marks().Start
		}
	}
	if out.ErrorCode == codeKafkaStorageError && a.header.RequestApiVersion < 4 {
		out.ErrorCode = codeNotLeaderOrFollower
	}
	blame(out, err)
	if explained(out.ErrorCode) {
		why := err.Error()
		out.ErrorMessage = &why
	}
	if out.ErrorCode == codeNotLeaderOrFollower && p != nil && a.header.RequestApiVersion >= 10 {
		a.nameLeader(out, p)
	}
	if out.ErrorCode == codeUnknownServerError || out.ErrorCode == codeKafkaStorageError {
		if others, ok := a.server.failures.due(); ok {
			a.server.logger.Error("append failed", "topic", topicName(p), "partition", out.Index, "why", err, "others_before", others)
		}
	}
}

// blame names the records that an error is about.
func blame(out *wire.ProduceResponsePartitionProduceResponse, err error) {
	var all batch.RecordErrors
	if one := (*batch.RecordError)(nil); !errors.As(err, &all) && errors.As(err, &one) {
		all = batch.RecordErrors{one}
	}
	for _, r := range all {
		e := wire.Append(&out.RecordErrors)
		e.BatchIndex, e.BatchIndexErrorMessage = r.Index, &r.Why
	}
}

// explained reports whether the message of an error tells its producer more
// than the code does.
func explained(code int16) bool {
	switch code {
	case codeInvalidRecord, codeCorruptMessage, codeInvalidTimestamp, codeUnsupportedCompression,
		codeMessageTooLarge, codeInvalidRequest, codeInvalidRequiredAcks:
		return true
	}
	return false
}

// nameLeader tells a producer that came to the wrong broker where to go.
func (a *produceAnswer) nameLeader(out *wire.ProduceResponsePartitionProduceResponse, p *replication.Partition) {
	leader := a.server.leaderOf(p)
	out.CurrentLeader.LeaderId, out.CurrentLeader.LeaderEpoch = leader, p.LeaderEpoch()
	for i := range a.response.NodeEndpoints {
		if a.response.NodeEndpoints[i].NodeId == leader {
			return
		}
	}
	if b, ok := a.server.broker(leader, a.listener); ok {
		e := wire.Append(&a.response.NodeEndpoints)
		e.NodeId, e.Host, e.Port, e.Rack = b.id, b.host, b.port, b.rack
	}
}

// release drops what points into the frame.
func (a *produceAnswer) release() {
	for i := range a.request.TopicData {
		t := &a.request.TopicData[i]
		for j := range t.PartitionData {
			t.PartitionData[j].Records = wire.Records{}
		}
	}
}

// failure is the error for which a request without an answer closes its
// connection, if any.
func (a *produceAnswer) failure() error {
	for i := range a.response.Responses {
		t := &a.response.Responses[i]
		for j := range t.PartitionResponses {
			if p := &t.PartitionResponses[j]; p.ErrorCode != codeNone {
				why := ""
				if p.ErrorMessage != nil {
					why = ": " + *p.ErrorMessage
				}
				return fmt.Errorf("%w: topic %q partition %d: error code %d%s", errNoAnswer, t.Name, p.Index, p.ErrorCode, why)
			}
		}
	}
	return nil
}

func (a *produceAnswer) ready() bool {
	for i := range a.waits {
		if !a.waits[i].pending.Done() {
			return false
		}
	}
	return true
}

// wait waits for each batch, at most as long as the producer does and at least
// minSyncTime. Then its
// result is REQUEST_TIMED_OUT: the batch may or may not survive.
func (a *produceAnswer) wait(ctx context.Context) error {
	if a.ready() {
		return nil
	}
	limit, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	if len(a.waits) > 1 {
		a.start() // side by side
	}
	for i := range a.waits {
		w := &a.waits[i]
		if err := w.pending.Wait(limit); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			t := &a.response.Responses[w.topic]
			a.fail(&t.PartitionResponses[w.partition], nil, err)
		}
	}
	return nil
}

func (a *produceAnswer) encode(w *wire.Writer) { encode(w, &a.header, &a.response) }

func (a *produceAnswer) extents() []segment.Extent { return nil }

// start has the syncs that it waits for done meanwhile.
func (a *produceAnswer) start() {
	for i := range a.waits {
		a.waits[i].pending.Flush()
	}
}

func (a *produceAnswer) done() {
	a.start() // nothing is left to do, unless nobody waited
	small := len(a.response.Responses) <= keepParts && len(a.waits) <= keepParts
	clear(a.waits)
	a.waits = a.waits[:0]
	if small {
		a.server.produces.Put(a)
	}
}

func topicName(p *replication.Partition) string {
	if p == nil {
		return ""
	}
	return p.Topic()
}
