package engine

import (
	"cmp"
	"errors"
	"slices"
)

// This half of retention looks beyond one log: it keeps room on the file system
// that all logs of a store share.

// DiskUse is the state of the file system that a store lies on, in bytes. Used is
// all that is not free to us, by whomever: it counts other programs' files too.
type DiskUse struct{ Size, Used int64 }

// Evictable is what a log may give up to make room.
type Evictable struct {
	// Sealed are its sealed segments that are acknowledged, oldest first.
	Sealed []SegmentStat
	// Share is bobbin.retention.disk.share: how much of the file system may be in
	// use before the log gives up anything, in (0, 1].
	Share float64
}

// evictOldest drops the segments that are oldest by their newest record, whichever
// log they are of, until no log that still has one finds the disk too full. A log
// gives up its segments in order: what follows on a segment counts as no older
// than it.
//
// With a disk of 1000 bytes, 900 in use, a share of 0.8, and segments of 60 bytes
// from 1:00 and 4:00 in one log and from 2:00 and 3:00 in another, it drops those
// from 1:00 and 2:00.
func evictOldest(d DiskUse, logs []Evictable) []int {
	type candidate struct {
		log   int
		bytes int64
		age   int64 // Unix ms of the newest record so far in the log
	}
	var all []candidate
	for i, l := range logs {
		newest := int64(-1 << 63)
		for _, s := range l.Sealed {
			newest = max(newest, s.Newest.UnixMilli())
			all = append(all, candidate{i, s.Bytes, newest})
		}
	}
	// Stable: segments of one log that are of one age stay in order.
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.age, b.age) })
	drop := make([]int, len(logs))
	for _, c := range all {
		// What a log refuses to give up now it refuses later too: Used only falls.
		if float64(d.Used) > logs[c.log].Share*float64(d.Size) {
			drop[c.log]++
			d.Used -= c.bytes
		}
	}
	return drop
}

// evict has the logs whose retention looks at the disk make room on it.
func (s *Store) evict() error {
	var logs []*Log
	var have []Evictable
	policy := Retention{}
	for _, l := range s.openLogs() {
		if r, e := l.evictable(); r.Evict != nil {
			policy, logs, have = r, append(logs, l), append(have, e)
		}
	}
	if len(logs) == 0 {
		return nil
	}
	u, err := s.fs.Usage(s.dir)
	if err != nil {
		return err
	}
	d := DiskUse{Size: int64(u.Size), Used: int64(u.Size - u.Free)}
	drop := policy.Evict(d, have)
	// No index's word is taken for the age of a segment that is to go. One that
	// was looked at is no older than it seemed, so nothing else has to be.
	for looked := true; looked; drop = policy.Evict(d, have) {
		looked = false
		for i, l := range logs {
			changed, err := l.surveyOldest(&have[i], drop[i])
			if err != nil {
				return err
			}
			looked = looked || changed
		}
	}
	for i, l := range logs {
		if drop[i] > 0 {
			err = errors.Join(err, l.dropOldest(have[i].Sealed[drop[i]-1].Next))
		}
	}
	return err
}

// evictable returns the log's retention, and what it may give up by it.
func (l *Log) evictable() (Retention, Evictable) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.config.Load()
	if l.usable() != nil || !c.Delete || c.design.retention.Evict == nil {
		return Retention{}, Evictable{}
	}
	return c.design.retention, Evictable{Sealed: stats(l.ackedParts()), Share: c.DiskShare}
}

// ackedParts are the sealed parts that consumers may see: what they may not see
// yet is not old enough to go.
func (l *Log) ackedParts() []*part {
	parts := *l.view.Load()
	sealed := parts[:max(len(parts)-1, 0)]
	for len(sealed) > 0 && sealed[len(sealed)-1].next > l.ackedOffset() {
		sealed = sealed[:len(sealed)-1]
	}
	return sealed
}

// surveyOldest looks at the n oldest segments of which only an index was read, and
// reports whether e has changed by it.
func (l *Log) surveyOldest(e *Evictable, n int) (changed bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := l.ackedParts()
	for i, s := range e.Sealed[:n] {
		if i >= len(parts) || parts[i].base != s.Base {
			e.Sealed = e.Sealed[:i] // cut meanwhile
			return true, nil
		}
		if parts[i].surveyed || l.usable() != nil {
			continue
		}
		if err := l.surveyNewest(parts[i]); err != nil {
			return changed, err
		}
		e.Sealed[i], changed = parts[i].stat(), true
	}
	return changed, nil
}

// dropOldest drops the segments before the one that begins at to.
func (l *Log) dropOldest(to int64) error {
	l.cutting.Lock()
	defer l.cutting.Unlock()
	l.mu.Lock()
	parts := *l.view.Load()
	// The log may have been cut, or closed, since it was asked.
	i := partOf(parts, to)
	if l.usable() != nil || i < 0 || parts[i].base != to || to > l.ackedOffset() {
		l.mu.Unlock()
		return nil
	}
	l.log.Info("retention drops segments to make room on the disk", "log", l.name, "segments", i, "start", to)
	gone := l.trim(to)
	l.mu.Unlock()
	return l.discardOldest(gone)
}
