package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A truncation that takes the batch that holds Start empties the log: its marks
// stay in order, and offsets below Start are not given out again.
func TestTruncateTheBatchThatHoldsStart(t *testing.T) {
	for _, d := range designs() {
		s := openStore(t, vfs.NewMem(), "/data")
		l := create(t, s, "t-0", smallConfig(d))
		mustAppend(t, l, records(10, "x", 1))
		mustAppend(t, l, records(10, "y", 1))
		if err := errors.Join(l.Trim(5), l.Truncate(7)); err != nil {
			t.Fatal(err)
		}
		if m := l.Marks(); m.Start != 5 || m.End != 5 {
			t.Errorf("%s: marks are %+v, want it empty at 5", d, m)
		}
		if a := mustAppend(t, l, records(1, "z", 1)); a.Base != 5 {
			t.Errorf("%s: the next record got offset %d", d, a.Base)
		}
		closeStore(t, s, l)
	}
}

// A log that was not opened since a crash is not recovered, and the next start
// must know.
func TestMarkerOnlyAfterFullRecovery(t *testing.T) {
	mem := vfs.NewMem()
	c := smallConfig(engine.DefaultDesign)
	s := openStore(t, mem, "/data")
	mustAppend(t, create(t, s, "a-0", c), records(1, "x", 1))
	mustAppend(t, create(t, s, "b-0", c), records(1, "x", 1))
	killed := mem.Kill()
	closeStore(t, s)
	for _, step := range []struct {
		open  []string
		clean bool // of the start
	}{{[]string{"a-0"}, false}, {[]string{"a-0", "b-0"}, false}, {nil, true}, {nil, true}} {
		s := openStore(t, killed, "/data")
		if s.Clean() != step.clean {
			t.Errorf("before %v are opened clean is %v, want %v", step.open, s.Clean(), step.clean)
		}
		for _, name := range step.open {
			reopen(t, s, name, c)
		}
		closeStore(t, s)
	}
}

// A disk with room for nothing is given room by retention, though the last
// segment is due to go as well and cannot be rolled.
func TestRetentionOnFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	c := smallConfig(engine.DefaultDesign)
	s := openStore(t, mem, "/data")
	l := create(t, s, "t-0", c)
	for range 100 {
		mustAppend(t, l, records(5, "x", 1000))
	}
	used, err := mem.Usage("/data")
	if err != nil {
		t.Fatal(err)
	}
	mem.SetCapacity(int64(used.Size - used.Free))
	now := time.UnixMilli(1000).Add(8 * 24 * time.Hour)
	s.Tick(now) // finds no room for a new segment, and makes some
	s.Tick(now)
	if m := l.Marks(); m.Start != 500 || m.End != 500 {
		t.Errorf("marks are %+v, want all gone", m)
	}
	mustAppend(t, l, records(1, "x", now.UnixMilli()))
	closeStore(t, s, l)
}

// What a log knew of producers ends with a reset, also after a crash: a snapshot
// from before would answer new batches as duplicates.
func TestResetForgetsProducers(t *testing.T) {
	mem := vfs.NewMem()
	c := engine.DefaultConfig()
	s := openStore(t, mem, "/data")
	l := create(t, s, "t-0", c)
	idempotent := func(sequence int32) batch.Spec {
		b := records(1, fmt.Sprint(sequence), 1000)
		b.ProducerID, b.ProducerEpoch, b.BaseSequence = 7, 0, sequence
		return b
	}
	for i := range int32(10) {
		mustAppend(t, l, idempotent(i))
	}
	s.Tick(time.UnixMilli(1000)) // writes a snapshot at 10
	if err := l.Reset(8); err != nil {
		t.Fatal(err)
	}
	for i := range int32(5) {
		if a := mustAppend(t, l, idempotent(i)); a.Duplicate || a.Base != 8+int64(i) {
			t.Fatalf("sequence %d got %+v", i, a)
		}
	}
	mem = mem.Crash(nil, 0)
	closeStore(t, s, l)
	s = openStore(t, mem, "/data")
	l = reopen(t, s, "t-0", c)
	if a := mustAppend(t, l, idempotent(1)); !a.Duplicate || a.Base != 9 {
		t.Errorf("the second batch, sent again, got %+v", a)
	}
	if a := mustAppend(t, l, idempotent(5)); a.Duplicate || a.Base != 13 {
		t.Errorf("the sixth batch got %+v", a)
	}
	closeStore(t, s, l)
}

// blocked is a store of one sync worker, or more, whose syncs of a log wait until
// they are released.
func blocked(t *testing.T, workers int, enter func(name string)) *engine.Store {
	t.Helper()
	fsys := vfs.NewInject(vfs.NewMem(), vfs.Rules(vfs.Rule{Kinds: []vfs.Kind{vfs.OpSync}, Path: "*.log", Wait: func(op vfs.Op) {
		enter(strings.Split(op.Path, "/")[2])
	}}))
	s, err := engine.OpenStore(engine.StoreOptions{FS: fsys, Dir: "/data", NodeID: 1, SyncWorkers: workers})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Closing a log waits for its own sync, not for those of others.
func TestDeleteWaitsForItsOwnSync(t *testing.T) {
	entered, release := make(chan string), map[string]chan struct{}{"a-0": make(chan struct{}), "b-0": make(chan struct{})}
	s := blocked(t, 1, func(name string) {
		entered <- name
		<-release[name]
	})
	for _, name := range []string{"a-0", "b-0"} {
		l := create(t, s, name, smallConfig(engine.DefaultDesign))
		if _, err := appendSpec(l, records(1, "x", 1)); err != nil {
			t.Fatal(err)
		}
		l.Flush()
	}
	if name := <-entered; name != "a-0" {
		t.Fatalf("%s is synced first", name)
	}
	deleted := make(chan error)
	go func() { deleted <- s.Delete("a-0") }()
	close(release["a-0"])
	<-entered // the one worker is held up by b
	if err := <-deleted; err != nil {
		t.Error(err)
	}
	close(release["b-0"])
	go func() {
		for range entered { // the last sync, of Close
		}
	}()
	closeStore(t, s)
	close(entered)
}

// As many logs are synced at once as there are workers, whether these sleep or
// not.
func TestWorkersSyncSideBySide(t *testing.T) {
	var barrier atomicBarrier
	s := blocked(t, 2, func(string) { barrier.wait() })
	var logs []*engine.Log
	for _, name := range []string{"a-0", "b-0"} {
		logs = append(logs, create(t, s, name, smallConfig(engine.DefaultDesign)))
	}
	for range 50 {
		barrier.arm(2)
		for _, l := range logs {
			if _, err := appendSpec(l, records(1, "x", 1)); err != nil {
				t.Fatal(err)
			}
		}
		for _, l := range logs {
			l.Flush()
		}
		for _, l := range logs {
			if err := l.Wait(context.Background(), l.Marks().End); err != nil {
				t.Fatal(err)
			}
		}
		barrier.arm(0)
	}
	closeStore(t, s, logs...)
}

// atomicBarrier lets nobody pass until so many have come.
type atomicBarrier struct {
	mu struct {
		sync.Mutex
		missing int
		open    chan struct{}
	}
}

func (b *atomicBarrier) arm(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.missing, b.mu.open = n, make(chan struct{})
	if n == 0 {
		close(b.mu.open)
	}
}

func (b *atomicBarrier) wait() {
	b.mu.Lock()
	if b.mu.missing > 0 {
		if b.mu.missing--; b.mu.missing == 0 {
			close(b.mu.open)
		}
	}
	open := b.mu.open
	b.mu.Unlock()
	if open != nil {
		<-open
	}
}

// A log that is opened while the store closes is closed with it, or not opened.
func TestOpenWhileClosing(t *testing.T) {
	for range 20 {
		mem := vfs.NewMem()
		s := openStore(t, mem, "/data")
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				l, err := s.Create(fmt.Sprintf("t-%d", i), engine.LogOptions{Config: smallConfig(engine.DefaultDesign)})
				if err != nil {
					if !errors.Is(err, engine.ErrClosed) {
						t.Errorf("create: %v", err)
					}
					return
				}
				for {
					if _, err := appendSpec(l, records(1, "x", 1)); err != nil {
						if !errors.Is(err, engine.ErrClosed) {
							t.Errorf("append: %v", err)
						}
						return
					}
				}
			})
		}
		closeStore(t, s)
		wg.Wait()
		if err := s.Delete("t-0"); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("delete after close: %v", err)
		}
	}
}

// Close waits for a log that is being deleted: after it nothing happens in the
// directory, which may be another process's by then.
func TestCloseWaitsForDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		block := vfs.Rules(vfs.Rule{Kinds: []vfs.Kind{vfs.OpRename}, Path: "/data/t-0", Wait: func(vfs.Op) { <-release }})
		s := openStore(t, vfs.NewInject(vfs.NewMem(), block), "/data")
		create(t, s, "t-0", smallConfig(engine.DefaultDesign))
		deleted, closed := make(chan error, 1), make(chan error, 1)
		go func() { deleted <- s.Delete("t-0") }()
		synctest.Wait()
		go func() { closed <- s.Close() }()
		synctest.Wait()
		if len(closed) > 0 {
			t.Error("the store is closed, and a log is still being deleted")
		}
		close(release)
		if err := errors.Join(<-deleted, <-closed); err != nil {
			t.Error(err)
		}
	})
}

// A log whose directory is a link to another disk is a log like any other: it is
// listed, recovered after a crash, and keeps the next stop from being clean until
// it is.
func TestLinkedLog(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "log")
	s := openStore(t, vfs.OS{}, dir)
	l := create(t, s, "t-0", engine.DefaultConfig())
	mustAppend(t, l, records(3, "here", 1))
	closeStore(t, s, l)
	link := filepath.Join(dir, "t-0")
	if err := errors.Join(os.Rename(link, elsewhere), os.Symlink(elsewhere, link), os.Remove(filepath.Join(dir, ".kafka_cleanshutdown"))); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, vfs.OS{}, dir)
	if names, err := s.Names(); err != nil || !slices.Equal(names, []string{"t-0"}) {
		t.Errorf("the store has %q, %v", names, err)
	}
	closeStore(t, s)
	s = openStore(t, vfs.OS{}, dir)
	if s.Clean() {
		t.Error("a stop was clean before the log was recovered")
	}
	closeStore(t, s, reopen(t, s, "t-0", engine.DefaultConfig()))
	s = openStore(t, vfs.OS{}, dir)
	if !s.Clean() {
		t.Error("a stop was not clean after the log was recovered")
	}
	closeStore(t, s)
}
