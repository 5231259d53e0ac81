package engine

import (
	"slices"
	"time"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// dirt is what of a log compaction may work on.
//
//	start        from               upTo        end
//	  │  clean    │  dirty           │  not yet  │
//
// The clean part was compacted before and has one record of each key; the dirty
// one is what came since. upTo is where a segment begins: nothing of the segment
// that is appended to, nothing that consumers may not see yet, nothing younger
// than min.compaction.lag.ms, and nothing that a loss of power could take.
type dirt struct {
	from, upTo   int64
	clean, dirty int64         // bytes
	overdue      time.Duration // by how much max.compaction.lag.ms has passed
}

// ratio is the share of the log that is dirty.
func (d dirt) ratio() float64 {
	if d.dirty == 0 {
		return 0
	}
	return float64(d.dirty) / float64(d.clean+d.dirty)
}

// due reports whether it is worth the work, as the topic has it.
func (d dirt) due(c *Config) bool {
	return d.dirty > 0 && (d.overdue > 0 || d.ratio() > c.MinDirtyRatio)
}

// before orders logs: first those that are overdue, then the dirtiest.
func (d dirt) before(e dirt) bool {
	if (d.overdue > 0) != (e.overdue > 0) {
		return d.overdue > 0
	}
	return d.ratio() > e.ratio()
}

// compacts reports whether the log's records are to be compacted.
func (c *logConfig) compacts() bool { return c.Compact || c.design.retention.Cleanup != "" }

// dirt looks at what there is to compact at now. cleaned is what the checkpoint
// says; negative: nothing.
func (l *Log) dirt(now time.Time, cleaned int64) (dirt, error) {
	if l.sealedUnsynced() {
		l.syncTail(false)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.config.Load()
	if err := l.usable(); err != nil {
		return dirt{}, err
	}
	start, end := l.start.Load(), l.end.Load()
	d := dirt{from: cleaned}
	if cleaned < start || cleaned > end {
		// Records were deleted, or the log was cut without the checkpoint.
		d.from = start
	}
	parts := *l.view.Load()
	if len(parts) == 0 {
		return dirt{}, nil // in the middle of a reset
	}
	d.upTo = d.from
	oldest := int64(-1)
	for i, p := range parts[:len(parts)-1] {
		next := parts[i+1].base
		young, err := l.young(p, d.from, now, c)
		if err != nil {
			return dirt{}, err
		}
		if !p.sealed || !p.synced || p.next > l.ackedOffset() || young {
			break
		}
		if next <= d.from {
			d.clean += p.size()
			continue
		}
		d.dirty += p.size()
		d.upTo = next
		t, err := l.begins(p, c)
		if err != nil {
			return dirt{}, err
		}
		if t > 0 && (oldest < 0 || t < oldest) {
			oldest = t
		}
	}
	if oldest >= 0 {
		d.overdue = max(now.Sub(time.UnixMilli(oldest))-c.MaxCompactionLag, 0)
	}
	return d, nil
}

// sealedUnsynced reports whether a sealed part is not durable yet. Where the
// policy asks for little that may be so for a while.
func (l *Log) sealedUnsynced() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := *l.view.Load()
	return slices.ContainsFunc(parts, func(p *part) bool { return p.sealed && !p.synced })
}

// young reports whether a part has a record that is not old enough yet. What was
// compacted once was.
func (l *Log) young(p *part, from int64, now time.Time, c *logConfig) (bool, error) {
	if c.MinCompactionLag <= 0 || p.next <= from {
		return false, nil
	}
	if !p.surveyed {
		if err := l.surveyNewest(p); err != nil {
			return false, err
		}
	}
	return now.Sub(p.stat().Newest) < c.MinCompactionLag, nil
}

// begins is the timestamp of the part's first batch, -1 if it has none or nobody
// asks how old it may become.
func (l *Log) begins(p *part, c *logConfig) (int64, error) {
	if c.MaxCompactionLag == Never || p.size() == 0 {
		return -1, nil
	}
	if p.oldest >= 0 {
		return p.oldest, nil
	}
	if err := p.acquire(); err != nil {
		return -1, err
	}
	defer p.release()
	s := newScanner(l, p)
	defer s.free()
	_, _, err := s.find(p.base, func(h batch.Batch) bool {
		p.oldest = h.MaxTimestamp()
		return true
	})
	return p.oldest, err
}
