package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// device is a disk that can be stopped: from then on nothing ends that waits for the
// device, which is every sync, and every write but those into the page cache.
type device struct {
	behind  bool // the segments are written around the page cache
	stopped atomic.Bool
	reached chan struct{} // somebody waits
	started chan struct{}
}

func newDevice(d engine.Design) *device {
	i := slices.IndexFunc(segment.Designs, func(s segment.Design) bool { return s.Name == d.Segment })
	return &device{behind: segment.Designs[i].Behind, reached: make(chan struct{}, 1), started: make(chan struct{})}
}

func (d *device) before(op vfs.Op) error {
	isLog := strings.HasSuffix(op.Path, ".log")
	waits := false
	switch op.Kind {
	case vfs.OpSync, vfs.OpSyncDir, vfs.OpWriteDurable, vfs.OpFlush:
		waits = true
	case vfs.OpWrite:
		waits = d.behind || !isLog
	case vfs.OpTruncate:
		waits = isLog
	}
	if waits && d.stopped.Load() {
		select {
		case d.reached <- struct{}{}:
		default:
		}
		<-d.started
	}
	return nil
}

// reach waits until somebody waits for the device.
func (d *device) reach(t *testing.T) {
	t.Helper()
	select {
	case <-d.reached:
	case <-d.started: // by the watchdog
		t.Fatal("nobody waits for the device")
	}
}

// While the device takes its time over whatever a log has asked it for, the log is
// appended to, rolls and is read: nothing that is done under its lock waits.
func TestNobodyWaitsForTheDevice(t *testing.T) {
	forEachDurable(t, func(t *testing.T, c engine.Config) {
		d := newDevice(c.Design)
		store := openStore(t, vfs.NewInject(vfs.NewMem(), d.before), "/data")
		l := create(t, store, "t-0", c)
		mustAppend(t, l, records(3, "first", 1))
		acked := l.Marks().Acked

		d.stopped.Store(true)
		// Only who fails waits for this.
		watchdog := time.AfterFunc(time.Minute, func() { close(d.started) })
		want := []string{"first/0", "first/1", "first/2"}
		appendOne := func() int64 {
			t.Helper()
			text := fmt.Sprintf("text %d", len(want))
			a, err := appendSpec(l, records(1, text, 2))
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, text+"/0")
			return a.Next
		}
		next := appendOne()
		waited := make(chan error, 1)
		go func() { waited <- l.Wait(t.Context(), next) }()
		if d.behind || ackDurable(c.Design) {
			d.reach(t)
		}
		for len(l.Segments()) < 2 {
			appendOne()
		}
		end := appendOne()
		checkValues(t, readAll(t, l, 0, end, 1<<20), 0, want)
		if m := l.Marks(); (d.behind || ackDurable(c.Design)) && m.Acked != acked {
			t.Errorf("%d is acknowledged, which only the process has", m.Acked)
		}
		if !watchdog.Stop() {
			t.Fatal("an append, a roll or a read has waited for the device")
		}
		close(d.started)
		if err := <-waited; err != nil {
			t.Error(err)
		}
		for len(l.Segments()) < 6 {
			end = appendOne()
		}
		if err := l.Wait(t.Context(), end); err != nil {
			t.Error(err)
		}
		checkValues(t, readAll(t, l, 0, end, 1<<20), 0, want)
		closeStore(t, store, l)
	})
}

// An append that finds too much held back waits for the device without the log's lock,
// however small the segments are.
func TestHeldBackIsBounded(t *testing.T) {
	for _, s := range segment.Designs {
		if !s.Behind {
			continue
		}
		t.Run("design="+s.Name, func(t *testing.T) {
			c := smallConfig(engine.Design{Segment: s.Name, Index: "mmap", Sync: "always", Retention: "keep"})
			d := newDevice(c.Design)
			store := openStore(t, vfs.NewInject(vfs.NewMem(), d.before), "/data")
			l := create(t, store, "t-0", c)
			d.stopped.Store(true)
			// Only who fails waits for this.
			watchdog := time.AfterFunc(time.Minute, func() { close(d.started) })
			appended := make(chan error, 1)
			go func() {
				var err error
				for i := 0; i < 1000 && err == nil; i++ {
					_, err = appendSpec(l, records(1, "text", int64(i)))
				}
				appended <- err
			}()
			d.reach(t)
			// Who appends is at it, or waits for the device: the log is free.
			for len(l.Segments()) < 2 {
				_ = l.Epoch()
			}
			if n := len(l.Segments()); n > 2 {
				t.Errorf("%d segments are held back", n)
			}
			if !watchdog.Stop() {
				t.Fatal("the log's lock has waited for the device")
			}
			close(d.started)
			if err := <-appended; err != nil {
				t.Fatal(err)
			}
			if err := l.Wait(t.Context(), 1000); err != nil {
				t.Error(err)
			}
			closeStore(t, store, l)
		})
	}
}
