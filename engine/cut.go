package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"path"
	"slices"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// Truncate drops the batches from the one that holds offset to on, durably, and
// the next record gets the first dropped offset. With batches [10,30] [31,100] [101,103],
// Truncate(31) leaves [10,30], and so does Truncate(50). Where compaction has left a
// hole in front of what is dropped, the next record gets the hole's first offset:
// of [10,30] [61,100], Truncate(61) and Truncate(40) leave [10,30] and the end 31.
//
// It waits until no reader holds an Extent of the dropped bytes; appends wait as
// long. If the batch that holds Start goes, or to is below Start, the log is
// empty then, as after a Reset to the lesser of the two. On a full disk it may
// return ErrNoSpace, and has done nothing.
func (l *Log) Truncate(to int64) error {
	l.cutting.Lock()
	defer l.cutting.Unlock()
	start, end := l.start.Load(), l.end.Load()
	if to >= end {
		return l.open()
	}
	if to <= start {
		return l.reset(to)
	}
	// Nobody else cuts, so these stay while the log grows behind them.
	parts := *l.view.Load()
	n := partOf(parts, to) + 1
	if parts[n-1].base == to && n > 1 {
		n--
	}
	if err := parts[n-1].acquire(); err != nil {
		return err
	}
	defer parts[n-1].release()
	pos, first, err := l.boundary(parts[n-1], to)
	if err != nil {
		return fmt.Errorf("%s: truncate to %d: %w", l.name, to, err)
	}
	if first < start {
		return l.reset(start)
	}
	return l.lessen(recoveryPoints{durable: first, start: first}, func() error { return l.truncate(n, pos, first) })
}

// lessen runs change, which takes records off the log's end. The recovery points
// on the disk are lowered first: after a crash they must not vouch for bytes
// that were written in place of those that went.
func (l *Log) lessen(to recoveryPoints, change func() error) error {
	if err := l.open(); err != nil {
		return err
	}
	l.syncing.Lock()
	defer l.syncing.Unlock()
	defer l.rejoinJournal()
	if err := l.leaveJournal(); err != nil {
		return fmt.Errorf("%s: journal not left: %w", l.name, err)
	}
	if bugCheckpointKept.made() {
		to.durable = l.end.Load()
	}
	if err := l.store.checkpoints.lower(l.store, l.name, to); err != nil {
		return fmt.Errorf("%s: recovery point not lowered to %d: %w", l.name, to.durable, err)
	}
	l.recovered.Store(min(l.recovered.Load(), to.durable))
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	l.generation.Add(1)
	err := change()
	l.generation.Add(1)
	if err != nil {
		return l.fail(fmt.Errorf("cut at offset %d: %w", to.durable, err))
	}
	l.mu.newNames = true
	l.noteHanded()
	l.acked.published(l.ackedOffset())
	l.scheduleCommit(l.config.Load())
	if !l.config.Load().design.sync.AckDurable {
		l.Flush() // for what is left of those who wait
	}
	return nil
}

// truncate keeps the first n parts, and pos bytes of the last of them, which end
// before the offset first.
func (l *Log) truncate(n int, pos, first int64) error {
	parts := *l.view.Load()
	l.durable.Store(min(l.durable.Load(), first))
	l.handed.Store(min(l.handed.Load(), first))
	l.mu.synced = min(l.mu.synced, first)
	if l.mu.journal.next.offset > first {
		l.mu.journal.next = mark{offset: first, base: parts[n-1].base, pos: pos}
	}
	l.end.Store(first)
	l.publish(parts[:n:n])
	// The newest goes first: whatever a crash leaves is without a hole.
	if err := l.discard(slices.Backward(parts[n:])); err != nil {
		return err
	}
	if err := l.cutPart(parts[n-1], pos, first); err != nil {
		return err
	}
	if !bugTruncateLazy.made() {
		if err := parts[n-1].seg.Sync(); err != nil {
			return err
		}
	}
	if err := l.cutAborted(first); err != nil {
		return err
	}
	if !bugEpochsKept.made() && l.mu.epochs.truncate(first) {
		l.mu.newEpochs = true
	}
	if err := l.reloadProducers(first); err != nil {
		return err
	}
	return l.fs.SyncDir(l.dir)
}

// boundary returns the position of the first batch that goes, the one that holds
// offset or comes next, and the offset after the last one that stays. They differ
// from its own where compaction has left a hole: the next start would take the log
// to end before that, and so it does from now on. The part is acquired.
func (l *Log) boundary(p *part, offset int64) (pos, end int64, err error) {
	s := newScanner(l, p)
	defer s.free()
	pos, size, err := s.find(offset, func(h batch.Batch) bool { return h.LastOffset() >= offset })
	if err != nil {
		return 0, 0, err
	}
	if size == 0 {
		s.base = offset // in a hole, or at the end
	}
	for _, d := range p.damaged() {
		if d.First >= offset && d.Pos < pos {
			return d.Pos, offset, nil // damage goes as a batch does
		}
	}
	first := min(s.base, offset)
	if len(p.damaged()) > 0 {
		return pos, first, nil
	}
	end = p.base
	_, _, err = s.find(first-1, func(h batch.Batch) bool {
		if h.LastOffset() >= first {
			return true
		}
		end = h.NextOffset()
		return false
	})
	return pos, end, err
}

// cutPart shortens the part, which is acquired, to size bytes, which end before
// offset. A sealed one is appended to again. The indexes go first: after a crash
// between the two they are only short of entries.
func (l *Log) cutPart(p *part, size, offset int64) error {
	if err := cutIndexes(p, offset); err != nil {
		return err
	}
	if err := p.seg.Truncate(size); err != nil {
		return err
	}
	l.cutDamage(p, size, offset)
	p.keep()
	p.setSealed(false)
	p.synced = false
	return l.survey(p)
}

// cutIndexes drops what the indexes say of offsets from offset on, and lets them
// be added to again.
func cutIndexes(p *part, offset int64) error {
	stale := int64(math.MaxInt64)
	p.times.All(func(e index.Entry) bool {
		if e.Value >= offset {
			stale = e.Key
		}
		return e.Value < offset
	})
	return errors.Join(p.offsets.Truncate(offset), p.times.Truncate(stale))
}

// Reset drops everything, durably; the next record gets offset to. Like Truncate
// it waits for readers.
func (l *Log) Reset(to int64) error {
	l.cutting.Lock()
	defer l.cutting.Unlock()
	return l.reset(to)
}

// reset lets the recovery points vouch for nothing: a crash on the way leaves
// any number of the old segments.
func (l *Log) reset(to int64) error {
	oldest := min(to, l.start.Load())
	return l.lessen(recoveryPoints{durable: oldest, start: oldest}, func() error { return l.restart(to) })
}

// restart leaves one empty part, at to. At no moment is there none: a log without
// a segment is not there. Until the new one is durable it is the oldest, emptied.
func (l *Log) restart(to int64) error {
	old := *l.view.Load()
	// The view goes first: a reader finds nothing, and looks again.
	l.publish(nil)
	l.durable.Store(to)
	l.handed.Store(to)
	l.start.Store(to)
	l.end.Store(to)
	l.mu.synced = to
	if err := l.discard(slices.Backward(old[1:])); err != nil {
		return err
	}
	// What is known of epochs and producers is of records that are no more.
	l.mu.producers, l.mu.snapshots, l.mu.early, l.mu.snapshotAt = newProducers(), nil, nil, -1
	l.decided()
	l.mu.epochs, l.mu.newEpochs = nil, true
	files, err := l.list()
	for _, at := range files.snapshots {
		err = errors.Join(err, l.remove(fileName(l.dir, at, suffixSnapshot)))
	}
	if err = errors.Join(err, l.cutAborted(0), l.remove(path.Join(l.dir, nameEpochs)), l.fs.SyncDir(l.dir)); err != nil {
		return err
	}
	p := old[0]
	if err := l.emptyPart(p); err != nil {
		return err
	}
	if p.base != to {
		if p, _, err = openPart(l, to, true); err != nil {
			return err
		}
		defer p.release()
		if err := errors.Join(l.fs.SyncDir(l.dir), l.discard(slices.All(old[:1]))); err != nil {
			return errors.Join(err, p.close())
		}
	}
	p.begun, p.written, p.surveyed = l.now(), l.now(), true
	l.publish([]*part{p})
	return nil
}

// emptyPart drops all that a part has, durably.
func (l *Log) emptyPart(p *part) error {
	if err := p.acquire(); err != nil {
		return err
	}
	defer p.release()
	return errors.Join(l.cutPart(p, 0, p.base), p.seg.Sync())
}

// healthy is usable for those who do not hold Log.mu.
func (l *Log) healthy() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.usable()
}

// usable reports why nothing can be changed.
func (l *Log) usable() error {
	if l.mu.closed {
		return ErrClosed
	}
	return l.mu.failed
}

// discard closes parts that are out of the view and removes their files, one
// durably before the next: if they come from one end of the log, what a crash
// leaves of them are neighbours.
func (l *Log) discard(parts iter.Seq2[int, *part]) error {
	for _, p := range parts {
		if err := errors.Join(p.close(), l.removeFiles(p.base), l.fs.SyncDir(l.dir)); err != nil {
			return err
		}
	}
	return nil
}

// removeFiles removes a part's files. The segment goes first: what is left
// without one is cleared away by the next start.
func (l *Log) removeFiles(base int64) error {
	var err error
	for _, suffix := range []string{suffixSegment, suffixOffsets, suffixTimes, suffixSnapshot} {
		err = errors.Join(err, l.remove(fileName(l.dir, base, suffix)))
	}
	return errors.Join(err, l.dropAborted(base))
}

// remove removes a file that may be gone already.
func (l *Log) remove(name string) error {
	if err := l.fs.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
