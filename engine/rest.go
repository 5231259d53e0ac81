package engine

import (
	"errors"
	"path"
	"time"
)

// Rested is what is known of a log that CloseIdle has closed.
type Rested struct {
	Marks Marks
	Bytes int64
	// Due is when there may be something to do for the log though nobody uses it:
	// retention, or cleaning. Zero: never, until it is written to or configured
	// anew.
	Due time.Time
}

// dueAgain is how long a log rests of which it is not known when there is
// something to do for it.
const dueAgain = time.Hour

// CloseIdle closes a log that nobody needs for now. It is opened again by
// [Store.Open], which then costs what it costs after a clean stop: it reads the
// directory and the end of the last segment, and no tail is checked.
//
// First all is made durable and written down, as a checkpoint and a stop would
// do it, while the log can still be used. If that succeeds and nothing has
// happened meanwhile, closing is closing files. Otherwise, and for a log that
// failed, ok is false and the log is as it was: a log must not come back to life
// after a failed sync without a restart. What an idle log costs to close is
// therefore paid once: if nothing is written to it, it is closed, and opened, and
// closed again without a write.
//
// It may run beside everything. Whoever finds the log closed by it gets ErrClosed
// and opens it anew; what was appended before is durable, and whoever waits for it
// is told so.
func (l *Log) CloseIdle() (r Rested, ok bool) {
	if c := l.config.Load(); !c.design.segment.Durable || c.design.retention.Evict != nil {
		// It would lose what it has; or it is to give way when others fill the disk.
		return Rested{}, false
	}
	if l.store.toCompact(l) || !l.store.cleaner.keepOut(l) {
		return Rested{}, false // it is due for compaction, or is just being compacted
	}
	defer func() {
		if !ok {
			l.leaving.Store(false)
		}
	}()
	l.syncTail(true)
	l.writeDown(true)
	c := &l.store.checkpoints
	// A checkpoint that has gathered from this log would put back what it said.
	c.gathering.Lock()
	defer c.gathering.Unlock()
	l.cutting.Lock()
	defer l.cutting.Unlock()
	if r, ok = l.rest(); !ok {
		return r, false
	}
	l.store.committer.settle(l)
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if err := l.giveBack(); err != nil {
		// It stays in the store, closed: nobody opens it in this run.
		l.acked.fail(ErrClosed)
		l.log.Error("idle log failed: it is offline until the next start", "log", l.name, "err", err)
		return Rested{}, false
	}
	c.set(l.name, recoveryPoints{durable: r.Marks.End, start: r.Marks.Start})
	l.acked.fail(ErrClosed)
	if err := l.closeParts(); err != nil {
		l.log.Warn("files of an idle log not closed", "log", l.name, "err", err)
	}
	l.store.forget(l)
	return r, true
}

// rest refuses further changes if there is nothing left to write.
func (l *Log) rest() (r Rested, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.usable() != nil || !l.settled() || l.recovered.Load() != l.end.Load() {
		return Rested{}, false
	}
	l.mu.closed = true
	if l.mu.flush != nil {
		l.mu.flush.Stop()
	}
	return Rested{Marks: l.Marks(), Bytes: l.Bytes(), Due: l.due()}, true
}

// settled reports whether nothing is left to be written: a clean stop has
// nothing to do for the log. Log.mu is held.
func (l *Log) settled() bool {
	if l.mu.synced != l.end.Load() || l.mu.newEpochs || l.mu.newNames || len(l.mu.snapshots) > 0 || l.mu.early != nil || l.mu.producers.changed {
		return false
	}
	for _, p := range *l.view.Load() {
		if p.dirty {
			return false
		}
	}
	return l.snapshotCovers(l.end.Load()) && l.damageSaved()
}

// giveBack gives back what was reserved behind the last record. The next opening
// takes all that a file has for records.
func (l *Log) giveBack() error {
	parts := *l.view.Load()
	last := parts[len(parts)-1]
	i, err := l.fs.Stat(fileName(l.dir, last.base, suffixSegment))
	if err == nil && i.Size() != last.size() {
		err = last.finish()
	}
	return err
}

// snapshotCovers reports whether opening the log finds the producers as they are
// at offset end without reading batches. Log.mu is held.
func (l *Log) snapshotCovers(end int64) bool {
	return l.mu.snapshotAt == end || (*l.view.Load())[0].base == end
}

// due is Rested.Due. Log.mu is held.
func (l *Log) due() time.Time {
	c := l.config.Load()
	parts := *l.view.Load()
	empty := len(parts) == 1 && parts[0].size() == 0
	switch {
	case empty:
		return time.Time{}
	case c.compacts() || !c.design.retention.Still:
		return l.now().Add(dueAgain)
	case !c.Delete || c.RetentionAge < 0:
		return time.Time{}
	}
	oldest := parts[0]
	if !oldest.surveyed && (oldest.sealed || oldest.newest < 0) {
		return l.now().Add(dueAgain)
	}
	return oldest.stat().Newest.Add(c.RetentionAge + time.Millisecond)
}

// forget takes a log out of the store that was closed and needs no recovery.
func (s *Store) forget(l *Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.logs[l.name] == l {
		delete(s.mu.logs, l.name)
	}
}

// SizeOf is how many bytes the segments of a log have that need not be open.
func (s *Store) SizeOf(name string) (int64, error) {
	entries, err := s.fs.ReadDir(path.Join(s.dir, name))
	if err != nil {
		return 0, err
	}
	var n int64
	for _, e := range entries {
		if _, ok := fileOffset(e.Name(), suffixSegment); !ok {
			continue
		}
		i, err := e.Info()
		if err != nil {
			return 0, errors.Join(err, ErrNotFound)
		}
		n += i.Size()
	}
	return n, nil
}
