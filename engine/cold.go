package engine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/bobbin-log/bobbin/segment"
)

// coldReads keeps a consumer that catches up from what is no longer in memory from
// taking the disk away from those who wait for a sync.
//
// Left to itself such a reader keeps megabytes of read-ahead in the device's
// queue, and each sync waits behind them: one cold reader leaves a synced writer
// about a fifth of its throughput, and stretches its p99 by about as much (see
// "bobbin bench catchup"). Hints alone (sequential, random, read-ahead by the
// reader itself) make the reader faster and the writer slower still; dropping
// behind helps only in so far as it slows the reader. What pays is little at a
// time, and seldom:
//
//   - a read that finds its bytes in memory, and every read while nobody has
//     waited for a sync for a while, is let through: it pays for a look at the
//     page cache's index;
//   - else the bytes are brought into memory first, coldChunk at a time, one reader
//     after the other, and after each chunk that took so long there is a pause,
//     so that reading has a share of the time. The pause ends early in a moment
//     without syncs: a writer that syncs seldom costs the reader little;
//   - no read is held for longer than coldWaitMax. Where the device is too slow for
//     all who catch up, the rest of what was asked for is fetched at once, which is
//     still less than the kernel would: a client that got no answer in time would
//     only ask again.
//
// That the bytes are in memory when they are sent has another use: sendfile on a
// cold page blocks a thread, and for some time the processor that it runs on.
type coldReads struct {
	share float64 // of the device's time, while there are syncs; 1: no pauses
	// turn is held by the reader that reads, or pauses after it.
	turn chan struct{}

	syncing  atomic.Int64 // syncs under way
	lastSync atomic.Int64 // when the last one ended, since begun; 0: none has
	begun    time.Time
}

const (
	defaultColdShare = 0.1
	// coldChunk is about what a disk reads in the time that a sync takes.
	coldChunk = 256 << 10
	// coldAhead is read in addition: the header that the next read looks for. The
	// kernel would take that for the beginning of a sequential read, and read on.
	coldAhead = 2 * scanBytes
	// coldWaitMax bounds how long a read is held.
	coldWaitMax = 250 * time.Millisecond
	// syncedLately is how long after a sync somebody is thought to be writing.
	syncedLately = time.Second
	// quietAfter is how long after a sync the device is thought to be idle: longer
	// than the gap between two syncs of a busy log.
	quietAfter = 2 * time.Millisecond
	// pauseStep is how often a pause looks whether it can end early.
	pauseStep = time.Millisecond
)

func newColdReads(share float64) *coldReads {
	if share <= 0 {
		share = defaultColdShare
	}
	return &coldReads{share: min(1, share), turn: make(chan struct{}, 1), begun: time.Now()}
}

// syncBegins and syncEnded are told by whoever syncs a log's tail, or the journal.
func (c *coldReads) syncBegins() { c.syncing.Add(1) }

func (c *coldReads) syncEnded() {
	c.lastSync.Store(max(1, int64(time.Since(c.begun))))
	c.syncing.Add(-1)
}

// quietFor reports whether no sync was under way for so long.
func (c *coldReads) quietFor(d time.Duration) bool {
	if c.syncing.Load() > 0 {
		return false
	}
	last := c.lastSync.Load()
	return last == 0 || time.Since(c.begun)-time.Duration(last) >= d
}

// admit returns when e may be read: in general at once.
func (c *coldReads) admit(ctx context.Context, e segment.Extent) {
	if c.share >= 1 || c.quietFor(syncedLately) || e.Cached(0, e.Len()) == e.Len() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, coldWaitMax)
	defer cancel()
	for pos := int64(0); pos < e.Len(); pos += coldChunk {
		n := min(coldChunk, e.Len()-pos)
		if e.Cached(pos, n) == n {
			continue
		}
		if !c.takeTurn(ctx) {
			e.Prefetch(pos, e.Len()-pos+coldAhead)
			return
		}
		began := time.Now()
		e.Prefetch(pos, n+coldAhead)
		var last [1]byte
		_, _ = e.ReadAt(last[:], pos+n-1) // whoever reads it next sees the error
		c.pause(ctx, time.Since(began))
		<-c.turn
	}
}

func (c *coldReads) takeTurn(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case c.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// pause waits as long as the share asks for after a read that took so long, or
// until there are no syncs.
func (c *coldReads) pause(ctx context.Context, took time.Duration) {
	left := time.Duration(float64(took) * (1/c.share - 1))
	for left > 0 && !c.quietFor(quietAfter) {
		step := min(left, pauseStep)
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return
		}
		left -= step
	}
}
