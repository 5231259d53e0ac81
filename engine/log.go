package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Log is one partition's sequence of record batches. All methods may be called
// concurrently.
//
// One writer at a time holds mu; readers hold nothing. What they see is
// published in this order, and read in the opposite one:
//
//	append: roll → view, bytes → segment size,              read: Start, End,
//	        undecided, End                                        undecided, view
//	trim:   Start, view                                     (a part that is missing
//	cut:    generation, End, view, bytes, generation         means: look again)
//
// A reader that began before a cut, or in the middle of it, could mix positions of
// old and new bytes. It therefore compares generation before and after it has pinned
// its bytes, and starts over when it differs. Once pinned, bytes stay.
type Log struct {
	name  string
	dir   string
	fs    vfs.FS
	log   *slog.Logger
	now   func() time.Time
	store *Store

	topicID [16]byte
	config  atomic.Pointer[logConfig]

	start   atomic.Int64
	end     atomic.Int64
	durable atomic.Int64
	// undecided is the first offset of the oldest transaction that is open,
	// math.MaxInt64 if none is.
	undecided atomic.Int64
	// handed is the offset below which the kernel has all bytes, or Durable if that
	// is more. It lags behind while the policy asks for more than that.
	handed atomic.Int64
	// generation counts the cuts: each when it begins, and when it is done.
	generation atomic.Uint64
	// recovered is the recovery point that was last written down.
	recovered atomic.Int64
	// view is the parts, oldest first; never empty while the log is open. The
	// slice is never written to once it is stored here.
	view atomic.Pointer[[]*part]
	// aborted is what is known of aborted transactions, by segment; nil if there
	// are none. It is changed by whoever holds cutting, or opens the log.
	aborted atomic.Pointer[[]abortedFile]

	inGroup  bool // waits in the journal's queue; guarded by journal.mu
	acked    watch
	commit   commit
	gathered gathered
	// leaving is set when the log is about to be closed: compaction lets go of it.
	leaving atomic.Bool
	// uncleanable is set when compaction has met what it would meet again.
	uncleanable atomic.Bool
	// handing is held by who hands bytes over to the kernel: see handOver. A
	// channel, not a mutex: it is held across I/O, and can be waited for with a
	// context.
	handing chan struct{}
	held    []*part // what is handed over, guarded by handing
	// handovers counts how often that was begun; changed by who holds handing.
	handovers atomic.Uint64
	// cutting serialises what takes records away: Truncate, Trim, Reset,
	// retention and Close.
	cutting sync.Mutex
	// syncing serialises what writes beside the segments: commit workers,
	// checkpoints, Truncate, Reset and Close. Lock order: cutting, syncing, mu.
	syncing sync.Mutex
	tail    tailWork
	opening *recovery // while it is opened, and nobody else has it
	// damage guards the parts' damage; it comes after all other locks.
	damage struct {
		sync.Mutex
		unsaved bool // the quarantine file is behind
	}

	mu struct {
		sync.Mutex
		producers producers
		epochs    epochs
		// failed is why writes are refused for good.
		failed  error
		closed  bool
		journal journaling
		iov     [1][]byte // reused by append
		jitter  time.Duration

		// synced is the offset below which all bytes that are still there were
		// synced. Unlike Durable it does not grow by a trim.
		synced     int64
		newEpochs  bool  // the epoch checkpoint is behind
		snapshotAt int64 // of the last snapshot that a checkpoint wrote, -1: none

		// What the next sync has to do.

		newNames   bool              // files were made: sync the directory
		snapshots  []pendingSnapshot // taken at rolls, to be written
		early      *pendingSnapshot  // taken by a checkpoint, to be written when what it covers is synced
		flush      *time.Timer       // enqueues the log when its tail is due
		flushTimed bool              // and is running
		overdue    bool              // it has rung: the next sync covers the tail
	}
}

// logConfig is a Config with its names looked up.
type logConfig struct {
	Config
	design resolved
}

// configs are the configurations in force in a store, so that the many logs that
// have the same share it.
type configs struct {
	mu struct {
		sync.Mutex
		shared map[Config]*logConfig
	}
}

// sharedConfigsMax bounds what is remembered: what is forgotten stays in force,
// and is only not shared with logs that come later.
const sharedConfigsMax = 1000

// of returns the configuration with its names looked up.
func (s *configs) of(c Config, r resolved) *logConfig {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.mu.shared[c]; known != nil {
		return known
	}
	if s.mu.shared == nil || len(s.mu.shared) >= sharedConfigsMax {
		s.mu.shared = map[Config]*logConfig{}
	}
	known := &logConfig{Config: c, design: r}
	s.mu.shared[c] = known
	return known
}

// indexInterval is how many bytes may come without an index entry.
func (c *logConfig) indexInterval() int64 {
	if c.design.index.Dense {
		return 0
	}
	return c.IndexIntervalBytes
}

// pendingSnapshot is a producer snapshot that was taken but not written yet.
type pendingSnapshot struct {
	offset int64
	bytes  []byte
}

// Name is the log's name in its store, such as "my-topic-0".
func (l *Log) Name() string { return l.name }

// TopicID is the id that partition.metadata has.
func (l *Log) TopicID() [16]byte { return l.topicID }

// Config is the configuration in force.
func (l *Log) Config() Config { return l.config.Load().Config }

// SetConfig changes the configuration. How the log's bytes lie changes only as
// [Design.CanBecome] allows, and in segments that are opened from then on. Where
// a stricter sync policy comes into force, Marks.Acked falls back until a sync
// has caught up.
func (l *Log) SetConfig(c Config) error {
	old := l.config.Load()
	if err := old.Design.CanBecome(c.Design); err != nil {
		return fmt.Errorf("log %s: %w", l.name, err)
	}
	r, err := c.Design.resolve()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.config.Store(l.store.configs.of(c, r))
	l.noteHanded()
	// A stricter policy owes a sync for what the old one left open, and a looser one
	// may owe it to the kernel; nobody waits for that yet.
	if !l.mu.closed && l.end.Load() > l.durable.Load() {
		if l.mu.flushTimed {
			l.mu.flush.Stop()
			l.mu.flushTimed = false
		}
		l.scheduleCommit(l.config.Load())
		l.Flush()
	}
	l.acked.published(l.ackedOffset())
	return nil
}

// Marks returns the log's offsets at one moment.
func (l *Log) Marks() Marks {
	// In this order, for each may grow: Start <= Durable <= End then holds.
	m := Marks{Start: l.start.Load(), Durable: l.durable.Load()}
	m.Acked = l.ackedOffset()
	m.End = l.end.Load()
	// A cut may have come between them.
	m.Durable, m.Acked = min(m.Durable, m.End), min(max(m.Acked, m.Durable), m.End)
	m.Undecided = min(max(l.undecided.Load(), m.Start), m.End)
	return m
}

// Changed returns a channel that is closed at the next change of Marks.Acked or
// Marks.Start, or when the log fails or closes. Take it before Marks.
func (l *Log) Changed() <-chan struct{} { return l.acked.change() }

// Acked reports whether the sync policy's promise holds below upTo.
func (l *Log) Acked(upTo int64) bool { return upTo <= l.ackedOffset() }

func (l *Log) ackedOffset() int64 {
	switch {
	case bugAckEarly.made():
		return l.end.Load()
	case l.config.Load().design.sync.AckDurable:
		return l.durable.Load()
	}
	return max(l.durable.Load(), l.handed.Load())
}

// Flush has what was appended acknowledged soon: made durable, where the policy
// acknowledges no sooner. It is for appends that nobody waits for, or not yet.
func (l *Log) Flush() {
	switch p := l.config.Load().design.sync; {
	case p.Journal:
		l.store.journal.commit(l)
	case p.AckDurable || !l.Acked(l.end.Load()):
		l.store.committer.want(l)
	}
}

// Wait returns once the sync policy's promise holds below upTo. It may do the
// sync itself, and then outlast ctx by that. It fails with ErrFailed, ErrClosed
// or the context's error.
//
// It knows offsets, and not whose records they are: where a Truncate takes what is
// waited for, what is appended in its place later satisfies the Wait. On one node
// that cannot be, for only the metadata's raft truncates, and waits for nothing
// meanwhile. A leader that steps down has to answer its waiters first: their
// records' fate is decided by leader epochs, of which a Wait knows nothing.
func (l *Log) Wait(ctx context.Context, upTo int64) error {
	if l.Acked(upTo) {
		return nil
	}
	if ctx.Err() != nil {
		l.Flush()
		return ctx.Err()
	}
	switch p := l.config.Load().design.sync; {
	case p.Journal:
		if l.store.journal.submit(l) {
			l.store.journal.lead()
		}
	case !p.AckDurable:
		if err := l.handOverTo(ctx, upTo); err != nil {
			return err
		}
	case l.store.committer.lead(l):
		l.syncTail(false)
		l.store.committer.led(l)
	}
	return l.acked.wait(ctx, upTo, l.Acked)
}

// Append gives the set the next offsets and adds it, stamping offsets and leader
// epoch into the caller's bytes. It never waits for a sync: the caller calls Wait,
// or Flush if it does not care. Where segments keep appends in memory it waits, without
// a lock, while they have too much of it.
//
// A set that an idempotent producer sent before is answered with its first
// place. Errors: ErrNoSpace (try again), ErrSequence, ErrProducerFenced,
// ErrFenced, ErrTooLarge, ErrFailed, ErrClosed.
func (l *Log) Append(s batch.Set, epoch int32) (Appended, error) {
	a, err := l.tryAppend(s, epoch)
	for errors.Is(err, segment.ErrBusy) {
		l.relieve()
		a, err = l.tryAppend(s, epoch)
	}
	return a, err
}

func (l *Log) tryAppend(s batch.Set, epoch int32) (Appended, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(s, epoch); err != nil {
		return Appended{}, err
	}
	if a, dup, err := l.checkProducers(s); dup || err != nil {
		return a, err
	}
	a := Appended{Base: l.end.Load(), Time: -1, Start: l.start.Load()}
	now := l.now()
	appendTime := l.config.Load().AppendTime
	if appendTime {
		a.Time = now.UnixMilli()
	}
	next := a.Base
	for b := range s.All() {
		if appendTime {
			b.StampAppendTime(a.Time)
		}
		b.Stamp(next, epoch)
		next = b.NextOffset()
	}
	a.Next = next
	return a, l.add(s, now)
}

// Replicate adds a set whose offsets and epochs were given by a leader. It must
// begin at End or, where the leader compacted, past it.
func (l *Log) Replicate(s batch.Set) (Appended, error) {
	a, err := l.tryReplicate(s)
	for errors.Is(err, segment.ErrBusy) {
		l.relieve()
		a, err = l.tryReplicate(s)
	}
	return a, err
}

func (l *Log) tryReplicate(s batch.Set) (Appended, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.Len() == 0 {
		return Appended{}, fmt.Errorf("%s: nothing to append", l.name)
	}
	if err := l.writable(s, s.First().LeaderEpoch()); err != nil {
		return Appended{}, err
	}
	next := l.end.Load()
	a := Appended{Base: s.First().BaseOffset(), Time: -1, Start: l.start.Load()}
	for b := range s.All() {
		if b.BaseOffset() < next {
			return Appended{}, fmt.Errorf("%s: batch at offset %d does not follow the log's end %d", l.name, b.BaseOffset(), next)
		}
		next = b.NextOffset()
	}
	a.Next = next
	return a, l.add(s, l.now())
}

func (l *Log) writable(s batch.Set, epoch int32) error {
	switch {
	case l.mu.closed:
		return ErrClosed
	case l.mu.failed != nil:
		return l.mu.failed
	case s.Len() == 0:
		return fmt.Errorf("%s: nothing to append", l.name)
	case epoch < l.mu.epochs.latest():
		return fmt.Errorf("%s: epoch %d, the log is at %d: %w", l.name, epoch, l.mu.epochs.latest(), ErrFenced)
	case s.Size() > l.config.Load().SegmentBytes:
		return fmt.Errorf("%s: %d bytes, segments have at most %d: %w", l.name, s.Size(), l.config.Load().SegmentBytes, ErrTooLarge)
	}
	return nil
}

// checkProducers looks every batch of the set up before any of it is written.
func (l *Log) checkProducers(s batch.Set) (a Appended, duplicate bool, err error) {
	for b := range s.All() {
		old, dup, err := l.mu.producers.check(b)
		if err != nil {
			return Appended{}, false, fmt.Errorf("%s: %w", l.name, err)
		}
		if !dup {
			continue
		}
		if s.Len() > 1 {
			return Appended{}, false, fmt.Errorf("%s: a batch sent again in a set of %d: %w", l.name, s.Len(), ErrSequence)
		}
		return Appended{
			Base: old.lastOffset - int64(old.offsetDelta), Next: old.lastOffset + 1,
			Time: l.appendTime(old), Start: l.start.Load(), Duplicate: true,
		}, true, nil
	}
	return Appended{}, false, nil
}

func (l *Log) appendTime(s sentBatch) int64 {
	if l.config.Load().AppendTime {
		return s.timestamp
	}
	return -1
}

// add writes a stamped set at the end and publishes it.
func (l *Log) add(s batch.Set, now time.Time) error { return l.addWith(s, now, l.config.Load()) }

func (l *Log) addWith(s batch.Set, now time.Time, c *logConfig) error {
	first := s.First()
	parts := *l.view.Load()
	tail := parts[len(parts)-1]
	if err := tail.acquire(); err != nil {
		return err
	}
	defer tail.release()
	p, err := l.room(tail, s, now, c)
	if err != nil {
		return err
	}
	p.keep()
	l.mu.iov[0] = s.Bytes()
	pos, err := p.seg.Append(l.mu.iov[:])
	l.mu.iov[0] = nil
	if errors.Is(err, vfs.ErrNoSpace) || errors.Is(err, segment.ErrBusy) {
		return fmt.Errorf("%s: %w", l.name, err)
	}
	if err != nil {
		return l.fail(fmt.Errorf("append at offset %d: %w", first.BaseOffset(), err))
	}
	if l.mu.synced >= l.end.Load() {
		l.mu.journal.next = mark{offset: l.end.Load(), base: p.base, pos: pos}
	}
	next := first.BaseOffset()
	for b := range s.All() {
		if err := p.note(b, pos, c.indexInterval()); err != nil {
			return l.fail(fmt.Errorf("index offset %d: %w", b.BaseOffset(), err))
		}
		if l.mu.epochs.assign(b.LeaderEpoch(), b.BaseOffset()) {
			l.mu.newEpochs = true
		}
		l.remember(b)
		pos += int64(len(b))
		next = b.NextOffset()
	}
	p.written = now
	l.gathered.add(next-first.BaseOffset(), s.Size(), now)
	l.end.Store(next)
	if !c.design.sync.AckDurable {
		l.noteHanded()
		l.acked.published(l.ackedOffset())
	}
	l.scheduleCommit(c)
	return nil
}

// room returns the part that the set goes into: p, which is the last one and
// acquired, or one more that is kept open.
func (l *Log) room(p *part, s batch.Set, now time.Time, c *logConfig) (*part, error) {
	base, last := s.First().BaseOffset(), int64(0)
	for b := range s.All() {
		last = b.LastOffset()
	}
	if p.fits(s.Size(), last, &c.Config) && (p.seg.Size() == 0 || l.age(p, s, now) < c.rollAge()-l.mu.jitter) {
		return p, nil
	}
	// Segments follow each other without a gap, also where the leader compacted:
	// recovery takes a gap for records that a crash has lost.
	if next := l.end.Load(); last-next <= maxRelative {
		base = next
	}
	if p.seg.Size() == 0 && p.base == base {
		return nil, fmt.Errorf("%s: %d bytes with offsets up to %d do not fit into an empty segment: %w", l.name, s.Size(), last, ErrTooLarge)
	}
	if l.holdsSealed() {
		return nil, segment.ErrBusy
	}
	return l.roll(base, c)
}

// age is how long ago the part was begun, in the time of its records where they
// have one: as in Kafka a log that is replayed rolls as it did the first time.
func (l *Log) age(p *part, s batch.Set, now time.Time) time.Duration {
	if t := s.First().MaxTimestamp(); p.oldest >= 0 && t >= 0 {
		return millis(t - p.oldest)
	}
	return now.Sub(p.begun)
}

// roll seals the last part and begins one at base, which is kept open. Either both
// happen or, with ErrNoSpace, neither.
func (l *Log) roll(base int64, c *logConfig) (*part, error) {
	parts := *l.view.Load()
	old := parts[len(parts)-1]
	if err := old.acquire(); err != nil {
		return nil, err
	}
	defer old.release()
	p, _, err := openPart(l, base, true)
	if errors.Is(err, fs.ErrExist) {
		// Left by a roll that failed half-way: no part of the view has this base.
		if err := l.removeFiles(base); err != nil {
			return nil, l.fail(fmt.Errorf("roll at offset %d: %w", base, err))
		}
		p, _, err = openPart(l, base, true)
	}
	if errors.Is(err, vfs.ErrNoSpace) {
		_ = l.removeFiles(base) // what stays is dealt with by the next try
		return nil, fmt.Errorf("%s: no room for a new segment: %w", l.name, err)
	}
	if vfs.OutOfFiles(err) {
		_ = l.removeFiles(base)
		return nil, fmt.Errorf("%s: no new segment: %w", l.name, err)
	}
	if err == nil {
		old.keep()
		p.keep()
		p.release()
		err = old.seal()
	}
	if err != nil {
		return nil, l.fail(fmt.Errorf("roll at offset %d: %w", base, err))
	}
	p.begun, p.written, p.surveyed = l.now(), l.now(), true
	l.mu.newNames = true
	l.mu.snapshots, l.mu.early = append(l.mu.snapshots, pendingSnapshot{base, encodeSnapshot(&l.mu.producers)}), nil
	l.mu.jitter = randomJitter(c.SegmentJitter)
	l.publish(append(parts[:len(parts):len(parts)], p))
	l.store.committer.enqueue(l) // the sealed part, whatever the policy
	return p, nil
}

func randomJitter(bound time.Duration) time.Duration {
	if bound <= 0 {
		return 0
	}
	return rand.N(bound)
}

func (l *Log) publish(parts []*part) { l.view.Store(&parts) }

func (l *Log) partOptions(c *logConfig) partOptions {
	return partOptions{fs: l.fs, dir: l.dir, config: &c.Config, design: c.design, shelf: &l.store.shelf}
}

// fail ends writing for good, and wakes everyone who waits.
func (l *Log) fail(err error) error {
	if l.mu.failed == nil {
		l.mu.failed = fmt.Errorf("%s: %w: %w", l.name, ErrFailed, err)
		l.log.Error("log failed: it serves what it has and refuses writes until it is opened again", "log", l.name, "err", err)
	}
	l.acked.fail(l.mu.failed)
	return l.mu.failed
}
