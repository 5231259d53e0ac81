package index_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// get returns what the index file holds, all of it.
func (s subject) get(t testing.TB) []byte {
	t.Helper()
	f, err := s.fs.OpenRead(s.path())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, n)
	if got, err := f.ReadAt(p, 0); int64(got) != n {
		t.Fatalf("read %d of %d bytes: %v", got, n, err)
	}
	return p
}

// put makes the index file with the given content.
func (s subject) put(t testing.TB, content []byte) {
	t.Helper()
	f, err := s.fs.Create(s.path())
	if err == nil {
		_, err = f.WriteAt([][]byte{content}, 0)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Kafka reads these bytes (OffsetIndex.parseEntry, TimeIndex.parseEntry).
func TestKnownBytes(t *testing.T) {
	forEachOnDisk(t, func(t *testing.T, s subject) {
		es := []index.Entry{{Key: base + 4, Value: 4097}, {Key: base + 0x01020304, Value: 0x7fffffff}}
		want := "00000004 00001001 01020304 7fffffff"
		if s.kind == index.Times {
			es = []index.Entry{{Key: 7, Value: base + 4}, {Key: 0x0102030405060708, Value: base + 0x01020304}}
			want = "0000000000000007 00000004 0102030405060708 01020304"
		}
		want = strings.ReplaceAll(want, " ", "")
		x := s.open(t, s.options())
		add(t, x, es...)
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(s.get(t)); got != want {
			t.Errorf("wrote %s, want %s", got, want)
		}
		s.left(t, es)
	})
}

// damages are what may have become of an index file. A whole one has 1000
// entries.
var damages = []struct {
	name   string
	damage func(good []byte, size int) []byte // nil: deleted
	// left is how many of the entries are still found; -1 if it is corrupt.
	left int
}{
	{"none", func(b []byte, _ int) []byte { return b }, 1000},
	{"empty", func([]byte, int) []byte { return []byte{} }, 0},
	{"shorter", func(b []byte, size int) []byte { return b[:10*size] }, 10},
	{"cut inside an entry", func(b []byte, size int) []byte { return b[:10*size+5] }, -1},
	{"one byte", func([]byte, int) []byte { return []byte{1} }, -1},
	{"zero padded", func(b []byte, size int) []byte { return append(b, make([]byte, 5000*size)...) }, 1000},
	{"zero padded, odd", func(b []byte, _ int) []byte { return append(b, 0, 0, 0) }, -1},
	{"zeros", func(_ []byte, size int) []byte { return make([]byte, 1000*size) }, 0},
	{"zeros at the end", func(b []byte, size int) []byte { clear(b[500*size:]); return b }, 500},
	{"zeros at the start", func(b []byte, size int) []byte { clear(b[:100*size]); return b }, -1},
	{"zeros inside", func(b []byte, size int) []byte { clear(b[100*size : 200*size]); return b }, -1},
	{"garbage", func(b []byte, _ int) []byte { return bytes.Repeat([]byte{0xb5, 0x00, 0x17}, len(b)/3/24*24) }, -1},
	{"ones", func(b []byte, _ int) []byte { return bytes.Repeat([]byte{0xff}, len(b)) }, -1},
	{"two entries swapped", func(b []byte, size int) []byte {
		return append(append(bytes.Clone(b[size:2*size]), b[:size]...), b[2*size:]...)
	}, -1},
	{"an entry twice", func(b []byte, size int) []byte { return append(bytes.Clone(b[:size]), b...) }, -1},
	{"a sign", func(b []byte, size int) []byte { b[999*size] |= 0x80; return b }, -1},
	{"a value's sign", func(b []byte, size int) []byte { b[1000*size-4] |= 0x80; return b }, -1},
}

func TestDamage(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			forEachOnDisk(t, func(t *testing.T, s subject) {
				es := s.entries(1000)
				x := s.open(t, s.options())
				add(t, x, es...)
				if err := x.Close(); err != nil {
					t.Fatal(err)
				}
				damaged := d.damage(s.get(t), int(s.size()))
				if err := s.fs.Remove(s.path()); err != nil {
					t.Fatal(err)
				}
				s.put(t, damaged)

				// Sealed, damage shows at the first use, as no entry.
				x = s.sealed(t)
				holds(t, x, es[:max(0, d.left)])
				if err := x.Err(); errors.Is(err, index.ErrCorrupt) != (d.left < 0) || (err != nil && d.left >= 0) {
					t.Errorf("sealed: Err is %v", err)
				}
				if err := x.Truncate(es[0].Key); (err != nil) != (d.left < 0) {
					t.Errorf("sealed: Truncate: %v", err)
				}
				if err := x.Close(); err != nil {
					t.Fatal(err)
				}
				if d.left >= 0 {
					s.left(t, nil) // it was truncated
				}
				if err := s.fs.Remove(s.path()); err != nil {
					t.Fatal(err)
				}
				s.put(t, damaged)

				// To add to, it shows at once.
				x, err := s.Open(s.fs, s.path(), s.options())
				if d.left < 0 {
					if !errors.Is(err, index.ErrCorrupt) || !strings.Contains(err.Error(), s.path()) {
						t.Fatalf("Open: %v", err)
					}
					o := s.options()
					o.Reset, o.Sealed = true, true // Reset alone counts
					x = s.open(t, o)
				} else if err != nil {
					t.Fatalf("Open: %v", err)
				}
				holds(t, x, es[:max(0, d.left)])
				add(t, x, s.entry(2000))
				if err := x.Close(); err != nil {
					t.Fatal(err)
				}
				s.left(t, append(es[:max(0, d.left):max(0, d.left)], s.entry(2000)))
			})
		})
	}
}

func TestDeleted(t *testing.T) {
	forEachOnDisk(t, func(t *testing.T, s subject) {
		x := s.sealed(t)
		holds(t, x, nil)
		if err := x.Err(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Err of an index that is not there: %v", err)
		}
		if _, err := s.fs.Stat(s.path()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("asking made a file: %v", err)
		}
		holds(t, s.open(t, s.options()), nil)
	})
}

// A first entry may consist of zero bytes. It counts if another follows; alone
// it cannot be told from padding, and is not missed.
func TestEntryOfZeros(t *testing.T) {
	forEachOnDisk(t, func(t *testing.T, s subject) {
		zero := index.Entry{Key: base, Value: 0}
		if s.kind == index.Times {
			zero = index.Entry{Key: 0, Value: base}
		}
		x := s.open(t, s.options())
		add(t, x, zero)
		holds(t, x, []index.Entry{zero})
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		s.left(t, nil)
		x = s.open(t, s.options())
		add(t, x, zero, s.entry(1))
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		s.left(t, []index.Entry{zero, s.entry(1)})
	})
}

// While entries are added the file grows in steps, and holds zeros past them;
// sealed, it is exactly its entries.
func TestLength(t *testing.T) {
	forEachOnDisk(t, func(t *testing.T, s subject) {
		const most = 256 << 10
		o := s.options()
		o.MaxBytes = most
		x := s.open(t, o)
		es := s.entries(most / s.size())
		lengths := map[int]bool{}
		for i, e := range es {
			add(t, x, e)
			if i%1000 == 0 {
				content := s.get(t)
				lengths[len(content)] = true
				if past := content[(i+1)*int(s.size()):]; bytes.Trim(past, "\x00") != nil {
					t.Fatalf("%d entries: bytes past them", i+1)
				}
			}
		}
		if n := len(lengths); n < 3 || n > 10 {
			t.Errorf("%d lengths on the way to %d bytes: %v", n, most, lengths)
		}
		holds(t, x, es)
		if err := x.Truncate(es[10].Key); err != nil {
			t.Fatal(err)
		}
		if err := x.Seal(); err != nil {
			t.Fatal(err)
		}
		if n := int64(len(s.get(t))); n != 10*s.size() {
			t.Errorf("sealed with 10 entries, the file has %d bytes", n)
		}
		holds(t, x, es[:10])
	})
}

// The disk being full is a reason to roll, which then meets the full disk where
// that is handled. The index goes on as it is.
func TestFullDisk(t *testing.T) {
	forEachOnDisk(t, func(t *testing.T, s subject) {
		mem, ok := s.fs.(*vfs.Mem)
		if !ok {
			return // no second disk to fill
		}
		x := s.open(t, s.options())
		mem.SetCapacity(20 << 10)
		es := s.entries(10_000)
		var n int
		var err error
		for n = 0; err == nil; n++ {
			if x.Full() {
				t.Fatal("full before the disk is")
			}
			err = x.Add(es[n])
		}
		n--
		if !errors.Is(err, index.ErrFull) || !errors.Is(err, vfs.ErrNoSpace) || !x.Full() {
			t.Errorf("Add on a full disk: %v; Full is %v", err, x.Full())
		}
		holds(t, x, es[:n])
		o := s.options()
		if _, err := s.Open(s.fs, s.path()+"2", o); !errors.Is(err, vfs.ErrNoSpace) {
			t.Errorf("a second index: %v", err)
		}
		if _, err := s.fs.Stat(s.path() + "2"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the failed one is in the way of the next try: %v", err)
		}
		mem.SetCapacity(-1)
		add(t, x, es[n:]...)
		if x.Full() {
			t.Error("full although there is room again")
		}
		holds(t, x, es)
	})
}

// A broker opens thousands of sealed indexes and asks few: opening must cost no
// operation, and neither may asking twice.
func TestSealedIsReadWhenAsked(t *testing.T) {
	var ops strings.Builder
	trace := vfs.NewTrace(vfs.NewMem(), &ops)
	s := subject{index.Designs[0], index.Offsets, trace, "/"}
	x := s.open(t, s.options())
	add(t, x, s.entries(10)...)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	ops.Reset()
	x = s.sealed(t)
	if err := x.Sync(); err != nil {
		t.Fatal(err)
	}
	if got := ops.String(); got != "" {
		t.Errorf("opening did:\n%s", got)
	}
	for range 2 {
		holds(t, x, s.entries(10))
	}
	want := "openread: P\nsize: P\nmap: P 80\nclose: P\n"
	if got := strings.ReplaceAll(ops.String(), s.path(), "P"); got != want {
		t.Errorf("asking did:\n%swant:\n%s", got, want)
	}
}

// Seal and Sync leave a file that is trimmed, durable, and closed.
func TestSealOperations(t *testing.T) {
	var ops strings.Builder
	s := subject{index.Designs[0], index.Times, vfs.NewTrace(vfs.NewMem(), &ops), "/"}
	x := s.open(t, s.options())
	add(t, x, s.entries(10)...)
	ops.Reset()
	for _, err := range []error{x.Sync(), x.Seal(), x.Sync(), x.Sync(), x.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := "sync: P\nunmap: P\ntruncate: P 120\nmap: P 120\nsync: P\nclose: P\nunmap: P\n"
	if got := strings.ReplaceAll(ops.String(), s.path(), "P"); got != want {
		t.Errorf("did:\n%swant:\n%s", got, want)
	}
}

// Disks fail at every operation in turn. Nothing may panic, hang, or find
// entries that were never added, and what was not lost is found afterwards.
func TestFailingDisk(t *testing.T) {
	for _, k := range []index.Kind{index.Offsets, index.Times} {
		failed := true
		for n := 1; failed; n++ {
			failed = false
			mem := vfs.NewMem()
			inject := vfs.NewInject(mem, vfs.Rules(vfs.Rule{
				Nth: n, Times: 1, Err: syscall.EIO, Wait: func(vfs.Op) { failed = true },
			}))
			s := subject{index.Designs[0], k, inject, "/"}
			es := s.entries(3000) // grows once
			runOnce(t, s, es)
			s.fs = mem
			x := s.sealed(t)
			got := 0
			for e := range x.All {
				if e != es[got] {
					t.Fatalf("operation %d failed: entry %d is %v, want %v", n, got, e, es[got])
				}
				got++
			}
		}
	}
}

// runOnce uses an index without minding errors.
func runOnce(t *testing.T, s subject, es []index.Entry) {
	t.Helper()
	x, err := s.Open(s.fs, s.path(), s.options())
	if err != nil {
		return
	}
	n := 0
	for n < len(es) && x.Add(es[n]) == nil {
		n++
	}
	_ = x.Sync()
	if n > 100 && x.Truncate(es[n-50].Key) == nil {
		n -= 50
	}
	for e := range x.All {
		if e != es[0] {
			t.Fatalf("the first entry is %v", e)
		}
		break
	}
	if e, ok := x.Floor(es[0].Key); ok && e != es[0] {
		t.Fatalf("Floor of the first is %v", e)
	}
	_ = x.Seal()
	if e, ok := x.Last(); ok && n > 0 && e.Key > es[n-1].Key {
		t.Fatalf("the last entry is %v, past %v", e, es[n-1])
	}
	_ = x.Sync()
	_ = x.Close()
}

// Readers look while one goroutine adds, and another syncs.
func TestReadersBesideWriter(t *testing.T) {
	forEachOnDisk(t, func(t *testing.T, s subject) {
		x := s.open(t, s.options())
		es := s.entries(9_000)
		var stop atomic.Bool
		var others sync.WaitGroup
		for range 3 {
			others.Go(func() {
				for !stop.Load() {
					last, ok := x.Last()
					if !ok {
						continue
					}
					e, ok := x.Floor(last.Key)
					// A truncation may come between the two.
					if ok && (e.Key > last.Key || e != s.entry((e.Key-s.entry(0).Key)/10)) {
						t.Errorf("Floor(%d) = %v", last.Key, e)
						return
					}
				}
			})
		}
		others.Go(func() {
			for !stop.Load() {
				if err := x.Sync(); err != nil {
					t.Errorf("Sync: %v", err)
					return
				}
			}
		})
		for i := 0; i < len(es); i++ {
			add(t, x, es[i])
			if i%3000 == 2999 {
				if err := x.Truncate(es[i-1000].Key); err != nil {
					t.Fatal(err)
				}
				add(t, x, es[i-1000:i+1]...)
			}
		}
		if err := x.Seal(); err != nil {
			t.Fatal(err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		stop.Store(true)
		others.Wait()
		s.left(t, es)
	})
}

// Many ask a sealed index for the first time at once: it is read once, while
// they wait in a way that lets virtual time pass.
func TestFirstUseIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened atomic.Int64
		goOn := make(chan struct{})
		mem := vfs.NewMem()
		s := subject{index.Designs[0], index.Offsets, mem, "/"}
		x := s.open(t, s.options())
		add(t, x, s.entries(10)...)
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		s.fs = vfs.NewInject(mem, vfs.Rules(vfs.Rule{Kinds: []vfs.Kind{vfs.OpOpenRead}, Wait: func(vfs.Op) {
			opened.Add(1)
			<-goOn
		}}))
		x = s.sealed(t)
		defer x.Close()
		var readers sync.WaitGroup
		for range 5 {
			readers.Go(func() {
				if e, ok := x.Floor(s.entry(3).Key); !ok || e != s.entry(3) {
					t.Errorf("Floor = %v, %v", e, ok)
				}
			})
		}
		synctest.Wait()
		close(goOn)
		readers.Wait()
		if n := opened.Load(); n != 1 {
			t.Errorf("opened %d times", n)
		}
	})
}
