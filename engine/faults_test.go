package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// forEachDurable runs the test for every design that keeps its bytes.
func forEachDurable(t *testing.T, test func(t *testing.T, c engine.Config)) {
	for _, d := range designs() {
		if durable(d) && (foreignness(d) <= 1 || !testing.Short()) {
			t.Run("design="+d.String(), func(t *testing.T) { test(t, smallConfig(d)) })
		}
	}
}

// countSegments counts the .log files of the history's log.
func countSegments(t *testing.T, fs vfs.FS) (n int) {
	t.Helper()
	entries, err := fs.ReadDir("/data/" + historyLog)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".log") {
			n++
		}
	}
	return n
}

// A full disk refuses writes and serves reads, wherever in an append, a roll or a
// checkpoint it is met; when there is room again all goes on.
func TestFullDiskHeals(t *testing.T) {
	forEachDurable(t, func(t *testing.T, c engine.Config) {
		step := int64(1536)
		if testing.Short() || foreignness(c.Design) > 1 {
			step *= 7
		}
		for room := int64(2 << 10); room < 48<<10; room += step {
			h, mem := newHistory(t, c), vfs.NewMem()
			if err := errors.Join(h.open(mem), h.create(), h.append(1)); err != nil {
				t.Fatal(err)
			}
			used, err := mem.Usage("/data")
			if err != nil {
				t.Fatal(err)
			}
			mem.SetCapacity(int64(used.Size-used.Free) + room)
			refused := h.fillDisk(t)
			_ = h.store.Checkpoint() // there may be no room for it either
			h.judge()
			if n, want := countSegments(t, mem), len(h.log.Segments()); n != want {
				t.Errorf("room %d: %d segment files for %d segments", room, n, want)
			}
			// A worker may be on its way to the one that goes with the last roll.
			for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
				name := shortSnapshot(t, mem)
				if name == "" {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("room %d: %s stays, and is too short for anybody to read", room, name)
				}
			}
			mem.SetCapacity(-1)
			if err := steps(func() error { return h.append(refused, 5, 5, 5, 5, 5) }, h.store.Checkpoint, h.close); err != nil {
				t.Fatalf("room %d: with room again: %v", room, err)
			}
			if h.reopen("after a full disk", mem, false) {
				_ = h.store.Close()
			}
			if t.Failed() {
				t.Fatalf("that was with room for %d bytes", room)
			}
		}
	})
}

// shortSnapshot is the name of a snapshot that has no whole header, if there is one.
func shortSnapshot(t *testing.T, fsys vfs.FS) string {
	t.Helper()
	for _, name := range filesOf(t, fsys, ".snapshot") {
		b, err := vfs.ReadFile(fsys, name, 1<<20)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err == nil && len(b) < 10 {
			return name
		}
	}
	return ""
}

// fillDisk appends until the disk is full, and returns the size of the batch
// that was refused.
func (h *history) fillDisk(t *testing.T) int {
	t.Helper()
	for range 10_000 {
		m := h.log.Marks()
		err := h.append(5)
		if err == nil {
			continue
		}
		if !errors.Is(err, engine.ErrNoSpace) || errors.Is(err, engine.ErrFailed) {
			t.Fatalf("a full disk: %v", err)
		}
		if got := h.log.Marks(); got.Start != m.Start || got.End != m.End {
			t.Fatalf("a refused append changed the marks from %+v to %+v", m, got)
		}
		return 5
	}
	t.Fatal("the disk is never full")
	return 0
}

// A disk that is full at the start lets a log be read, after a crash as well.
func TestOpenOnFullDisk(t *testing.T) {
	forEachDurable(t, func(t *testing.T, c engine.Config) {
		for _, clean := range []bool{true, false} {
			h, mem := newHistory(t, c), vfs.NewMem()
			if err := errors.Join(h.open(mem), h.create(), h.append(5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5)); err != nil {
				t.Fatal(err)
			}
			disk := mem.Kill()
			if err := h.close(); err != nil {
				t.Fatal(err)
			}
			if clean {
				disk = mem
			}
			used, err := disk.Usage("/data")
			if err != nil {
				t.Fatal(err)
			}
			disk.SetCapacity(int64(used.Size - used.Free))
			if !h.reopen(fmt.Sprintf("full disk, clean %v", clean), disk, false) {
				continue
			}
			if err := h.append(1); err != nil && !errors.Is(err, engine.ErrNoSpace) {
				t.Errorf("append to a full disk: %v", err)
			}
			disk.SetCapacity(-1)
			if err := steps(func() error { return h.append(5, 5) }, h.close); err != nil {
				t.Fatalf("with room again: %v", err)
			}
			if h.reopen("with room again", disk, false) {
				closeStore(t, h.store, h.log)
			}
		}
	})
}

// After a write or a sync that failed nothing is acknowledged any more, whoever
// waits learns it, and what is there can be read. The stop is not a clean one.
func TestFailedWriteOrSync(t *testing.T) {
	for _, kind := range []vfs.Kind{vfs.OpWrite, vfs.OpSync} {
		t.Run(kind.String(), func(t *testing.T) {
			d := engine.DefaultDesign
			mem := vfs.NewMem()
			var broken sync.Map // empty: all is well
			h := newHistory(t, smallConfig(d))
			err := h.open(vfs.NewInject(mem, func(op vfs.Op) error {
				if _, ok := broken.Load(op.Kind); ok && strings.HasSuffix(op.Path, ".log") {
					return syscall.EIO
				}
				return nil
			}))
			if err := errors.Join(err, h.create(), h.append(3, 3)); err != nil {
				t.Fatal(err)
			}
			changed := h.log.Changed()
			broken.Store(kind, true)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					a, err := appendSpec(h.log, records(1, "never acknowledged", 1))
					if err == nil {
						err = h.log.Wait(context.Background(), a.Next)
					}
					if !errors.Is(err, engine.ErrFailed) {
						t.Errorf("an append to a broken disk: %v", err)
					}
				})
			}
			wg.Wait()
			<-changed
			broken.Delete(kind) // the disk says that all is well again: it lies
			if _, err := appendSpec(h.log, records(1, "x", 1)); !errors.Is(err, engine.ErrFailed) {
				t.Errorf("an append after that: %v", err)
			}
			for what, err := range map[string]error{"truncate": h.log.Truncate(1), "trim": h.log.Trim(1), "reset": h.log.Reset(9)} {
				if !errors.Is(err, engine.ErrFailed) {
					t.Errorf("%s after that: %v", what, err)
				}
			}
			if m := h.log.Marks(); m.Acked != 6 || m.Start != 0 {
				t.Errorf("marks are %+v, want 6 acknowledged", m)
			}
			checkValues(t, readAll(t, h.log, 0, 6, 1000), 0, []string{"text 0/0", "text 0/1", "text 0/2", "text 1/0", "text 1/1", "text 1/2"})
			h.store.Tick(time0)
			if err := h.store.Close(); !errors.Is(err, engine.ErrFailed) {
				t.Errorf("close: %v", err)
			}
			for i := range int64(9) {
				h.values[6+i] = map[string]bool{"never acknowledged/0": true}
			}
			if h.reopen("after a failed "+kind.String(), mem, false) {
				closeStore(t, h.store, h.log)
			}
		})
	}
}

// A disk that cannot be read gives errors.
func TestFailedRead(t *testing.T) {
	forEachDurable(t, func(t *testing.T, c engine.Config) {
		mem := vfs.NewMem()
		var broken sync.Map
		h := newHistory(t, c)
		err := h.open(vfs.NewInject(mem, func(op vfs.Op) error {
			if _, ok := broken.Load(op.Kind); ok {
				return syscall.EIO
			}
			return nil
		}))
		// At rest nothing of it is in memory, whatever the design.
		if err := errors.Join(err, h.create(), h.append(5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5), h.rest()); err != nil {
			t.Fatal(err)
		}
		broken.Store(vfs.OpRead, true)
		e, err := h.log.Read(context.Background(), engine.Read{From: 3, UpTo: 80, MaxBytes: 100, AtLeastOne: true})
		if err == nil {
			_, err = e.ReadAt(make([]byte, e.Len()), 0)
			e.Release()
		}
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("read: %v", err)
		}
		if _, _, err := h.log.OffsetForTime(3); !errors.Is(err, syscall.EIO) {
			t.Errorf("offset for a time: %v", err)
		}
		if err := h.log.Check(); !errors.Is(err, syscall.EIO) {
			t.Errorf("check: %v", err)
		}
		broken.Delete(vfs.OpRead)
		if err := h.append(1); err != nil {
			t.Errorf("append: %v", err)
		}
		h.judge()
		if err := h.close(); err != nil {
			t.Error(err)
		}
		broken.Store(vfs.OpRead, true)
		if err := h.open(vfs.NewInject(mem, func(op vfs.Op) error {
			if op.Kind == vfs.OpRead && strings.HasSuffix(op.Path, ".log") {
				return syscall.EIO
			}
			return nil
		})); !errors.Is(err, syscall.EIO) {
			t.Errorf("open: %v", err)
		}
		_ = h.store.Close()
	})
}

// Whatever operation of a cut fails: the log refuses writes from then on, and the
// next start finds it whole.
func TestFailedCut(t *testing.T) {
	for name, cut := range map[string]func(*engine.Log) error{
		"truncate": func(l *engine.Log) error { return l.Truncate(50) },
		"reset":    func(l *engine.Log) error { return l.Reset(1000) },
	} {
		t.Run(name, func(t *testing.T) {
			for n := range 100 {
				var left sync.Map
				mem, h := vfs.NewMem(), newHistory(t, smallConfig(engine.DefaultDesign))
				count := 0
				err := h.open(vfs.NewInject(mem, func(op vfs.Op) error {
					if _, cutting := left.Load("cutting"); !cutting || !op.Kind.Changes() {
						return nil
					}
					if count++; count == n+1 {
						return syscall.EIO
					}
					return nil
				}))
				if err := errors.Join(err, h.create(), h.append(slices.Repeat([]int{5}, 40)...), h.tick()); err != nil {
					t.Fatal(err)
				}
				left.Store("cutting", true)
				err = cut(h.log)
				left.Delete("cutting")
				if err == nil && count <= n {
					_ = h.close()
					break // there are no more operations
				}
				if _, appending := appendSpec(h.log, records(1, "x", 1)); errors.Is(err, engine.ErrFailed) != errors.Is(appending, engine.ErrFailed) {
					t.Errorf("operation %d: the cut: %v, an append after it: %v", n, err, appending)
				}
				_ = h.log.Check() // must not panic
				_, _, _ = h.log.NewestTime()
				h.store.Tick(time0)
				_ = h.log.SetConfig(h.config)
				_ = h.store.Close()
				s := openStore(t, mem, "/data")
				closeStore(t, s, reopen(t, s, historyLog, h.config))
			}
		})
	}
}
