package replication

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication/quorum"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// Partition is this broker's replica of one partition, of which it is the
// leader. All methods may be called concurrently. A Partition outlives its
// topic: then it answers [ErrUnknownTopic].
//
// Most partitions of a broker are idle, so one that is not used is cold: what is
// below, and no log. Its log is opened by the first use, in which it is recovered
// if a crash came before it, and made if there is none yet: a partition that was
// never used is a line in the metadata, and nothing on the disk. Whoever comes
// meanwhile waits for the one opening. An error of it is the partition's
// ([ErrOffline]) until the next start, but for a full disk, on which the next use
// tries again. Housekeeping closes logs again that nobody has used for a while;
// who finds a log closed under his hands by that opens it anew.
//
// The way not taken is a log that is open and knows little: every method of it
// would begin with a question, and could fail, where now one place can.
type Partition struct {
	node    *Node
	topic   string
	topicID [16]byte
	id      int32
	epoch   atomic.Int32
	deleted atomic.Bool
	// used is set by every use, and taken back by housekeeping.
	used   atomic.Bool
	config atomic.Pointer[engine.Config]
	// open is nil while the partition is cold. It is set, and taken back, by who
	// has put moving in place.
	open atomic.Pointer[opened]
	// mark is the high watermark as it was last known, to this run or to the one
	// before.
	mark atomic.Int64
	// disk is what is known of the log's directory: unseen, absent or ours.
	disk atomic.Int32
	// due is when a cold log that is ours is to be looked at by housekeeping, in
	// milliseconds since 1970.
	due   atomic.Int64
	bytes atomic.Int64 // size of a log that is cold, -1: not known
	mu    struct {
		sync.Mutex
		// moving is closed when who opens or closes the log is done.
		moving chan struct{}
		// err is why the log could not be opened.
		err error
	}
}

// opened is what a partition has while it is not cold.
type opened struct {
	log    *engine.Log
	quorum quorum.Single
}

const dueNever int64 = 1<<63 - 1

const (
	unseen int32 = iota // one of its name was there at the start; nobody has looked whose it is
	absent              // the partition has none: it was never used
	ours                // the log was opened, or made, in this run
)

func newPartition(n *Node, t *Topic, id int32, c *engine.Config) *Partition {
	p := &Partition{node: n, topic: t.Name, topicID: t.ID, id: id}
	p.epoch.Store(t.Partitions[id].Epoch)
	p.config.Store(c)
	p.due.Store(dueNever)
	p.bytes.Store(-1)
	return p
}

// use returns the open log.
func (p *Partition) use() (*opened, error) {
	if o := p.open.Load(); o != nil {
		if !p.used.Load() { // a store by every reader would cost them all
			p.used.Store(true)
		}
		return o, nil
	}
	return p.warm()
}

// move waits until nobody opens or closes the log, and locks p.mu.
func (p *Partition) move() {
	p.mu.Lock()
	for p.mu.moving != nil {
		moved := p.mu.moving
		p.mu.Unlock()
		<-moved
		p.mu.Lock()
	}
}

// warm opens the log.
func (p *Partition) warm() (*opened, error) {
	p.move()
	o, err := p.open.Load(), p.mu.err
	if errors.Is(err, engine.ErrNoSpace) {
		err = nil
	}
	if p.deleted.Load() {
		err = p.gone()
	}
	if o != nil || err != nil {
		p.mu.Unlock()
		return o, err
	}
	moving := make(chan struct{})
	p.mu.moving = moving
	p.mu.Unlock()

	o, err = p.node.openReplica(p)

	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.moving = nil
	close(moving)
	if !errors.Is(err, engine.ErrClosed) {
		p.mu.err = err
	}
	if err != nil {
		return nil, err
	}
	p.used.Store(true)
	p.disk.Store(ours)
	p.open.Store(o)
	p.configure()
	p.node.warm.add(p)
	return o, nil
}

// reconfigure puts another configuration in force: in an open log now, and for a
// cold one at the next round of housekeeping, since what was due was so by the old.
func (p *Partition) reconfigure(c *engine.Config) {
	if was := p.config.Swap(c); *was != *c && p.disk.Load() == ours {
		p.due.Store(0)
	}
	p.configure()
}

// configure brings the log in line with the configuration, which may have changed
// while it was being opened.
func (p *Partition) configure() {
	o, c := p.open.Load(), p.config.Load()
	if o == nil || *c == o.log.Config() {
		return
	}
	if err := o.log.SetConfig(*c); err != nil {
		p.node.log.Warn("configuration not applied to an open log", "log", o.log.Name(), "err", err)
	}
}

// cool closes the log if nothing is left to do for it.
func (p *Partition) cool() {
	p.move()
	o := p.open.Load()
	if o == nil {
		p.mu.Unlock()
		return
	}
	moving := make(chan struct{})
	p.mu.moving = moving
	p.mu.Unlock()

	rested, ok := o.log.CloseIdle()

	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.moving = nil
	close(moving)
	if !ok {
		return
	}
	if p.mark.Swap(rested.Marks.Acked) != rested.Marks.Acked {
		p.node.marksChanged.Store(true)
	}
	p.bytes.Store(rested.Bytes)
	due := dueNever
	if !rested.Due.IsZero() {
		due = rested.Due.UnixMilli()
	}
	// What was due before is so still: a log that is opened for a moment, again and
	// again, would put retention off for ever.
	p.due.Store(min(p.due.Load(), due))
	p.open.Store(nil)
	p.node.warm.remove(p)
}

// end lets the partition answer ErrUnknownTopic from now on. When it returns
// nobody opens the log, and nobody will.
func (p *Partition) end() {
	p.deleted.Store(true)
	p.move()
	p.open.Store(nil)
	p.mu.Unlock()
	p.node.warm.remove(p)
}

// Offline reports whether the log could not be opened. It does not try.
func (p *Partition) Offline() bool { return p.offline() != nil }

// offline is why the log could not be opened, nil if it could or was not tried.
func (p *Partition) offline() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.err
}

// again reports whether a call on o is to be repeated that found its log closed:
// housekeeping has closed it, and it can be opened.
func (p *Partition) again(o *opened, err error) bool {
	if !errors.Is(err, engine.ErrClosed) {
		return false
	}
	p.move()
	defer p.mu.Unlock()
	return p.open.Load() != o && !p.deleted.Load()
}

// Topic is the topic's name.
func (p *Partition) Topic() string { return p.topic }

// TopicID is the topic's id.
func (p *Partition) TopicID() [16]byte { return p.topicID }

// ID is the partition's number within its topic.
func (p *Partition) ID() int32 { return p.id }

// LeaderEpoch is the epoch in which this broker leads the partition.
func (p *Partition) LeaderEpoch() int32 { return p.epoch.Load() }

// Config is the configuration in force, not to be written to.
func (p *Partition) Config() *engine.Config { return p.config.Load() }

// Log is where the records are. It opens the log, which is closed again when
// nobody has asked for it in a while: it is to be used now, for what a closed log
// does as well; for anything else there is With. Errors: ErrOffline,
// ErrUnknownTopic, engine.ErrClosed.
func (p *Partition) Log() (*engine.Log, error) {
	o, err := p.use()
	if err != nil {
		return nil, err
	}
	return o.log, nil
}

// With calls f with the open log, and again if it fails because housekeeping has
// closed the log under its hands. Errors are those of f and of Log.
func (p *Partition) With(f func(l *engine.Log) error) error {
	for {
		o, err := p.use()
		if err == nil {
			err = f(o.log)
		}
		if o == nil || !p.again(o, err) {
			return p.explain(err)
		}
	}
}

// Bytes is the size of the log. It does not open it.
func (p *Partition) Bytes() (int64, error) {
	if o := p.open.Load(); o != nil {
		return o.log.Bytes(), nil
	}
	if p.disk.Load() == absent {
		return 0, nil
	}
	if n := p.bytes.Load(); n >= 0 {
		return n, nil
	}
	return p.node.store.SizeOf(p.name())
}

func (p *Partition) name() string { return logName(p.topic, p.id) }

// HighWatermark is the offset below which consumers see records. Of a partition
// that cannot be used it is the one that was known last.
func (p *Partition) HighWatermark() int64 {
	if o := p.open.Load(); o != nil {
		return o.quorum.Committed()
	}
	return p.mark.Load()
}

// Changed returns a channel that is closed at the next change of the high
// watermark or the log's start, when the partition goes away, and now and then
// without a reason. Take it before reading either.
func (p *Partition) Changed() <-chan struct{} {
	o, err := p.use()
	if err != nil {
		now := make(chan struct{})
		close(now)
		return now
	}
	return o.log.Changed()
}

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
	for {
		o, err := p.use()
		if err != nil {
			return quorum.Pending{}, p.explain(err)
		}
		pending, err := o.quorum.Append(s, p.epoch.Load(), acks)
		if err == nil {
			return pending, nil
		}
		if !p.again(o, err) {
			return quorum.Pending{}, p.explain(err)
		}
	}
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
	// Committed stops at the last stable offset (read_committed), and asks for
	// the aborted transactions below it.
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
	// Aborted are the transactions that records of the Extent may belong to and
	// that were aborted, if they were asked for.
	Aborted []engine.Aborted
}

// Read returns batches from the one that holds From, below the high watermark. A
// From at or past the high watermark, up to the log's end, gives an empty
// Extent. On a *engine.RangeError the offsets of the result are valid. Errors
// are those of CheckEpoch, of [engine.Log.Read], and ErrUnknownTopic.
func (p *Partition) Read(ctx context.Context, r ReadRequest) (ReadResult, error) {
	if err := p.CheckEpoch(r.LeaderEpoch); err != nil {
		return ReadResult{}, err
	}
	for {
		o, err := p.use()
		if err != nil {
			return ReadResult{}, p.explain(err)
		}
		result, err := p.read(ctx, o.log, r)
		if !p.again(o, err) {
			return result, err
		}
	}
}

func (p *Partition) read(ctx context.Context, l *engine.Log, r ReadRequest) (ReadResult, error) {
	m := l.Marks()
	result := ReadResult{HighWatermark: m.Acked, LastStable: m.LastStable(), LogStart: m.Start}
	upTo := result.HighWatermark
	if r.Committed {
		upTo = result.LastStable
	}
	if r.From >= upTo && r.From <= m.End && r.From >= m.Start {
		return result, p.gone()
	}
	var err error
	result.Extent, err = l.Read(ctx, engine.Read{
		From: r.From, UpTo: upTo, MaxBytes: r.MaxBytes, AtLeastOne: r.AtLeastOne,
	})
	if err != nil {
		return result, p.explain(err)
	}
	if r.Committed && result.Extent.Len() > 0 {
		result.Aborted = l.Aborted(r.From, result.LastStable)
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
