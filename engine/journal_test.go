package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

func journalConfig() engine.Config {
	d := engine.DefaultDesign
	d.Sync = "journal"
	return smallConfig(d)
}

// journalNames lists the journal's files.
func journalNames(t *testing.T, fs vfs.FS) (names []string) {
	t.Helper()
	entries, err := fs.ReadDir("/data/journal")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, "/data/journal/"+e.Name())
	}
	return names
}

// What is acknowledged lies in the journal alone, and is there after a loss of
// power; after a clean stop there is no journal.
func TestJournalIsReplayed(t *testing.T) {
	h, mem := newHistory(t, journalConfig()), vfs.NewMem()
	if err := errors.Join(h.open(mem), h.create(), h.append(3, 2)); err != nil {
		t.Fatal(err)
	}
	disk := mem.Crash(nil, 0)
	if n := len(h.log.Segments()); n != 1 {
		t.Fatalf("%d segments", n)
	}
	if i, err := disk.Stat("/data/t-0/00000000000000000000.log"); err != nil || i.Size() != 0 {
		t.Fatalf("the segment was synced: %v, %v", i, err)
	}
	_ = h.store.Close()
	if !h.reopen("a loss of power", disk, true) {
		return
	}
	if m := h.log.Marks(); m.Durable != 5 || m.End != 5 {
		t.Errorf("marks are %+v, want 5 records", m)
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.ReadDir("/data/journal"); err == nil {
		t.Error("a clean stop leaves a journal")
	}
}

// A log that is set aside after a crash takes with it what only the journal has.
func TestJournalSetAside(t *testing.T) {
	pair, mem := newNeighbours(t), vfs.NewMem()
	if err := errors.Join(pair.open(mem), pair.create(), pair.append(2)); err != nil {
		t.Fatal(err)
	}
	disk := mem.Crash(nil, 0)
	_ = pair.a.store.Close()
	s := openJournalStore(t, disk)
	l := reopen(t, s, pair.a.name, pair.a.config)
	aside, err := s.SetAside(pair.b.name)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := disk.ReadDir("/data/" + aside)
	if err != nil {
		t.Fatal(err)
	}
	bytes := int64(0)
	for _, e := range entries {
		if i, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".log") {
			bytes += i.Size()
		}
	}
	if bytes == 0 {
		t.Error("the log that was set aside is empty")
	}
	closeStore(t, s, l)
	if _, err := disk.ReadDir("/data/journal"); err == nil {
		t.Error("the journal is kept")
	}
}

// Files are used again, and there are never more than the bound allows.
func TestJournalFilesAreUsedAgain(t *testing.T) {
	h, mem := newHistory(t, journalConfig()), vfs.NewMem()
	if err := errors.Join(h.open(mem), h.create()); err != nil {
		t.Fatal(err)
	}
	last := ""
	for range 100_000 {
		if err := h.append(1); err != nil {
			t.Fatal(err)
		}
		names := journalNames(t, mem)
		if len(names) > smallJournal/(16<<10) {
			t.Fatalf("the journal has %d files: %v", len(names), names)
		}
		if last = names[len(names)-1]; last > "/data/journal/00000000000000000020" {
			break
		}
	}
	if last <= "/data/journal/00000000000000000020" {
		t.Errorf("after 100,000 appends the last file is %s", last)
	}
	if !h.reopen("a kill", mem.Kill(), false) {
		return
	}
	_ = h.close()
}

// After a write or a sync of the journal that failed nobody who needs it is
// acknowledged any more; what was acknowledged is there after a restart.
func TestJournalFails(t *testing.T) {
	for _, kind := range []vfs.Kind{vfs.OpWrite, vfs.OpSync} {
		t.Run(kind.String(), func(t *testing.T) {
			pair, mem := newNeighbours(t), vfs.NewMem()
			var broken sync.Map // empty: all is well
			err := pair.open(vfs.NewInject(mem, func(op vfs.Op) error {
				if _, ok := broken.Load(op.Kind); ok && strings.HasSuffix(op.Path, ".journal") {
					return syscall.EIO
				}
				return nil
			}))
			if err := errors.Join(err, pair.create(), pair.append(1)); err != nil {
				t.Fatal(err)
			}
			broken.Store(kind, true)
			for _, h := range []*history{pair.a, pair.b} {
				acked := h.log.Marks().Acked
				for range 2 { // the second time the disk says that all is well
					if err := h.append(1); !errors.Is(err, engine.ErrFailed) {
						t.Errorf("an append: %v", err)
					}
					broken.Delete(kind)
				}
				if m := h.log.Marks(); m.Acked != acked {
					t.Errorf("marks are %+v, want %d acknowledged", m, acked)
				}
			}
			if err := pair.a.store.Close(); !errors.Is(err, engine.ErrFailed) {
				t.Errorf("close: %v", err)
			}
			if pair.reopen("a failed "+kind.String(), mem.Crash(nil, 0)) {
				_ = pair.a.store.Close()
			}
		})
	}
}

// Without room for a journal the logs sync their own files.
func TestJournalWithoutRoom(t *testing.T) {
	for _, kind := range []vfs.Kind{vfs.OpCreate, vfs.OpPreallocate, vfs.OpMkdirAll} {
		h, mem := newHistory(t, journalConfig()), vfs.NewMem()
		err := h.open(vfs.NewInject(mem, func(op vfs.Op) error {
			if op.Kind == kind && strings.HasPrefix(op.Path, "/data/journal") {
				return vfs.ErrNoSpace
			}
			return nil
		}))
		if err := errors.Join(err, h.create(), h.append(3, 2)); err != nil {
			t.Fatal(err)
		}
		if err := steps(func() error { return h.truncate(3) }, func() error { h.epoch++; return h.append(2) }); err != nil {
			t.Fatal(err)
		}
		disk := mem.Crash(nil, 0)
		_ = h.store.Close()
		if h.reopen("a loss of power", disk, true) {
			_ = h.close()
		}
	}
}

// A group that is not whole ends the journal where a crash can have torn it; where
// it was acknowledged the store does not open.
func TestJournalDamage(t *testing.T) {
	h, mem := newHistory(t, journalConfig()), vfs.NewMem()
	if err := errors.Join(h.open(mem), h.create(), h.append(1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	left := mem.Crash(nil, 0)
	_ = h.store.Close()
	name := journalNames(t, left)[0]
	for group := range 3 {
		for _, at := range []int64{0, 5, 8, 16, 24, 32, 36, 41, 50, 60, 100} {
			disk := left.Kill()
			f, err := disk.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			pos, b := int64(group)*4096+at, make([]byte, 1)
			if _, err := f.ReadAt(b, pos); err != nil {
				t.Fatal(err)
			}
			b[0] ^= 0x40
			if _, err := f.WriteAt([][]byte{b}, pos); err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
			s, err := engine.OpenStore(engine.StoreOptions{FS: disk, Dir: "/data", NodeID: 1})
			var corrupt *engine.CorruptError
			if group < 2 {
				if !errors.As(err, &corrupt) {
					t.Errorf("group %d, byte %d: the store opens: %v", group, at, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("group %d, byte %d: %v", group, at, err)
			}
			l := reopen(t, s, historyLog, h.config)
			if m := l.Marks(); m.End != 2 {
				t.Errorf("group %d, byte %d: marks are %+v, want 2 records", group, at, m)
			}
			closeStore(t, s, l)
		}
	}
}

// A log goes from policy to policy, is cut, deleted and made anew, while others do
// the same, and files of the journal are used again.
func TestJournalRace(t *testing.T) {
	mem := vfs.NewMem()
	s := openJournalStore(t, mem)
	policies := []string{"journal", "always", "journal", "none", "linger"}
	var wg sync.WaitGroup
	var want [6]engine.Marks
	for n := range want {
		wg.Go(func() {
			name := fmt.Sprintf("t-%d", n)
			l := create(t, s, name, journalConfig())
			for round := range 12 {
				appendAtOnce(t, l, 3, 4)
				c := l.Config()
				c.Design.Sync = policies[(n+round)%len(policies)]
				if err := l.SetConfig(c); err != nil {
					t.Error(err)
				}
				var err error
				switch (n + round) % 6 {
				case 0:
					err = l.Truncate(l.Marks().End - 5)
				case 1:
					err = l.Reset(l.Marks().End + 3)
				case 2:
					if err = s.Delete(name); err == nil {
						l = create(t, s, name, journalConfig())
					}
				case 3:
					err = s.Checkpoint()
				case 4:
					s.Tick(time0)
				}
				if err != nil {
					t.Error(err)
				}
			}
			c := l.Config()
			c.Design.Sync = "journal"
			if err := l.SetConfig(c); err != nil {
				t.Error(err)
			}
			appendAtOnce(t, l, 2, 3)
			want[n] = l.Marks()
		})
	}
	wg.Wait()
	left := mem.Crash(nil, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openJournalStore(t, left)
	var logs []*engine.Log
	for n, m := range want {
		name := fmt.Sprintf("t-%d", n)
		l := reopen(t, s, name, journalConfig())
		if got := l.Marks(); got.End != m.End || m.Durable != m.End {
			t.Errorf("%s: marks are %+v, were %+v", name, got, m)
		}
		logs = append(logs, l)
	}
	closeStore(t, s, logs...)
}

func openJournalStore(t *testing.T, fs vfs.FS) *engine.Store {
	t.Helper()
	s, err := engine.OpenStore(engine.StoreOptions{FS: fs, Dir: "/data", NodeID: 1, JournalBytes: smallJournal, JournalDepth: 2})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// appendAtOnce has so many goroutines append so many batches each, and wait.
func appendAtOnce(t *testing.T, l *engine.Log, goroutines, batches int) {
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range batches {
				a, err := appendSpec(l, records(2, strings.Repeat("x", 50), 1))
				if err == nil {
					err = l.Wait(context.Background(), a.Next)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// A batch that is larger than a group goes by the log's own sync, and the journal
// goes on behind it.
func TestJournalLargeTail(t *testing.T) {
	c := journalConfig()
	c.SegmentBytes = 1 << 20
	mem := vfs.NewMem()
	s := openJournalStore(t, mem)
	l := create(t, s, "t-0", c)
	for _, n := range []int{1, 2000, 1, 3, 3000, 2} {
		mustAppend(t, l, records(n, "text", 1))
	}
	want := readAll(t, l, 0, l.Marks().End, 1<<20)
	left := mem.Crash(nil, 0)
	closeStore(t, s, l)
	s = openJournalStore(t, left)
	l = reopen(t, s, "t-0", c)
	got := readAll(t, l, 0, l.Marks().End, 1<<20)
	if len(got) != len(want) || len(got) != 5007 || !slices.EqualFunc(got, want, func(a, b batch.Record) bool { return a.Offset == b.Offset && string(a.Value) == string(b.Value) }) {
		t.Errorf("%d records, want %d", len(got), len(want))
	}
	closeStore(t, s, l)
}
