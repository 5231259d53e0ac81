package engine

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// coldFile is a file of which only what was fetched is in memory, and whose device
// takes its time.
type coldFile struct {
	vfs.File
	took    time.Duration // by a read that waits for the device
	fetched int64         // Invariant: the bytes below it are in memory
	fetches int
}

func (f *coldFile) Cached(off, n int64) int64 { return max(0, min(n, f.fetched-off)) }

func (f *coldFile) Prefetch(off, n int64) {
	f.fetched = max(f.fetched, off+n)
	f.fetches++
}

func (f *coldFile) ReadAt(p []byte, _ int64) (int, error) {
	time.Sleep(f.took)
	return len(p), nil
}

func TestColdReads(t *testing.T) {
	const chunks = 4
	// A sync of 9 ms every 10 ms: a gap is too short to be taken for quiet.
	busy := func(ctx context.Context, c *coldReads) {
		for ctx.Err() == nil {
			c.syncBegins()
			time.Sleep(9 * time.Millisecond)
			c.syncEnded()
			time.Sleep(time.Millisecond)
		}
	}
	once := func(_ context.Context, c *coldReads) {
		c.syncBegins()
		c.syncEnded()
	}
	nobody := func(context.Context, *coldReads) {}
	for _, test := range []struct {
		name        string
		share       float64
		took        time.Duration // by a chunk
		others      func(context.Context, *coldReads)
		cached      bool
		least, most time.Duration
		fetches     int
	}{
		{"nobody syncs", 0.1, time.Millisecond, nobody, false, 0, 0, 0},
		{"all is in memory", 0.1, time.Millisecond, busy, true, 0, 0, 0},
		{"all of the device", 1, time.Millisecond, busy, false, 0, 0, 0},
		{"a tenth of it", 0, time.Millisecond, busy, false, chunks * 10 * time.Millisecond, chunks * 12 * time.Millisecond, chunks},
		{"half of it", 0.5, time.Millisecond, busy, false, chunks * 2 * time.Millisecond, chunks * 3 * time.Millisecond, chunks},
		{"one sync, a moment ago", 0.1, time.Millisecond, once, false, chunks * time.Millisecond, chunks*time.Millisecond + 3*pauseStep, chunks},
		{"a slow device", 0.1, 100 * time.Millisecond, busy, false, coldWaitMax, coldWaitMax, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				c := newColdReads(test.share)
				var others sync.WaitGroup
				others.Go(func() { test.others(ctx, c) })
				defer others.Wait()
				defer cancel()
				synctest.Wait()
				f := &coldFile{took: test.took}
				if test.cached {
					f.fetched = 1 << 62
				}
				began := time.Now()
				c.admit(ctx, segment.FileExtent(f, 0, chunks*coldChunk, nil, 0))
				if d := time.Since(began); d < test.least || d > test.most {
					t.Errorf("the read was held for %v, want between %v and %v", d, test.least, test.most)
				}
				if f.fetches != test.fetches {
					t.Errorf("%d fetches, want %d", f.fetches, test.fetches)
				}
			})
		})
	}
}

// TestColdReadsTakeTurns: two readers together have the share of one, and one that
// is cancelled while it waits goes at once.
func TestColdReadsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newColdReads(0.1)
		c.syncBegins() // and never ends
		read := func(ctx context.Context) time.Duration {
			began := time.Now()
			c.admit(ctx, segment.FileExtent(&coldFile{took: time.Millisecond}, 0, coldChunk, nil, 0))
			return time.Since(began)
		}
		done := make(chan time.Duration, 2)
		for range 2 {
			go func() { done <- read(t.Context()) }()
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		if d := read(ctx); d != 5*time.Millisecond {
			t.Errorf("the cancelled reader stayed for %v", d)
		}
		if a, b := <-done, <-done; a != 10*time.Millisecond || b != 20*time.Millisecond {
			t.Errorf("the readers were held for %v and %v, want 10 ms and 20 ms", a, b)
		}
	})
}
