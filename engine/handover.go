package engine

import (
	"context"
	"fmt"

	"github.com/bobbin-log/bobbin/segment"
)

// Bytes that were appended to a [segment.WriteBehind] are the process's alone until
// they are flushed or synced, and this half of Log sees to it where that matters:
//
//   - A policy that acknowledges what the kernel has acknowledges below handed. Who
//     waits hands over all that has gathered, or finds that somebody who was before
//     it has: group commit, by a write in place of a sync.
//   - A segment that is asked to hold too much refuses the append. Log.mu is let go,
//     the segment is flushed, and the append tried again.
//
// Of a log at most the last two parts hold anything, so that its bound is twice that of
// a segment, however fast it rolls. Nobody hands over with Log.mu held.

// handOverTo has the kernel get the bytes below upTo, if nobody else does.
func (l *Log) handOverTo(ctx context.Context, upTo int64) error {
	select {
	case l.handing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.handing }()
	if !l.Acked(upTo) {
		l.handOver()
	}
	return nil
}

// relieve has the log's segments take appends again after ErrBusy. Many may be refused
// at once: one of them hands over for all.
func (l *Log) relieve() {
	before := l.handovers.Load()
	l.handing <- struct{}{}
	defer func() { <-l.handing }()
	if l.handovers.Load() == before {
		l.handOver()
	}
}

// handOver flushes the segments that keep what was appended. The oldest comes first:
// what a kill leaves is without a hole. The caller holds handing.
func (l *Log) handOver() {
	l.handovers.Add(1)
	upTo, generation := l.holding()
	var err error
	for _, p := range l.held {
		if err == nil {
			err = p.behind().Flush()
		}
		p.release()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.mu.failed != nil || l.mu.closed:
	case err != nil:
		_ = l.fail(fmt.Errorf("write up to offset %d: %w", upTo, err))
	case l.generation.Load() == generation:
		l.handed.Store(max(l.handed.Load(), upTo))
		l.noteHanded()
		l.acked.published(l.ackedOffset())
	}
}

// holding notes the parts that may hold something, oldest first and kept open until
// they are released, and the end of what they have. The caller holds handing.
func (l *Log) holding() (upTo int64, generation uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.held)
	l.held = l.held[:0]
	if l.mu.closed || l.mu.failed != nil {
		return 0, l.generation.Load()
	}
	for _, p := range l.dirtyParts() {
		if p.behind() != nil && p.hold() {
			l.held = append(l.held, p)
		}
	}
	return l.end.Load(), l.generation.Load()
}

// dirtyParts returns the parts that are not durable: they are the last ones. Log.mu
// is held.
func (l *Log) dirtyParts() []*part {
	parts := *l.view.Load()
	first := len(parts)
	for first > 0 && parts[first-1].dirty {
		first--
	}
	return parts[first:]
}

// behind is the segment of a part that is open, if it is one that writes behind.
func (p *part) behind() segment.WriteBehind {
	w, _ := p.seg.(segment.WriteBehind)
	return w
}

// holds reports whether only the process has all bytes of a part that is open.
func (p *part) holds() bool {
	w := p.behind()
	return w != nil && w.Held() > 0
}

// noteHanded moves handed to End if no part holds anything. Log.mu is held.
func (l *Log) noteHanded() {
	for _, p := range l.dirtyParts() {
		if p.holds() && !bugHandedEarly.made() {
			return
		}
	}
	l.handed.Store(l.end.Load())
}

// holdsSealed reports whether a part before the last one holds anything. Log.mu is
// held.
func (l *Log) holdsSealed() bool {
	parts := l.dirtyParts()
	return len(parts) > 1 && parts[len(parts)-2].holds()
}
