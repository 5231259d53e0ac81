package engine_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// storm is everything at once on one log.
type storm struct {
	t     *testing.T
	store *engine.Store
	log   *engine.Log
	c     engine.Config
	ended atomic.Bool
	wg    sync.WaitGroup
}

// until runs f in a goroutine until the storm is over.
func (s *storm) until(f func(rng *rand.Rand)) {
	s.wg.Go(func() {
		rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
		for !s.ended.Load() {
			f(rng)
		}
	})
}

// expected reports whether an error is one that the storm itself causes.
func expected(err error) bool {
	var outside *engine.RangeError
	return err == nil || errors.Is(err, engine.ErrClosed) || errors.Is(err, segment.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &outside)
}

func (s *storm) check(what string, err error) {
	if !expected(err) {
		s.t.Errorf("%s: %v", what, err)
		s.ended.Store(true)
	}
}

func (s *storm) append(rng *rand.Rand) {
	a, err := appendSpec(s.log, records(1+rng.IntN(4), fmt.Sprint(rng.Uint32()), 1000))
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(3))*time.Millisecond)
		err = s.log.Wait(ctx, a.Next)
		cancel()
	}
	s.check("append", err)
}

// read pins an extent, and looks twice at what is in it.
func (s *storm) read(rng *rand.Rand) {
	m := s.log.Marks()
	from := m.Start + rng.Int64N(max(m.Acked-m.Start, 0)+1)
	e, err := s.log.Read(context.Background(), engine.Read{From: from, UpTo: m.Acked, MaxBytes: 1 + rng.Int64N(3000), AtLeastOne: true})
	if err != nil {
		s.check("read", err)
		return
	}
	defer e.Release()
	one, two := make([]byte, e.Len()), make([]byte, e.Len())
	if e.Len() == 0 {
		return
	}
	if _, err := e.ReadAt(one, 0); err != nil {
		s.t.Errorf("extent: %v", err)
	}
	b, _, err := batch.Next(one)
	if err == nil {
		err = b.Check()
	}
	if err != nil || b.BaseOffset() > from || b.NextOffset() <= from {
		s.t.Errorf("a read from %d got the batch at %d, %v", from, b.BaseOffset(), err)
	}
	if _, err := e.ReadAt(two, 0); err != nil || crc32.ChecksumIEEE(one) != crc32.ChecksumIEEE(two) {
		s.t.Errorf("pinned bytes have changed, %v", err)
	}
}

func (s *storm) change(rng *rand.Rand) {
	m := s.log.Marks()
	switch at := m.Start + rng.Int64N(max(m.End-m.Start, 0)+1); rng.IntN(12) {
	case 0:
		s.check("truncate", s.log.Truncate(at))
	case 1:
		s.check("trim", s.log.Trim(at))
	case 2:
		s.store.Tick(time.UnixMilli(2000))
	case 3:
		s.check("checkpoint", s.store.Checkpoint())
	case 4:
		c := s.c
		c.Design.Sync = engine.SyncPolicies[rng.IntN(len(engine.SyncPolicies))].Name
		// Of one format: what is open stays, what is opened from now on differs.
		if i := []string{"mmap", "dense"}; slices.Contains(i, c.Design.Index) {
			c.Design.Index = i[rng.IntN(len(i))]
		}
		if i := segment.Designs[rng.IntN(len(segment.Designs))]; i.Durable && durable(c.Design) {
			c.Design.Segment = i.Name
		}
		c.FlushAge, c.FlushRecords = time.Millisecond, 10
		s.check("set config", s.log.SetConfig(c))
	case 5:
		s.check("reset", s.log.Reset(m.End+rng.Int64N(5)))
	default:
		_, _, err := s.log.OffsetForTime(1000)
		s.check("time", err)
	}
}

// Everything at once, then Close in the middle of it.
func TestEverythingAtOnce(t *testing.T) {
	for _, d := range designs() {
		if d.Sync != engine.DefaultDesign.Sync {
			continue // the storm goes from one to the other
		}
		for _, bound := range []int{0, 1} {
			t.Run(fmt.Sprintf("design=%s/open=%d", d, bound), func(t *testing.T) {
				t.Parallel()
				mem := vfs.NewMem()
				s := &storm{t: t, store: openStoreBound(t, mem, "/data", bound), c: smallConfig(d)}
				s.c.RetentionBytes = 20_000
				s.log = create(t, s.store, "t-0", s.c)
				for range 6 {
					s.until(s.append)
				}
				for range 4 {
					s.until(s.read)
				}
				s.until(s.change)
				s.until(func(*rand.Rand) {
					changed := s.log.Changed()
					select {
					case <-changed:
					case <-time.After(time.Second):
					}
				})
				<-time.After(300 * time.Millisecond)
				if err := s.log.Check(); err != nil {
					t.Errorf("check in the middle: %v", err)
				}
				if err := s.store.Close(); err != nil {
					t.Errorf("close in the middle: %v", err)
				}
				s.ended.Store(true)
				s.wg.Wait()
				if !durable(d) {
					return
				}
				again := openStore(t, mem, "/data")
				if !again.Clean() {
					t.Error("the stop was not clean")
				}
				closeStore(t, again, reopen(t, again, "t-0", s.c))
			})
		}
	}
}

// Whoever takes Changed before it looks at the marks never waits for what has
// happened.
func TestChangedLosesNoWakeUp(t *testing.T) {
	for _, policy := range engine.SyncPolicies {
		t.Run(policy.Name, func(t *testing.T) {
			t.Parallel()
			d := engine.DefaultDesign
			d.Sync = policy.Name
			s := openStore(t, vfs.NewMem(), "/data")
			l := create(t, s, "t-0", smallConfig(d))
			defer closeStore(t, s, l)
			const n = 2000
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for seen := int64(0); seen < n; {
						changed := l.Changed()
						if acked := l.Marks().Acked; acked > seen {
							seen = acked
							continue
						}
						<-changed // which hangs if nobody says that more are acknowledged
					}
				})
			}
			for range n {
				a, err := appendSpec(l, records(1, "x", 1))
				if err != nil {
					t.Fatal(err)
				}
				if a.Base%3 == 0 {
					l.Flush()
				} else if err := l.Wait(context.Background(), a.Next); err != nil {
					t.Fatal(err)
				}
			}
			l.Flush()
			wg.Wait()
		})
	}
}

// A wait that is given up costs others nothing.
func TestWaitCancelled(t *testing.T) {
	release := make(chan struct{})
	block := vfs.Rules(vfs.Rule{Kinds: []vfs.Kind{vfs.OpSync}, Path: "*.log", Wait: func(vfs.Op) { <-release }})
	s := openStore(t, vfs.NewInject(vfs.NewMem(), block), "/data")
	l := create(t, s, "t-0", smallConfig(engine.DefaultDesign))
	defer closeStore(t, s, l)
	a, err := appendSpec(l, records(1, "x", 1))
	if err != nil {
		t.Fatal(err)
	}
	l.Flush() // a worker hangs in the sync
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.Wait(ctx, a.Next); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait returned %v", err)
	}
	done := make(chan error)
	go func() { done <- l.Wait(context.Background(), a.Next) }()
	close(release)
	if err := <-done; err != nil {
		t.Errorf("another wait returned %v", err)
	}
}

// Appending and waiting allocate nothing, whatever the policy.
func TestAppendAllocatesNothing(t *testing.T) {
	for _, policy := range engine.SyncPolicies {
		c := engine.DefaultConfig()
		c.Design.Sync = policy.Name
		s := openStore(t, vfs.OS{}, t.TempDir())
		l := create(t, s, "t-0", c)
		set, err := batch.Parse(records(10, "x", 1).Bytes())
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		got := testing.AllocsPerRun(100, func() {
			a, err := l.Append(set, 0)
			if err == nil {
				err = l.Wait(ctx, a.Next)
			}
			if err != nil {
				t.Fatal(err)
			}
		})
		if got > 0 {
			t.Errorf("policy %s: %v allocations for an append and its wait", policy.Name, got)
		}
		closeStore(t, s, l)
	}
}
