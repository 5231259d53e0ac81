package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Trim drops the records below to, or below End if that is less. Their bytes go
// with the last record of a segment. It is durable with the next checkpoint.
func (l *Log) Trim(to int64) error {
	l.cutting.Lock()
	defer l.cutting.Unlock()
	l.mu.Lock()
	if err := l.usable(); err != nil {
		l.mu.Unlock()
		return err
	}
	gone := l.trim(min(to, l.end.Load()))
	l.mu.Unlock()
	return l.discardOldest(gone)
}

// trim moves the log's start and returns the parts that are out of the view now,
// oldest first.
func (l *Log) trim(to int64) []*part {
	if to <= l.start.Load() {
		return nil
	}
	parts := *l.view.Load()
	n := max(partOf(parts, to), 0)
	l.durable.Store(max(l.durable.Load(), to))
	l.start.Store(to)
	l.publish(parts[n:])
	if l.mu.epochs.trim(to) {
		l.mu.newEpochs = true
	}
	l.acked.published(l.ackedOffset())
	return parts[:n]
}

// discardOldest removes what trim returned. That takes its time, and Log.mu is
// not held: appends go on. Should it fail, the next start removes the rest.
func (l *Log) discardOldest(parts []*part) error {
	if err := l.discard(slices.All(parts)); err != nil {
		return fmt.Errorf("%s: segments before offset %d not removed: %w", l.name, l.start.Load(), err)
	}
	return nil
}

// Retain drops the segments that retention has done with, as [Store.Tick] does for
// the logs that are open.
func (l *Log) Retain(now time.Time) error { return l.retain(now) }

// retain drops the segments that retention has done with. As in Kafka the last
// segment goes too, once it is rolled, when all its records are too old.
func (l *Log) retain(now time.Time) error {
	l.cutting.Lock()
	defer l.cutting.Unlock()
	gone, err := l.expire(now)
	return errors.Join(err, l.discardOldest(gone))
}

// expire takes what is to go out of the view. A disk too full for a new segment
// keeps the last one; that the others go makes room for it.
func (l *Log) expire(now time.Time) (gone []*part, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.usable() != nil {
		return nil, nil // it said why when it failed
	}
	c := l.config.Load()
	l.mu.producers.expire(now, c.ProducerExpiry)
	if !c.Delete {
		return nil, nil
	}
	err = l.retireLast(now, c)
	if err != nil && !errors.Is(err, vfs.ErrNoSpace) {
		return nil, err
	}
	parts := *l.view.Load()
	last := len(parts) - 1
	n, expiring := l.expired(now, l.ackedParts(), Keep{Age: c.RetentionAge, Bytes: c.RetentionBytes, Active: parts[last].size()}, c)
	err = errors.Join(err, expiring)
	if n == 0 {
		return nil, err
	}
	l.log.Info("retention drops segments", "log", l.name, "segments", n, "start", parts[n].base)
	return l.trim(parts[n].base), err
}

// retireLast rolls if the last segment, and so the whole log, is too old.
func (l *Log) retireLast(now time.Time, c *logConfig) error {
	parts := *l.view.Load()
	if parts[len(parts)-1].size() == 0 {
		return nil
	}
	n, err := l.expired(now, parts, Keep{Age: c.RetentionAge, Bytes: -1}, c)
	if err != nil || n < len(parts) {
		return err
	}
	_, err = l.roll(l.end.Load(), c)
	return err
}

// expired asks the policy how many parts may go. It takes no index's word for
// the age of a part: what is to go is looked at.
func (l *Log) expired(now time.Time, parts []*part, k Keep, c *logConfig) (n int, err error) {
	for {
		n = c.design.retention.Expired(now, stats(parts), k)
		i := slices.IndexFunc(parts[:n], func(p *part) bool { return !p.surveyed })
		if i < 0 || bugRetentionBlind.made() {
			return n, nil
		}
		if err := l.surveyNewest(parts[i]); err != nil {
			return 0, err
		}
	}
}

// surveyNewest finds the newest record of a part of which only the time index
// was read: it may have lost its last entries, but no batch before the one that
// its last entry names is newer than that.
func (l *Log) surveyNewest(p *part) error {
	if err := p.acquire(); err != nil {
		return err
	}
	defer p.release()
	s := newScanner(l, p)
	defer s.free()
	from, err := s.timed(p.times.Last())
	if err != nil {
		return err
	}
	_, _, err = s.find(from, func(h batch.Batch) bool {
		if h.LastOffset() >= from && newestOf(h) > p.newest {
			p.newest, p.newestOffset = newestOf(h), h.LastOffset()
		}
		return false
	})
	if err == nil {
		p.surveyed = true
		if p.written.IsZero() {
			p.written = p.modified()
		}
	}
	return err
}

func stats(parts []*part) []SegmentStat {
	s := make([]SegmentStat, 0, len(parts))
	for _, p := range parts {
		s = append(s, p.stat())
	}
	return s
}
