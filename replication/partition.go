package replication

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication/quorum"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// Partition is this broker's replica of one partition, of which it is the
// leader. All methods may be called concurrently. A Partition outlives its
// topic: then it answers [ErrUnknownTopic].
type Partition struct {
	topic   string
	topicID [16]byte
	id      int32
	epoch   atomic.Int32
	deleted atomic.Bool
	log     *engine.Log
	quorum  *quorum.Single
}

func newPartition(topic string, topicID [16]byte, id, epoch int32, l *engine.Log) *Partition {
	p := &Partition{topic: topic, topicID: topicID, id: id, log: l, quorum: quorum.NewSingle(l)}
	p.epoch.Store(epoch)
	return p
}

// Topic is the topic's name.
func (p *Partition) Topic() string { return p.topic }

// TopicID is the topic's id.
func (p *Partition) TopicID() [16]byte { return p.topicID }

// ID is the partition's number within its topic.
func (p *Partition) ID() int32 { return p.id }

// LeaderEpoch is the epoch in which this broker leads the partition.
func (p *Partition) LeaderEpoch() int32 { return p.epoch.Load() }

// Log is where the records are.
func (p *Partition) Log() *engine.Log { return p.log }

// HighWatermark is the offset below which consumers see records.
func (p *Partition) HighWatermark() int64 { return p.quorum.Committed() }

// LastStable is the offset below which every transaction is decided.
func (p *Partition) LastStable() int64 { return p.HighWatermark() }

// Changed returns a channel that is closed at the next change of the high
// watermark or the log's start, or when the partition goes away. Take it before
// reading either.
func (p *Partition) Changed() <-chan struct{} { return p.log.Changed() }

// AnyEpoch is the leader epoch of a client that does not know one.
const AnyEpoch int32 = -1

// CheckEpoch compares the leader epoch that a client knows with ours:
// ErrFencedEpoch for an older one, ErrUnknownEpoch for a newer.
func (p *Partition) CheckEpoch(epoch int32) error {
	switch ours := p.epoch.Load(); {
	case epoch == AnyEpoch || epoch == ours:
		return nil
	case epoch < ours:
		return fmt.Errorf("%s-%d: leader epoch %d, this is %d: %w", p.topic, p.id, epoch, ours, ErrFencedEpoch)
	default:
		return fmt.Errorf("%s-%d: leader epoch %d, this is %d: %w", p.topic, p.id, epoch, ours, ErrUnknownEpoch)
	}
}

// Append adds a set in the order of the calls and never waits; see
// [quorum.Pending]. leaderEpoch may be AnyEpoch. Errors are those of CheckEpoch,
// of [engine.Log.Append], quorum.ErrAcks and ErrUnknownTopic.
func (p *Partition) Append(s batch.Set, acks quorum.Acks, leaderEpoch int32) (quorum.Pending, error) {
	if err := p.CheckEpoch(leaderEpoch); err != nil {
		return quorum.Pending{}, err
	}
	pending, err := p.quorum.Append(s, p.epoch.Load(), acks)
	if err != nil {
		return quorum.Pending{}, p.explain(err)
	}
	return pending, nil
}

// ReadRequest says what to read.
type ReadRequest struct {
	From int64
	// MaxBytes bounds the Extent; with AtLeastOne the first batch is returned
	// whole even if it is larger.
	MaxBytes   int64
	AtLeastOne bool
	// LeaderEpoch is the one the client knows, or AnyEpoch.
	LeaderEpoch int32
	// Committed stops at the last stable offset (read_committed).
	Committed bool
}

// ReadResult is a run of batches and the offsets around it, as they were before
// the read.
type ReadResult struct {
	// Extent must be released. It may be empty, and may end within a batch.
	Extent        segment.Extent
	HighWatermark int64
	LastStable    int64
	LogStart      int64
}

// Read returns batches from the one that holds From, below the high watermark. A
// From at or past the high watermark, up to the log's end, gives an empty
// Extent. On a *engine.RangeError the offsets of the result are valid. Errors
// are those of CheckEpoch, of [engine.Log.Read], and ErrUnknownTopic.
func (p *Partition) Read(ctx context.Context, r ReadRequest) (ReadResult, error) {
	if err := p.CheckEpoch(r.LeaderEpoch); err != nil {
		return ReadResult{}, err
	}
	m := p.log.Marks()
	result := ReadResult{HighWatermark: m.Acked, LastStable: m.Acked, LogStart: m.Start}
	if r.From >= m.Acked && r.From <= m.End && r.From >= m.Start {
		return result, p.gone()
	}
	var err error
	result.Extent, err = p.log.Read(ctx, engine.Read{
		From: r.From, UpTo: m.Acked, MaxBytes: r.MaxBytes, AtLeastOne: r.AtLeastOne,
	})
	if err != nil {
		return result, p.explain(err)
	}
	return result, nil
}

// gone is the error of a partition whose topic was deleted.
func (p *Partition) gone() error {
	if p.deleted.Load() {
		return fmt.Errorf("%s-%d was deleted: %w", p.topic, p.id, ErrUnknownTopic)
	}
	return nil
}

// explain tells a log that is closed since its topic was deleted from one that
// is closed since the broker stops.
func (p *Partition) explain(err error) error {
	if errors.Is(err, engine.ErrClosed) {
		if gone := p.gone(); gone != nil {
			return gone
		}
	}
	return err
}
