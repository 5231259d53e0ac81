package segment_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// forEachDurable runs test for the designs whose bytes outlive the process.
func forEachDurable(t *testing.T, test func(t *testing.T, s subject)) {
	forEach(t, func(t *testing.T, s subject) {
		if s.Durable {
			test(t, s)
		}
	})
}

// put makes the segment's file with the given content.
func (s subject) put(t testing.TB, content string) {
	t.Helper()
	f, err := s.fs.Create(s.path())
	if err == nil {
		_, err = f.WriteAt([][]byte{[]byte(content)}, 0)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// get returns what the segment's file holds, all of it.
func (s subject) get(t testing.TB) string {
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
	return string(p)
}

// holds checks that the segment's file begins with want, and has nothing but
// reserved room behind it.
func (s subject) holds(t testing.TB, want string) {
	t.Helper()
	got := s.get(t)
	if rest, ok := strings.CutPrefix(got, want); !ok || strings.Trim(rest, "\x00") != "" {
		t.Errorf("the file of %d bytes does not hold %q and zeros, but %q", len(got), want, strings.TrimRight(got, "\x00"))
	}
}

func TestCreateExisting(t *testing.T) {
	forEachDurable(t, func(t *testing.T, s subject) {
		s.put(t, "precious")
		if _, err := s.Open(s.fs, s.path(), segment.Options{Create: true}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Open with Create: %v", err)
		}
		if got := s.get(t); got != "precious" {
			t.Errorf("the file now holds %q", got)
		}
	})
}

func TestReopen(t *testing.T) {
	forEachDurable(t, func(t *testing.T, s subject) {
		seg := s.create(t)
		add(t, seg, "01234", "56789")
		if err := seg.Close(); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			size int64
			want string
		}{{-1, "0123456789"}, {10, "0123456789"}, {7, "0123456"}, {0, ""}} {
			seg := s.open(t, segment.Options{Size: c.size})
			if got := all(t, seg); got != c.want {
				t.Errorf("opened with Size %d: %q, want %q", c.size, got, c.want)
			}
			if err := seg.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.get(t); got != "0123456789" {
			t.Errorf("opening changed the file to %q", got)
		}
		if _, err := s.Open(s.fs, s.path(), segment.Options{Size: 11}); !errors.Is(err, segment.ErrShort) {
			t.Errorf("opened with more bytes than there are: %v", err)
		}
	})
}

// Bytes past Options.Size are what a crash left. They must be gone before
// anything is written, or an old batch could follow on a new one.
func TestStaleBytesAreDropped(t *testing.T) {
	for name, c := range map[string]struct {
		act  func(segment.Segment) error
		left string
	}{
		"Append": {func(seg segment.Segment) error {
			_, err := seg.Append([][]byte{[]byte("X")})
			return errors.Join(err, seg.Sync())
		}, "0123X"},
		"Seal":     {func(seg segment.Segment) error { return errors.Join(seg.Seal(), seg.Sync()) }, "0123"},
		"Truncate": {func(seg segment.Segment) error { return seg.Truncate(seg.Size()) }, "0123"},
	} {
		t.Run(name, func(t *testing.T) {
			forEachDurable(t, func(t *testing.T, s subject) {
				s.put(t, "0123456789")
				seg := s.open(t, segment.Options{Size: 4})
				if err := c.act(seg); err != nil {
					t.Fatal(err)
				}
				s.holds(t, c.left)
				if err := seg.Close(); err != nil {
					t.Fatal(err)
				}
				if got := s.get(t); got != c.left {
					t.Errorf("closed, the file holds %q, want %q", got, c.left)
				}
			})
		})
	}
}

func TestReadOnly(t *testing.T) {
	forEachDurable(t, func(t *testing.T, s subject) {
		s.put(t, "0123456789")
		seg := s.open(t, segment.Options{Size: 8, ReadOnly: true})
		if got := all(t, seg); got != "01234567" {
			t.Errorf("read %q", got)
		}
		e := pin(t, seg, 1, 2)
		if got := bytesOf(t, e); got != "12" {
			t.Errorf("pinned %q", got)
		}
		e.Release()
		for name, call := range calls(seg) {
			switch name {
			case "Append", "Seal", "Truncate":
				if err := call(); !errors.Is(err, segment.ErrSealed) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if got := s.get(t); got != "0123456789" {
			t.Errorf("the file now holds %q", got)
		}
	})
}

func TestPreallocate(t *testing.T) {
	forEachDurable(t, func(t *testing.T, s subject) {
		const reserved = 100_000
		seg := s.open(t, segment.Options{Create: true, PreallocBytes: reserved})
		add(t, seg, "0123456789")
		if err := seg.Sync(); err != nil {
			t.Fatal(err)
		}
		s.holds(t, "0123456789")
		if n := len(s.get(t)); n != reserved {
			t.Errorf("reserved %d bytes: the file holds %d", reserved, n)
		}
		add(t, seg, strings.Repeat("x", reserved)) // more than was reserved
		if err := errors.Join(seg.Seal(), seg.Sync()); err != nil {
			t.Fatal(err)
		}
		if got := s.get(t); got != "0123456789"+strings.Repeat("x", reserved) {
			t.Errorf("sealed, the file holds %d bytes", len(got))
		}
	})
}

// The file of a sealed segment is exactly its bytes once it was synced or closed, for
// Kafka reads its length as its size.
func TestSealedFileIsTrimmed(t *testing.T) {
	for name, end := range map[string]func(segment.Segment) error{"Sync": segment.Segment.Sync, "Close": segment.Segment.Close} {
		t.Run(name, func(t *testing.T) {
			forEachDurable(t, func(t *testing.T, s subject) {
				seg := s.open(t, segment.Options{Create: true, PreallocBytes: 1 << 20})
				add(t, seg, "0123456789")
				if err := errors.Join(seg.Seal(), end(seg)); err != nil {
					t.Fatal(err)
				}
				if got := s.get(t); got != "0123456789" {
					t.Errorf("the file holds %d bytes", len(got))
				}
			})
		})
	}
}

func TestExtentOfAFile(t *testing.T) {
	s := subject{Design: segment.Designs[0], fs: vfs.OS{}, dir: t.TempDir()}
	seg := s.create(t)
	add(t, seg, "0123456789")
	e := pin(t, seg, 3, 4)
	defer e.Release()
	if _, ok := e.Memory(); ok {
		t.Error("a file range says that it is memory")
	}
	if fd, off, ok := e.File(); !ok || fd == 0 || off != 3 || e.Len() != 4 {
		t.Errorf("File() = %d, %d, %v; %d bytes", fd, off, ok, e.Len())
	}
	inMem := subject{Design: segment.Designs[0], fs: vfs.NewMem(), dir: "/"}
	seg = inMem.create(t)
	add(t, seg, "0123456789")
	e2 := pin(t, seg, 3, 4)
	defer e2.Release()
	if _, _, ok := e2.File(); ok {
		t.Error("a file in memory has a descriptor")
	}
}

// A full disk refuses the append whole, changes nothing, and heals.
func TestNoSpace(t *testing.T) {
	for _, d := range segment.Designs {
		if !d.Durable {
			continue
		}
		t.Run("design="+d.Name, func(t *testing.T) { fillDisk(t, d) })
	}
}

func fillDisk(t *testing.T, d segment.Design) {
	mem := vfs.NewMem()
	s := subject{Design: d, fs: mem, dir: "/"}
	seg := s.create(t)
	mem.SetCapacity(4096)
	add(t, seg, strings.Repeat("a", 3000))
	e := pin(t, seg, 0, 3000)
	defer e.Release()
	big := [][]byte{bytes.Repeat([]byte("b"), 2000), bytes.Repeat([]byte("c"), 2000)}
	for range 3 {
		if _, err := seg.Append(big); !errors.Is(err, vfs.ErrNoSpace) {
			t.Fatalf("Append to a full disk: %v", err)
		}
		if seg.Size() != 3000 {
			t.Fatalf("a refused Append left %d bytes", seg.Size())
		}
		if err := seg.Sync(); err != nil {
			t.Errorf("Sync on a full disk: %v", err)
		}
		s.holds(t, strings.Repeat("a", 3000))
	}
	if got := all(t, seg) + bytesOf(t, e); got != strings.Repeat("a", 6000) {
		t.Errorf("a full disk does not serve reads: %d bytes", len(got))
	}
	mem.SetCapacity(1 << 20)
	if pos, err := seg.Append(big); pos != 3000 || err != nil {
		t.Errorf("Append with room again: %d, %v", pos, err)
	}
	if got, want := all(t, seg), strings.Repeat("a", 3000)+strings.Repeat("b", 2000)+strings.Repeat("c", 2000); got != want {
		t.Error("the bytes differ after the disk was full")
	}
}

func TestNoSpaceToCreate(t *testing.T) {
	mem := vfs.NewMem()
	mem.SetCapacity(4096)
	s := subject{Design: segment.Designs[0], fs: mem, dir: "/"}
	o := segment.Options{Create: true, PreallocBytes: 1 << 20}
	if _, err := s.Open(mem, s.path(), o); !errors.Is(err, vfs.ErrNoSpace) {
		t.Fatalf("reserving more than there is: %v", err)
	}
	mem.SetCapacity(-1)
	s.open(t, o) // fails if the first try left the name taken
}

// What was below Size at a Sync survives a loss of power, whatever came after.
func TestCrashKeepsWhatWasSynced(t *testing.T) {
	for _, d := range segment.Designs {
		if !d.Durable {
			continue
		}
		for _, o := range []segment.Options{{}, {PreallocBytes: 1 << 16}} {
			t.Run(fmt.Sprintf("design=%s/prealloc=%d", d.Name, o.PreallocBytes), func(t *testing.T) {
				for seed := range uint64(100) {
					crashOnce(t, d, o, seed)
				}
			})
		}
	}
}

func crashOnce(t *testing.T, d segment.Design, o segment.Options, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	mem := vfs.NewMem()
	s := subject{Design: d, fs: mem, dir: "/"}
	o.Create = true
	seg, err := d.Open(mem, s.path(), o)
	if err == nil {
		err = mem.SyncDir(s.dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	var synced string
	for range rng.IntN(20) {
		switch rng.IntN(6) {
		case 0:
			// Not below what was synced: that is the caller's to give up.
			err = seg.Truncate(int64(len(synced)) + rng.Int64N(seg.Size()-int64(len(synced))+1))
		case 1, 2:
			if err = seg.Sync(); err == nil {
				synced = all(t, seg)
			}
		default:
			b := bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, 1+rng.IntN(3000))
			_, err = seg.Append([][]byte{b[:len(b)/2], b[len(b)/2:]})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, keepPercent := range []int{0, 50, 100} {
		after := subject{Design: d, fs: mem.Crash(rng, keepPercent), dir: "/"}
		seg := after.open(t, segment.Options{Size: -1})
		p := make([]byte, len(synced))
		if n, _ := seg.ReadAt(p, 0); string(p[:n]) != synced {
			t.Fatalf("seed %d, %d%% kept: %d bytes of %d that were synced", seed, keepPercent, n, len(synced))
		}
		// And it goes on where it was synced.
		seg = after.open(t, segment.Options{Size: int64(len(synced))})
		add(t, seg, "more")
		if got := all(t, seg); got != synced+"more" {
			t.Fatalf("seed %d, %d%% kept: wrong bytes after going on", seed, keepPercent)
		}
	}
}

// FuzzOpen opens a file of arbitrary content: whatever a segment's size is said
// to be, it opens with what is there or says that there is too little.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(nil), int64(-1), int64(0), int64(1))
	f.Add([]byte("0123456789"), int64(4), int64(2), int64(9))
	f.Add([]byte("0123456789"), int64(11), int64(-1), int64(-1))
	f.Add(make([]byte, 5000), int64(4096), int64(4095), int64(1<<62))
	f.Fuzz(func(t *testing.T, content []byte, size, pos, n int64) {
		for _, d := range segment.Designs {
			if !d.Durable {
				continue
			}
			s := subject{Design: d, fs: vfs.NewMem(), dir: "/"}
			s.put(t, string(content))
			seg, err := d.Open(s.fs, s.path(), segment.Options{Size: size})
			if tooMany := size > int64(len(content)); tooMany != errors.Is(err, segment.ErrShort) || (err != nil && !tooMany) {
				t.Fatalf("%d bytes opened with Size %d: %v", len(content), size, err)
			}
			if err != nil {
				continue
			}
			if size < 0 {
				size = int64(len(content))
			}
			want := string(content[:size])
			if got := all(t, seg); got != want {
				t.Fatalf("%d bytes opened with Size %d hold %q", len(content), size, got)
			}
			if e, err := seg.Extent(t.Context(), pos, n); err == nil {
				if got := bytesOf(t, e); got != "" && !strings.HasPrefix(want[pos:], got) {
					t.Fatalf("Extent(%d, %d) = %q", pos, n, got)
				}
				e.Release()
			}
			add(t, seg, "more")
			if err := errors.Join(seg.Seal(), seg.Sync()); err != nil {
				t.Fatal(err)
			}
			if got := s.get(t); got != want+"more" {
				t.Fatalf("the file holds %q", got)
			}
			if err := seg.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
