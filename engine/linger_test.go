package engine_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// slowDisk is a disk in memory whose syncs of segments take so long in virtual
// time, and are counted.
func slowDisk(cost time.Duration, syncs *atomic.Int64) vfs.FS {
	return vfs.NewInject(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasSuffix(op.Path, ".log") {
			syncs.Add(1)
			<-time.After(cost)
		}
		return nil
	})
}

// rounds has each of so many writers append and wait, so many times, and returns
// the syncs that it took and how long it was. Between an answer and the next
// append a writer thinks, each a little longer than the one before. All of them do:
// whether who comes at the moment when a sync ends is in the next one would be
// chance. In the first round nobody waits before all have appended.
func rounds(t *testing.T, policy string, writers, times int, cost, window time.Duration) (syncs int64, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		s := openStore(t, slowDisk(cost, &n), "/data")
		c := engine.DefaultConfig()
		c.Design.Sync, c.SyncLinger = policy, window
		l := create(t, s, "t-0", c)
		began := time.Now()
		done := make(chan error, writers)
		var first sync.WaitGroup
		first.Add(writers)
		for w := range writers {
			go func() {
				for i := range times {
					<-time.After(time.Duration(w+1) * cost / 100)
					a, err := appendSpec(l, records(1, "x", 1))
					if i == 0 {
						first.Done()
						first.Wait()
					}
					if err == nil {
						err = l.Wait(context.Background(), a.Next)
					}
					if err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range writers {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		syncs, took = n.Load(), time.Since(began)
		closeStore(t, s, l)
	})
	return syncs, took
}

// Sixteen writers that come back one after the other share one sync with linger,
// where with always the first of them has one of its own.
func TestLingerGathers(t *testing.T) {
	const cost, times = 10 * time.Millisecond, 50
	always, slow := rounds(t, "always", 16, times, cost, 0)
	linger, quick := rounds(t, "linger", 16, times, cost, time.Second)
	t.Logf("always: %d syncs, %v; linger: %d syncs, %v", always, slow, linger, quick)
	if linger > times*5/4 {
		t.Errorf("%d syncs for %d rounds of 16 writers, want about one for each", linger, times)
	}
	if linger*3/2 > always || quick*5/4 > slow {
		t.Errorf("linger made %d syncs in %v, always %d in %v: it should be far fewer", linger, quick, always, slow)
	}
}

// A writer that is alone waits for nobody, and without a window nobody does.
func TestLingerAloneIsAlways(t *testing.T) {
	const cost, times = 10 * time.Millisecond, 50
	for _, c := range []struct {
		writers int
		window  time.Duration
	}{{1, time.Second}, {5, 0}} {
		wantSyncs, want := rounds(t, "always", c.writers, times, cost, 0)
		syncs, took := rounds(t, "linger", c.writers, times, cost, c.window)
		if syncs != wantSyncs || took != want {
			t.Errorf("%d writers, window %v: %d syncs in %v, with always %d in %v", c.writers, c.window, syncs, took, wantSyncs, want)
		}
	}
}

// Who lingers in vain does so for the window, or for a sync's cost if that is
// less, and is then served; nobody who waited is forgotten, by Close neither.
func TestLingerInVain(t *testing.T) {
	const cost = 10 * time.Millisecond
	for _, c := range []struct{ window, want time.Duration }{
		{time.Millisecond, time.Millisecond + cost},
		{time.Hour, cost + cost},
	} {
		synctest.Test(t, func(t *testing.T) {
			var n atomic.Int64
			s := openStore(t, slowDisk(cost, &n), "/data")
			conf := engine.DefaultConfig()
			conf.Design.Sync, conf.SyncLinger = "linger", c.window
			l := create(t, s, "t-0", conf)
			// Eight appends make a group of eight.
			for range 8 {
				if _, err := appendSpec(l, records(1, "x", 1)); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Wait(context.Background(), 8); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Minute)
			began := time.Now()
			a := mustAppend(t, l, records(1, "alone", 1))
			if took := time.Since(began); took != c.want {
				t.Errorf("window %v: a writer that is alone after a group of eight waited %v, want %v", c.window, took, c.want)
			}
			began = time.Now()
			mustAppend(t, l, records(1, "alone again", 1))
			if took := time.Since(began); took != cost {
				t.Errorf("window %v: the one after it waited %v, want %v", c.window, took, cost)
			}
			// A group again, and one who lingers when the store is closed.
			for range 8 {
				if a, _ = appendSpec(l, records(1, "x", 1)); a.Next == 0 {
					t.Fatal("append")
				}
			}
			if err := l.Wait(context.Background(), a.Next); err != nil {
				t.Fatal(err)
			}
			if a, _ = appendSpec(l, records(1, "x", 1)); a.Next == 0 {
				t.Fatal("append")
			}
			done := make(chan error)
			go func() { done <- l.Wait(context.Background(), a.Next) }()
			synctest.Wait()
			if l.Acked(a.Next) {
				t.Error("it did not linger")
			}
			closeStore(t, s)
			if err := <-done; err != nil {
				t.Errorf("who lingered when the log was closed got %v", err)
			}
		})
	}
}

// The policy bytes syncs once so many have gathered, and never before.
func TestSyncByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		s := openStore(t, slowDisk(time.Millisecond, &n), "/data")
		c := engine.DefaultConfig()
		size := int64(len(records(1, "x", 1).Bytes()))
		c.Design.Sync, c.SyncBytes = "bytes", 10*size
		l := create(t, s, "t-0", c)
		for i := int64(1); i <= 35; i++ {
			a := mustAppend(t, l, records(1, "x", 1))
			<-time.After(time.Hour)
			if m := l.Marks(); m.Durable != i/10*10 || m.Acked != a.Next {
				t.Fatalf("after %d appends of a tenth of the bound the marks are %+v", i, m)
			}
		}
		if got := n.Load(); got != 3 {
			t.Errorf("%d syncs for 35 appends, want 3", got)
		}
		closeStore(t, s, l)
	})
}
