package index_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// base is the base offset that tests use.
const base = 1000

// subject is one design, for one kind of index, on one file system.
type subject struct {
	index.Design
	kind index.Kind
	fs   vfs.FS
	dir  string
}

func kindName(k index.Kind) string {
	return map[index.Kind]string{index.Offsets: "offsets", index.Times: "times"}[k]
}

// forEach runs test for every design and kind, on the operating system's files
// and on files in memory.
func forEach(t *testing.T, test func(t *testing.T, s subject)) {
	for _, d := range index.Designs {
		for _, k := range []index.Kind{index.Offsets, index.Times} {
			name := fmt.Sprintf("design=%s/kind=%s/fs=", d.Name, kindName(k))
			t.Run(name+"os", func(t *testing.T) { test(t, subject{d, k, vfs.OS{}, t.TempDir()}) })
			t.Run(name+"mem", func(t *testing.T) { test(t, subject{d, k, vfs.NewMem(), "/"}) })
		}
	}
}

// forEachKeeping runs test for the designs that keep entries. What is weaker
// about the others is in TestNone.
func forEachKeeping(t *testing.T, test func(t *testing.T, s subject)) {
	forEach(t, func(t *testing.T, s subject) {
		if s.Keeps {
			test(t, s)
		}
	})
}

// forEachOnDisk runs test for the designs that keep entries in files.
func forEachOnDisk(t *testing.T, test func(t *testing.T, s subject)) {
	forEachKeeping(t, func(t *testing.T, s subject) {
		if s.OnDisk {
			test(t, s)
		}
	})
}

func (s subject) path() string { return filepath.Join(s.dir, "00000000000000001000.x") }

func (s subject) options() index.Options {
	return index.Options{Kind: s.kind, Base: base, MaxBytes: 1 << 20}
}

func (s subject) size() int64 {
	if s.kind == index.Times {
		return 12
	}
	return 8
}

func (s subject) open(t testing.TB, o index.Options) index.Index {
	t.Helper()
	x, err := s.Open(s.fs, s.path(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return x
}

func (s subject) sealed(t testing.TB) index.Index {
	o := s.options()
	o.Sealed = true
	return s.open(t, o)
}

// left checks what a file holds that nobody has open; nothing where there is no
// file.
func (s subject) left(t testing.TB, es []index.Entry) {
	t.Helper()
	if !s.OnDisk {
		es = nil
	}
	x := s.sealed(t)
	holds(t, x, es)
	if err := errors.Join(x.Err(), x.Close()); err != nil {
		t.Error(err)
	}
}

// entry gives the i-th of a row of entries whose keys lie 10 apart.
func (s subject) entry(i int64) index.Entry {
	if s.kind == index.Times {
		return index.Entry{Key: 1_700_000_000_000 + 10*i, Value: base + 7*i}
	}
	return index.Entry{Key: base + 10*i, Value: 4096 * i}
}

func (s subject) entries(n int64) []index.Entry {
	var es []index.Entry
	for i := range n {
		es = append(es, s.entry(i+1))
	}
	return es
}

func add(t testing.TB, x index.Index, es ...index.Entry) {
	t.Helper()
	for _, e := range es {
		if err := x.Add(e); err != nil {
			t.Fatalf("Add(%v): %v", e, err)
		}
	}
}

// holds checks that x has exactly the entries es, by every way to ask.
func holds(t testing.TB, x index.Index, es []index.Entry) {
	t.Helper()
	if got := slices.Collect(x.All); !slices.Equal(got, es) {
		t.Fatalf("%d entries %v, want %d: %v", len(got), few(got), len(es), few(es))
	}
	if n := x.Len(); n != len(es) {
		t.Errorf("Len is %d, want %d", n, len(es))
	}
	last, ok := x.Last()
	if len(es) == 0 {
		if e, found := x.Floor(math.MaxInt64); ok || found {
			t.Errorf("an empty index has %v and %v", last, e)
		}
		return
	}
	if want := es[len(es)-1]; !ok || last != want {
		t.Errorf("Last is %v, %v; want %v", last, ok, want)
	}
	if e, ok := x.Floor(es[0].Key - 1); ok {
		t.Errorf("Floor before the first is %v", e)
	}
	for i, e := range es {
		for _, key := range []int64{e.Key, e.Key + 1} {
			want := e
			if i+1 < len(es) && es[i+1].Key <= key {
				want = es[i+1]
			}
			if got, ok := x.Floor(key); !ok || got != want {
				t.Fatalf("Floor(%d) = %v, %v; want %v", key, got, ok, want)
			}
		}
	}
	if got, ok := x.Floor(math.MaxInt64); !ok || got != last {
		t.Errorf("Floor of everything is %v", got)
	}
}

// few keeps failure messages readable.
func few(es []index.Entry) []index.Entry { return es[:min(len(es), 10)] }

func TestNone(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		if s.Keeps {
			return
		}
		x := s.open(t, s.options())
		add(t, x, s.entries(100)...)
		holds(t, x, nil)
		for _, err := range []error{x.Truncate(0), x.Sync(), x.Err(), x.Seal()} {
			if err != nil {
				t.Error(err)
			}
		}
		if x.Full() {
			t.Error("what keeps nothing is full")
		}
		holds(t, s.sealed(t), nil)
		if names, err := s.fs.ReadDir(s.dir); err != nil || len(names) != 0 {
			t.Errorf("left %v, %v", names, err)
		}
	})
}

func TestAdd(t *testing.T) {
	forEachKeeping(t, func(t *testing.T, s subject) {
		x := s.open(t, s.options())
		holds(t, x, nil)
		es := s.entries(500) // some kilobytes, so that lookups leave the warm end
		for i, e := range es {
			add(t, x, e)
			if i < 3 {
				holds(t, x, es[:i+1])
			}
		}
		holds(t, x, es)
		if err := x.Err(); err != nil {
			t.Errorf("Err: %v", err)
		}
	})
}

// The examples of the interface.
func TestExamples(t *testing.T) {
	forEachKeeping(t, func(t *testing.T, s subject) {
		o := s.options()
		o.Base = 0
		x := s.open(t, o)
		add(t, x, index.Entry{Key: 10, Value: 0}, index.Entry{Key: 20, Value: 100}, index.Entry{Key: 30, Value: 200})
		if e, ok := x.Floor(25); !ok || e != (index.Entry{Key: 20, Value: 100}) {
			t.Errorf("Floor(25) = %v, %v", e, ok)
		}
		if e, ok := x.Floor(9); ok {
			t.Errorf("Floor(9) = %v", e)
		}
		if err := x.Truncate(20); err != nil {
			t.Fatal(err)
		}
		holds(t, x, []index.Entry{{Key: 10, Value: 0}})
	})
}

func TestAddOutOfOrder(t *testing.T) {
	forEachKeeping(t, func(t *testing.T, s subject) {
		x := s.open(t, s.options())
		first := index.Entry{Key: base + 10, Value: base + 10}
		for _, e := range []index.Entry{{Key: -1, Value: base}, {Key: base, Value: -1}, {Key: base - 1, Value: base - 1}} {
			if err := x.Add(e); !errors.Is(err, index.ErrOrder) {
				t.Errorf("Add(%v) to an empty index: %v", e, err)
			}
		}
		add(t, x, first)
		for _, e := range []index.Entry{
			first,
			{Key: first.Key, Value: first.Value + 1},
			{Key: first.Key - 1, Value: first.Value + 1},
			{Key: first.Key + 1, Value: first.Value - 1},
		} {
			if err := x.Add(e); !errors.Is(err, index.ErrOrder) {
				t.Errorf("Add(%v) after %v: %v", e, first, err)
			}
		}
		holds(t, x, []index.Entry{first})
		next := index.Entry{Key: first.Key + 1, Value: first.Value} // an equal value is in order
		add(t, x, next)
		holds(t, x, []index.Entry{first, next})
	})
}

// A segment is rolled before an offset or a position leaves its 31 bits
// (KAFKA-5413).
func TestAddTooFar(t *testing.T) {
	forEachKeeping(t, func(t *testing.T, s subject) {
		x := s.open(t, s.options())
		last := index.Entry{Key: base + math.MaxInt32, Value: math.MaxInt32}
		beyond := []index.Entry{{Key: last.Key + 1, Value: last.Value}, {Key: last.Key, Value: last.Value + 1}}
		if s.kind == index.Times {
			last = index.Entry{Key: math.MaxInt64, Value: base + math.MaxInt32}
			beyond = []index.Entry{{Key: last.Key, Value: last.Value + 1}}
		}
		for _, e := range beyond {
			if err := x.Add(e); !errors.Is(err, index.ErrFull) {
				t.Errorf("Add(%v): %v", e, err)
			}
		}
		add(t, x, last)
		holdsOnly(t, x, last)
	})
}

// holdsOnly is holds for an entry whose key has no successor.
func holdsOnly(t *testing.T, x index.Index, e index.Entry) {
	t.Helper()
	if got := slices.Collect(x.All); !slices.Equal(got, []index.Entry{e}) {
		t.Errorf("entries %v, want %v", got, e)
	}
	if got, ok := x.Floor(e.Key); !ok || got != e {
		t.Errorf("Floor(%d) = %v, %v", e.Key, got, ok)
	}
}

func TestFull(t *testing.T) {
	forEachKeeping(t, func(t *testing.T, s subject) {
		for _, c := range []struct {
			max   int64
			holds int64
		}{{0, 0}, {11, 11 / s.size()}, {12, 1}, {100, 100 / s.size()}, {1 << 16, 1 << 16 / s.size()}} {
			o := s.options()
			o.MaxBytes, o.Reset = c.max, true
			x := s.open(t, o)
			es := s.entries(c.holds + 1)
			for i, e := range es[:c.holds] {
				// The last place of a time index is kept for the roll.
				want := s.kind == index.Times && int64(i) == c.holds-1
				if got := x.Full(); got != want {
					t.Fatalf("MaxBytes %d: Full with %d entries is %v", c.max, i, got)
				}
				add(t, x, e)
			}
			if !x.Full() {
				t.Errorf("MaxBytes %d: not full with %d entries", c.max, c.holds)
			}
			if err := x.Add(es[c.holds]); !errors.Is(err, index.ErrFull) {
				t.Errorf("MaxBytes %d: Add to a full index: %v", c.max, err)
			}
			holds(t, x, es[:c.holds])
			if c.holds > 0 {
				if err := x.Truncate(es[c.holds-1].Key); err != nil {
					t.Fatal(err)
				}
				add(t, x, es[c.holds])
			}
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestTruncate(t *testing.T) {
	forEachKeeping(t, func(t *testing.T, s subject) {
		es := s.entries(10)
		for _, c := range []struct {
			key  int64
			left int
		}{
			{math.MaxInt64, 10},
			{es[9].Key + 1, 10},
			{es[9].Key, 9},
			{es[5].Key + 1, 6},
			{es[5].Key, 5},
			{es[0].Key + 1, 1},
			{es[0].Key, 0},
			{math.MinInt64, 0},
		} {
			for _, seal := range []bool{false, true} {
				o := s.options()
				o.Reset = true
				x := s.open(t, o)
				add(t, x, es...)
				if seal {
					if err := x.Seal(); err != nil {
						t.Fatal(err)
					}
				}
				if err := x.Truncate(c.key); err != nil {
					t.Fatalf("Truncate(%d): %v", c.key, err)
				}
				holds(t, x, es[:c.left])
				left := es[:c.left:c.left]
				if c.key != es[5].Key { // once without
					// Another entry than the one that was dropped.
					e := s.entry(50)
					add(t, x, e)
					left = append(left, e)
					holds(t, x, left)
				}
				if err := x.Close(); err != nil {
					t.Fatal(err)
				}
				s.left(t, left)
			}
		}
	})
}

func TestSeal(t *testing.T) {
	forEachKeeping(t, func(t *testing.T, s subject) {
		x := s.open(t, s.options())
		es := s.entries(10)
		add(t, x, es...)
		for range 2 {
			if err := x.Seal(); err != nil {
				t.Fatalf("Seal: %v", err)
			}
			if err := x.Sync(); err != nil {
				t.Fatalf("Sync: %v", err)
			}
		}
		if err := x.Add(s.entry(11)); !errors.Is(err, index.ErrSealed) {
			t.Errorf("Add after Seal: %v", err)
		}
		if !x.Full() {
			t.Error("a sealed index has room")
		}
		holds(t, x, es)
		if err := x.Truncate(es[9].Key + 1); err != nil {
			t.Fatal(err)
		}
		if x.Full() {
			t.Error("an index that was truncated has no room")
		}
		for i := range int64(5000) { // grows
			es = append(es, s.entry(11+i))
			add(t, x, s.entry(11+i))
		}
		holds(t, x, es)
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		// The same for one that was opened sealed.
		x = s.sealed(t)
		if err := x.Truncate(es[5].Key); err != nil {
			t.Fatal(err)
		}
		add(t, x, s.entry(9000))
		left := es[:5:5]
		if !s.OnDisk {
			left = nil
		}
		holds(t, x, append(left, s.entry(9000)))
	})
}

func TestReopen(t *testing.T) {
	forEachOnDisk(t, func(t *testing.T, s subject) {
		es := s.entries(30)
		for i := 0; i < len(es); i += 10 {
			x := s.open(t, s.options())
			holds(t, x, es[:i])
			add(t, x, es[i:i+10]...)
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			s.left(t, es[:i+10])
		}
		o := s.options()
		o.MaxBytes = 5 * s.size() // as a smaller segment.index.bytes since then
		x := s.open(t, o)
		holds(t, x, es)
		if err := x.Add(s.entry(31)); !x.Full() || !errors.Is(err, index.ErrFull) {
			t.Errorf("30 entries where 5 are allowed: Full is %v, Add %v", x.Full(), err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		o.Reset = true
		holds(t, s.open(t, o), nil)
	})
}

func TestClosedHasNothing(t *testing.T) {
	forEachKeeping(t, func(t *testing.T, s subject) {
		for _, seal := range []bool{false, true} {
			o := s.options()
			o.Reset = true
			x := s.open(t, o)
			add(t, x, s.entries(3)...)
			if seal {
				if err := x.Close(); err != nil {
					t.Fatal(err)
				}
				x = s.sealed(t)
			}
			for range 2 {
				if err := x.Close(); err != nil {
					t.Fatal(err)
				}
			}
			holds(t, x, nil)
			if err := x.Add(s.entry(4)); err == nil {
				t.Error("Add after Close")
			}
			if err := x.Truncate(0); err == nil {
				t.Error("Truncate after Close")
			}
		}
	})
}

// TestModel does at random what a log does, and compares with a slice.
func TestModel(t *testing.T) {
	forEachKeeping(t, func(t *testing.T, s subject) {
		rng := rand.New(rand.NewPCG(1, uint64(s.kind)))
		x := s.open(t, s.options())
		var model []index.Entry
		next := int64(1)
		for range 300 {
			var err error
			switch r := rng.IntN(20); {
			case r == 0 && len(model) > 0:
				i := rng.IntN(len(model))
				err, model = x.Truncate(model[i].Key), model[:i]
			case r == 1:
				if err = x.Close(); err == nil {
					x = s.open(t, s.options())
				}
				if !s.OnDisk {
					model = nil
				}
			case r == 2:
				err = x.Sync()
			default:
				for range rng.IntN(100) {
					model = append(model, s.entry(next))
					add(t, x, s.entry(next))
					next += 1 + rng.Int64N(3)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			if key := s.entry(rng.Int64N(next)).Key + rng.Int64N(10); len(model) > 0 {
				i, found := slices.BinarySearchFunc(model, key, func(e index.Entry, k int64) int { return int(e.Key - k) })
				if !found {
					i--
				}
				if e, ok := x.Floor(key); ok != (i >= 0) || ok && e != model[i] {
					t.Fatalf("Floor(%d) = %v, %v", key, e, ok)
				}
			}
		}
		holds(t, x, model)
	})
}
