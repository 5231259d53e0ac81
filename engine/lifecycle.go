package engine

import (
	"errors"
	"fmt"
	"io/fs"
)

// create makes the files of an empty log, durably.
func (l *Log) create(o LogOptions) error {
	if err := writeTopicID(l.fs, l.dir, o.TopicID); err != nil {
		return err
	}
	p, _, err := openPart(l, o.First, true)
	if err != nil {
		return errors.Join(err, l.removeFiles(o.First))
	}
	defer p.release()
	if err := l.fs.SyncDir(l.dir); err != nil {
		return errors.Join(err, p.close())
	}
	p.begun, p.written, p.surveyed = l.now(), l.now(), true
	l.publish([]*part{p})
	l.start.Store(o.First)
	l.end.Store(o.First)
	l.durable.Store(o.First)
	l.handed.Store(o.First)
	l.mu.synced = o.First
	l.mu.producers = newProducers()
	return nil
}

// checkpoint makes durable what recovery reads beside the segments, and returns
// up to where a recovery may then trust the log, and where it starts.
//
// The recovery point never passes a segment whose indexes are not durable, or an
// epoch that is not in the checkpoint. Snapshots say what was synced, see
// [Log.proven]: that of the producers waits for the sync of what it covers, and is
// behind by no more than what came since the checkpoint before.
func (l *Log) checkpoint() (recovery, start int64) {
	return l.writeDown(false)
}

// writeDown is checkpoint and, for a log that is to be closed, what the next
// opening wants to find.
func (l *Log) writeDown(closing bool) (recovery, start int64) {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	recovery, start, err := l.writeState(closing)
	if err != nil {
		l.log.Warn("log not checkpointed: a recovery would read more", "log", l.name, "err", err)
		return l.recovered.Load(), start
	}
	l.saveDamage()
	l.recovered.Store(recovery)
	return recovery, start
}

func (l *Log) writeState(closing bool) (recovery, start int64, err error) {
	l.mu.Lock()
	start = l.start.Load()
	if l.mu.closed || l.mu.failed != nil {
		defer l.mu.Unlock()
		return l.recovered.Load(), start, l.mu.failed
	}
	parts := *l.view.Load()
	recovery = l.mu.synced
	for _, p := range parts {
		if p.sealed && !p.synced {
			recovery = min(recovery, p.base)
		}
	}
	if bugCheckpointEarly.made() {
		recovery = l.end.Load()
	}
	active := parts[len(parts)-1]
	// Up to what is written down already the indexes were synced before.
	changed := recovery != l.recovered.Load()
	var e epochs
	writeEpoch := l.mu.newEpochs
	if writeEpoch {
		e = append(e, l.mu.epochs...)
	}
	l.mu.newEpochs = false
	at, snapshot, old := l.end.Load(), []byte(nil), l.mu.snapshotAt
	if l.mu.producers.changed || l.mu.early != nil || closing && !l.snapshotCovers(at) {
		snapshot = encodeSnapshot(&l.mu.producers)
		l.mu.producers.changed, l.mu.early = false, nil
		if at > l.mu.synced && !bugSnapshotEarly.made() {
			// Should a segment begin here, the file would prove what is not true yet.
			l.mu.early, snapshot = &pendingSnapshot{at, snapshot}, nil
		}
	}
	l.mu.Unlock()

	if changed {
		err = active.syncIndexes()
	}
	if err == nil && writeEpoch {
		err = writeEpochs(l.fs, l.dir, e)
	}
	if err == nil && snapshot != nil {
		err = l.writeCheckpointSnapshot(at, old, snapshot)
	}
	if err != nil {
		l.mu.Lock()
		l.mu.newEpochs = l.mu.newEpochs || writeEpoch
		l.mu.producers.changed = l.mu.producers.changed || snapshot != nil
		l.mu.Unlock()
	}
	return recovery, start, err
}

// writeCheckpointSnapshot writes a snapshot that spares recovery the way from
// the segment's beginning, and removes the one before.
func (l *Log) writeCheckpointSnapshot(at, old int64, b []byte) error {
	if err := writeSnapshot(l.fs, l.dir, at, b); err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	l.mu.Lock()
	l.mu.snapshotAt = at
	l.mu.Unlock()
	parts := *l.view.Load()
	i := partOf(parts, old)
	if old < 0 || old == at || (i >= 0 && parts[i].base == old) {
		return nil
	}
	if err := l.fs.Remove(fileName(l.dir, old, suffixSnapshot)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// stop refuses further changes and waits for the syncs under way.
func (l *Log) stop() (first bool, failed error) {
	l.mu.Lock()
	if l.mu.closed {
		l.mu.Unlock()
		return false, nil
	}
	l.mu.closed = true
	failed = l.mu.failed
	if l.mu.flush != nil {
		l.mu.flush.Stop()
	}
	l.mu.Unlock()
	l.store.committer.settle(l)
	return true, failed
}

// close makes everything durable, trims the files and gives them back. Waiters
// get what they waited for.
func (l *Log) close() error {
	l.store.cleaner.leave(l)
	l.cutting.Lock()
	defer l.cutting.Unlock()
	first, failed := l.stop()
	if !first {
		return nil
	}
	l.syncing.Lock()
	defer l.syncing.Unlock()
	err := failed
	if err == nil {
		err = l.finish()
	}
	l.acked.fail(ErrClosed)
	return errors.Join(err, l.closeParts())
}

// finish is the last sync of a log that nobody changes any more.
func (l *Log) finish() error {
	end := l.end.Load()
	if l.config.Load().design.segment.Durable && l.settled() {
		l.recovered.Store(end)
		if err := l.giveBack(); err != nil {
			return fmt.Errorf("close %s: %w", l.name, err)
		}
		return nil
	}
	parts := *l.view.Load()
	for _, p := range parts {
		if p.synced {
			continue
		}
		if err := p.finish(); err != nil {
			return fmt.Errorf("close %s: %w", l.name, err)
		}
	}
	if l.mu.newEpochs {
		if err := writeEpochs(l.fs, l.dir, l.mu.epochs); err != nil {
			return err
		}
	}
	l.saveDamage()
	if err := l.writeCheckpointSnapshot(end, l.mu.snapshotAt, encodeSnapshot(&l.mu.producers)); err != nil {
		return fmt.Errorf("close %s: %w", l.name, err)
	}
	l.recovered.Store(end)
	l.durable.Store(end)
	l.mu.Lock()
	l.mu.synced = end // nothing is left that the journal is needed for
	l.mu.Unlock()
	l.acked.published(end)
	return nil
}

// abandon closes a log that is going to be deleted. When it returns nothing is
// written under the log's name any more: the next log may have it.
func (l *Log) abandon() {
	l.store.cleaner.leave(l)
	l.cutting.Lock()
	defer l.cutting.Unlock()
	if first, _ := l.stop(); first {
		l.syncing.Lock()
		defer l.syncing.Unlock()
		l.acked.fail(ErrClosed)
		_ = l.closeParts() // nothing of it is needed any more
	}
}

func (l *Log) closeParts() error {
	var err error
	for _, p := range *l.view.Load() {
		err = errors.Join(err, p.close())
	}
	return err
}
