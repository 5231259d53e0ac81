package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// compaction is a log that can be compacted into several segments, and what it
// holds before and after.
type compaction struct {
	config        engine.Config
	disk          *vfs.Mem
	now           time.Time
	before, after []batch.Record
	bases         []int64 // of the segments that it is compacted into, and the log's end
}

func newCompaction(t *testing.T, d engine.Design) *compaction {
	t.Helper()
	c := compactConfig(d)
	c.CompressionType = "uncompressed"
	mem := vfs.NewMem()
	k := newKeyed(t, mem, "/data", c, engine.StoreOptions{})
	rng := rand.New(rand.NewPCG(5, 5))
	for range 50 {
		k.append(rng, 1+rng.IntN(6), 80)
	}
	closeStore(t, k.store, k.log)
	x := &compaction{config: c, disk: mem, now: k.clock.now(), before: k.all}
	s, l, err := x.open(mem.Kill())
	if err != nil {
		t.Fatal(err)
	}
	s.Compact()
	for _, g := range l.Segments() {
		x.bases = append(x.bases, g.Base)
	}
	end := l.Marks().End
	x.bases = append(x.bases, end)
	x.after = readAll(t, l, 0, end, 1<<20)
	closeStore(t, s, l)
	if len(x.after) >= len(x.before) || len(x.bases) < 4 {
		t.Fatalf("%d records became %d, in segments %d", len(x.before), len(x.after), x.bases)
	}
	return x
}

func (x *compaction) open(fs vfs.FS) (*engine.Store, *engine.Log, error) {
	s, err := engine.OpenStore(engine.StoreOptions{FS: fs, Dir: "/data", NodeID: 1, Now: func() time.Time { return x.now }})
	if err != nil {
		return nil, nil, err
	}
	l, err := s.Open("t-0", engine.LogOptions{Config: x.config})
	return s, l, err
}

// between are the records of one range of offsets.
func between(all []batch.Record, from, to int64) (found []batch.Record) {
	for _, r := range all {
		if r.Offset >= from && r.Offset < to {
			found = append(found, r)
		}
	}
	return found
}

// judge holds what a crash left to the rule: each segment is what it was, or
// what it was to become.
func (x *compaction) judge(t *testing.T, fs *vfs.Mem) error {
	t.Helper()
	s, l, err := x.open(fs)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { _ = s.Close() }()
	if err := l.Check(); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if m := l.Marks(); m.Start != 0 || m.End != x.bases[len(x.bases)-1] {
		return fmt.Errorf("marks are %+v, want [0, %d)", m, x.bases[len(x.bases)-1])
	}
	got := readAll(t, l, 0, l.Marks().End, 1<<20)
	for i, base := range x.bases[:len(x.bases)-1] {
		is, was, will := between(got, base, x.bases[i+1]), between(x.before, base, x.bases[i+1]), between(x.after, base, x.bases[i+1])
		if !sameRecords(is, was) && !sameRecords(is, will) {
			return fmt.Errorf("offsets [%d, %d) hold %d records, neither the old %d nor the new %d", base, x.bases[i+1], len(is), len(was), len(will))
		}
	}
	if leftover(t, fs) {
		return fmt.Errorf("of %q something was left", listing(t, fs))
	}
	return nil
}

func sameRecords(a, b []batch.Record) bool {
	return slices.EqualFunc(a, b, func(x, y batch.Record) bool {
		return x.Offset == y.Offset && x.Timestamp == y.Timestamp && string(x.Key) == string(y.Key) && string(x.Value) == string(y.Value) && (x.Value == nil) == (y.Value == nil)
	})
}

// Wherever a crash comes, a log is found with the old or the new segments; it goes
// on from there, and the next compaction ends where the first one would have.
func TestCompactCrashAfterEveryOperation(t *testing.T) {
	for _, d := range designs() {
		if !durable(d) {
			continue
		}
		t.Run("design="+d.String(), func(t *testing.T) {
			t.Parallel()
			x := newCompaction(t, d)
			step := thin(d).step
			for n := chosen(t).IntN(step); ; n += step {
				mem := x.disk.Kill()
				stop := vfs.StopAfter(n)
				s, _, err := x.open(vfs.NewInject(mem, stop.Before))
				if err == nil {
					s.Compact()
				}
				states := crashStates(mem, uint64(n))
				if s != nil {
					_ = s.Close()
				}
				for _, st := range states {
					found := listing(t, st.fs)
					err := x.judge(t, st.fs)
					if err == nil { // and a crash right after what the first one left was put right
						err = x.judge(t, st.fs.Crash(nil, 0))
					}
					if err == nil && n%5 == 0 {
						err = x.goOn(t, st.fs)
					}
					if err != nil {
						t.Fatalf("crashed after %d operations, %s, found %q: %v", n, st.name, found, err)
					}
				}
				if !stop.Stopped() {
					break
				}
			}
		})
	}
}

// goOn compacts what a crash left: it ends as without the crash.
func (x *compaction) goOn(t *testing.T, fs *vfs.Mem) error {
	t.Helper()
	s, l, err := x.open(fs)
	if err != nil {
		return err
	}
	s.Compact()
	if got := readAll(t, l, 0, l.Marks().End, 1<<20); !sameRecords(got, x.after) {
		return fmt.Errorf("compacted again it has %d records, want %d", len(got), len(x.after))
	}
	mustAppend(t, l, records(3, "after", 5))
	return errors.Join(l.Check(), s.Close())
}

// A crash while what a crash left is put right, at every operation of that.
func TestCompactCrashDuringRecovery(t *testing.T) {
	x, rng := newCompaction(t, engine.DefaultDesign), chosen(t)
	for n := 0; ; n++ {
		mem := x.disk.Kill()
		stop := vfs.StopAfter(n)
		s, _, err := x.open(vfs.NewInject(mem, stop.Before))
		if err == nil {
			s.Compact()
		}
		first := crashStates(mem, uint64(n))
		if s != nil {
			_ = s.Close()
		}
		for _, st := range first {
			if leftover(t, st.fs) {
				x.crashAgain(t, rng, fmt.Sprintf("crashed after %d operations, %s", n, st.name), st.fs)
			}
		}
		if !stop.Stopped() {
			break
		}
	}
}

func (x *compaction) crashAgain(t *testing.T, rng *rand.Rand, what string, fs *vfs.Mem) {
	t.Helper()
	step := 4
	switch {
	case *crashEvery:
		step = 1
	case testing.Short():
		step = 29
	}
	for n := rng.IntN(step); ; n += step {
		again := fs.Kill()
		stop := vfs.StopAfter(n)
		s, _, _ := x.open(vfs.NewInject(again, stop.Before)) // its error is the crash
		states := crashStates(again, uint64(n))
		if s != nil {
			_ = s.Close()
		}
		for _, st := range states {
			found := listing(t, st.fs)
			if err := x.judge(t, st.fs); err != nil {
				t.Fatalf("%s, found %q; then after %d, %s, found %q: %v", what, listing(t, fs), n, st.name, found, err)
			}
		}
		if !stop.Stopped() {
			return
		}
	}
}

// leftover reports whether there are files of a swap.
func leftover(t *testing.T, fs *vfs.Mem) bool {
	t.Helper()
	return slices.ContainsFunc(listing(t, fs), func(name string) bool {
		return slices.Contains([]string{".cleaned", ".swap", ".deleted"}, path.Ext(name))
	})
}

// listing is the names in the log's directory.
func listing(t testing.TB, fs *vfs.Mem) (names []string) {
	t.Helper()
	entries, err := fs.ReadDir("/data/t-0")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
