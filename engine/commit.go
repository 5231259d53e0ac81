package engine

import (
	"fmt"
	"sync"
	"time"
)

// committer makes logs durable: the one place that syncs what was appended.
//
// Who waits for an append leads, if nobody does: notes the log's End, syncs,
// publishes Durable = that End, and so wakes everyone who waits below it. Who
// waits while somebody leads asks for one more sync after it, which a worker
// does: it serves all who gathered during the one before. Group commit falls out
// of that, without a timer and without a choice of how long to wait. Logs that
// nobody waits for are put into a queue, at most once each, for the workers.
//
// A policy may have the sync wait for more to gather. Nobody sits out that wait:
// whoever comes when the policy says that it is over leads, and if nobody does, a
// timer puts the log into the queue.
//
// That the first one leads matters twice. Alone, it saves two changes of
// goroutine. Among many, the sync begins at once: a worker that has to be
// scheduled first begins when all the others, who were runnable before it, have
// appended too; then everybody waits for the same sync, and the processors for
// nobody.
//
// Invariants:
//   - a log is synced by at most one goroutine at a time: a second fdatasync of
//     the same file would only gather fewer;
//   - a log with End > Durable and a policy that wants it durable is in the
//     queue, or being synced, or has a timer that will put it there, or whoever
//     appended to it is about to call Wait or Flush;
//   - there are at most workersMax workers, whatever the number of logs.
//
// The ways not taken: a goroutine for each log, which is simpler, but costs every
// idle partition its stack; and no workers, so that the leader goes on for those
// who came after it, at the cost of its own answer.
type committer struct {
	workersMax int
	mu         struct {
		sync.Mutex
		queue   []*Log // first in, first out, from head on
		head    int
		workers int
		parked  int // workers that wait for work, and that nobody has woken
		stopped bool
		work    *sync.Cond // something was queued, or stop was called
		rest    *sync.Cond // a worker has done with a log, or ended
	}
}

// commit is a log's place in the committer, guarded by committer.mu.
type commit struct {
	queued  bool
	syncing bool
	again   bool        // was enqueued while syncing
	wanted  bool        // somebody has waited for an append while syncing
	linger  *time.Timer // enqueues the log when its tail has waited for more
	lingers bool        // and is running
}

// begin makes a goroutine the one that syncs the log.
func (m *commit) begin() {
	m.queued, m.syncing = false, true
	m.settled()
}

// settled ends the wait for more.
func (m *commit) settled() {
	if m.lingers {
		m.linger.Stop()
		m.lingers = false
	}
}

func newCommitter(workersMax int) *committer {
	c := &committer{workersMax: workersMax}
	c.mu.work = sync.NewCond(&c.mu.Mutex)
	c.mu.rest = sync.NewCond(&c.mu.Mutex)
	return c
}

// enqueue has the log synced as soon as there is a worker.
func (c *committer) enqueue(l *Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case l.commit.syncing:
		l.commit.again = true
	case !l.commit.queued && !c.mu.stopped:
		c.push(l)
	}
}

// want has the log synced when its policy says so: for an append that was made
// before, and of which the caller wants to hear.
func (c *committer) want(l *Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case l.commit.syncing:
		l.commit.wanted = true
	case !l.commit.queued && !c.mu.stopped && c.due(l):
		c.push(l)
	}
}

// lead is want for a caller who can sync the log itself: if it reports true, it
// is to do so, and then calls led.
func (c *committer) lead(l *Log) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.commit.syncing {
		l.commit.wanted = true
		return false
	}
	if !c.due(l) {
		return false
	}
	l.commit.begin() // its place in the queue, if it has one, is skipped by pop
	return true
}

// due asks the policy whether the tail is to be synced now. If it may wait, a
// timer sees to it. Where the policy acknowledges what the kernel has, that is what
// is due.
func (c *committer) due(l *Log) bool {
	if !l.config.Load().design.sync.AckDurable {
		return !l.Acked(l.end.Load())
	}
	switch due := l.tailDue(l.config.Load()); {
	case due <= 0:
		return true
	case due == Never || l.commit.lingers:
	case l.commit.linger == nil:
		l.commit.lingers = true
		l.commit.linger = time.AfterFunc(due, func() { c.lingered(l) })
	default:
		l.commit.lingers = true
		l.commit.linger.Reset(due)
	}
	return false
}

// lingered is what the timer does.
func (c *committer) lingered(l *Log) {
	c.mu.Lock()
	l.commit.lingers = false
	c.mu.Unlock()
	c.enqueue(l)
}

// led ends what lead began. A worker goes on with what has gathered meanwhile.
func (c *committer) led(l *Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.synced(l)
	c.mu.rest.Broadcast()
}

// synced puts the log into the queue again if it was asked for meanwhile. Who
// came after the sync began may have been served by it all the same.
func (c *committer) synced(l *Log) {
	again := l.commit.again || l.commit.wanted && l.durable.Load() < l.end.Load() && c.due(l)
	l.commit.syncing, l.commit.again, l.commit.wanted = false, false, false
	if again {
		c.push(l)
	}
}

// push puts the log at the end of the queue, and sees to it that somebody takes
// from it.
func (c *committer) push(l *Log) {
	l.commit.queued = true
	if c.mu.head == len(c.mu.queue) {
		c.mu.queue, c.mu.head = c.mu.queue[:0], 0
	}
	c.mu.queue = append(c.mu.queue, l)
	switch {
	case c.mu.parked > 0:
		// Taken off here: the next log must not count on the same worker.
		c.mu.parked--
		c.mu.work.Signal()
	case c.mu.workers < c.workersMax:
		c.mu.workers++
		go c.run()
	}
}

// pop waits for a log; it returns nil once the committer is stopped and the
// queue empty.
func (c *committer) pop() *Log {
	for {
		for c.mu.head == len(c.mu.queue) {
			if c.mu.stopped {
				return nil
			}
			c.mu.parked++
			c.mu.work.Wait()
		}
		l := c.mu.queue[c.mu.head]
		c.mu.queue[c.mu.head] = nil
		c.mu.head++
		if l.commit.queued { // nobody leads it meanwhile
			return l
		}
	}
}

func (c *committer) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l := c.pop(); l != nil; l = c.pop() {
		l.commit.begin()
		c.mu.Unlock()
		if !l.Acked(l.end.Load()) && !l.config.Load().design.sync.AckDurable {
			l.relieve()
		}
		l.syncTail(false)
		c.mu.Lock()
		c.synced(l)
		c.mu.rest.Broadcast()
	}
	c.mu.workers--
	c.mu.rest.Broadcast()
}

// settle waits until the log is neither queued nor being synced. The caller sees
// to it that nobody enqueues it again.
func (c *committer) settle(l *Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l.commit.queued || l.commit.syncing {
		c.mu.rest.Wait()
	}
	l.commit.settled()
}

// stop ends the workers after the queue is empty.
func (c *committer) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.stopped, c.mu.parked = true, 0
	c.mu.work.Broadcast()
	for c.mu.workers > 0 {
		c.mu.rest.Wait()
	}
}

// scheduleCommit asks the policy when the tail is due. Log.mu is held.
func (l *Log) scheduleCommit(c *logConfig) {
	if c.design.sync.AckDurable {
		return // whoever appended calls Wait, and may sync there, or Flush
	}
	switch due := l.tailDue(c); {
	case due <= 0:
		l.store.committer.enqueue(l)
	case due == Never || l.mu.flushTimed:
	case l.mu.flush == nil:
		l.mu.flushTimed = true
		l.mu.flush = time.AfterFunc(due, l.flushDue)
	default:
		l.mu.flushTimed = true
		l.mu.flush.Reset(due)
	}
}

// flushDue is what the flush timer does.
func (l *Log) flushDue() {
	l.mu.Lock()
	l.mu.flushTimed, l.mu.overdue = false, true
	l.mu.Unlock()
	l.store.committer.enqueue(l)
}

func (l *Log) tailDue(c *logConfig) time.Duration {
	return c.design.sync.Due(l.gathered.tail(&c.Config, l.now()))
}

// syncTail makes durable what was appended before the call: all of it, or only
// the sealed parts where the policy leaves the rest to the operating system.
func (l *Log) syncTail(all bool) {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.syncParts(all)
}

// syncParts is syncTail for those who hold Log.syncing.
func (l *Log) syncParts(all bool) {
	if w := l.beginSync(all); w != nil {
		began := l.now()
		l.store.cold.syncBegins()
		err := w.run(l)
		l.store.cold.syncEnded()
		now := l.now()
		l.gathered.synced(now.Sub(began), now)
		l.endSync(w, err)
	}
}

// tailWork is what one sync has to do, noted under Log.mu and done outside.
type tailWork struct {
	upTo      mark
	parts     []tailPart
	names     bool
	harden    bool // by the policy
	snapshots []pendingSnapshot
	early     *pendingSnapshot
	earlier   int64 // what early takes the place of, see Log.mu.snapshotAt
}

type tailPart struct {
	*part
	sealed bool // when the work was noted
}

func (l *Log) beginSync(all bool) *tailWork {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed || l.mu.failed != nil || l.nothingToSync() {
		return nil
	}
	w := &l.tail
	parts := *l.view.Load()
	last := parts[len(parts)-1]
	*w = tailWork{
		upTo:  mark{offset: l.end.Load(), base: last.base, pos: last.size()},
		parts: w.parts[:0], names: l.mu.newNames, snapshots: l.mu.snapshots,
	}
	w.harden = l.config.Load().design.sync.Hardens
	l.mu.newNames, l.mu.snapshots = false, nil
	if !all && !l.mu.journal.alone && !l.tailIsDue(l.config.Load()) {
		l.gathered.keep(last.size())
		w.upTo, parts = mark{offset: last.base, base: last.base}, parts[:len(parts)-1]
	} else {
		l.gathered.take()
		l.mu.flushTimed, l.mu.overdue, l.mu.journal.alone = false, false, false
	}
	if e := l.mu.early; e != nil && e.offset <= w.upTo.offset {
		w.early, w.earlier, l.mu.early = e, l.mu.snapshotAt, nil
	}
	for _, p := range parts {
		if p.dirty && p.hold() {
			w.parts = append(w.parts, tailPart{p, p.sealed})
		}
	}
	return w
}

// tailIsDue reports whether a sync is to cover the growing part. Where somebody waits
// for that, whoever has begun the sync has asked the policy. Log.mu is held.
func (l *Log) tailIsDue(c *logConfig) bool {
	if c.design.sync.AckDurable {
		return l.tailDue(c) != Never
	}
	return l.mu.overdue || l.tailDue(c) <= 0
}

// nothingToSync reports whether the sync before this one has done it all: what is
// appended after a worker has taken a log, and before it looks at End, puts the
// log into the queue a second time.
func (l *Log) nothingToSync() bool {
	if l.mu.synced < l.end.Load() || l.mu.newNames || len(l.mu.snapshots) > 0 {
		return false
	}
	parts := *l.view.Load()
	return len(parts) == 1 || parts[len(parts)-2].synced
}

// run syncs. The producers' snapshots are only a help to recovery, which reads
// more of the log where one is missing: they do not fail the log.
func (w *tailWork) run(l *Log) error {
	var err error
	for _, p := range w.parts {
		if err == nil {
			err = p.sync(p.sealed, w.harden)
		}
		p.release()
	}
	if err != nil {
		return err // a snapshot tells recovery that what lies before it was synced
	}
	for _, s := range w.snapshots {
		if err := writeSnapshot(l.fs, l.dir, s.offset, s.bytes); err != nil {
			l.log.Warn("producer snapshot not written", "log", l.name, "offset", s.offset, "err", err)
		}
	}
	if e := w.early; e != nil {
		if err := l.writeCheckpointSnapshot(e.offset, w.earlier, e.bytes); err != nil {
			l.log.Warn("producer snapshot not written", "log", l.name, "offset", e.offset, "err", err)
		}
	}
	if w.names && !bugNoDirSync.made() {
		err = l.fs.SyncDir(l.dir)
	}
	return err
}

func (l *Log) endSync(w *tailWork, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && !bugSyncIgnored.made() {
		_ = l.fail(fmt.Errorf("sync up to offset %d: %w", w.upTo.offset, err))
		return
	}
	for _, p := range w.parts {
		p.synced = p.sealed
		if p.sealed == p.part.sealed && p.next <= w.upTo.offset {
			p.unkeep()
		}
	}
	l.mu.synced = max(l.mu.synced, w.upTo.offset)
	if w.upTo.offset > l.mu.journal.next.offset {
		l.mu.journal.next = w.upTo
	}
	if w.upTo.offset > l.durable.Load() {
		l.durable.Store(w.upTo.offset)
		l.noteHanded()
		l.acked.published(l.ackedOffset())
	}
}
