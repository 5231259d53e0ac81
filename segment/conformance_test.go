package segment_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// subject is one design on one file system.
type subject struct {
	segment.Design
	fs  vfs.FS
	dir string
}

// forEach runs test for every design that keeps its bytes, on the operating
// system's files and on files in memory.
func forEach(t *testing.T, test func(t *testing.T, s subject)) {
	for _, d := range segment.Designs {
		if !d.Keeps {
			continue
		}
		t.Run("design="+d.Name+"/fs=os", func(t *testing.T) {
			test(t, subject{Design: d, fs: vfs.OS{}, dir: t.TempDir()})
		})
		t.Run("design="+d.Name+"/fs=mem", func(t *testing.T) {
			test(t, subject{Design: d, fs: vfs.NewMem(), dir: "/"})
		})
	}
}

func (s subject) path() string { return filepath.Join(s.dir, "00000000000000000000.log") }

func (s subject) create(t testing.TB) segment.Segment {
	t.Helper()
	return s.open(t, segment.Options{Create: true})
}

func (s subject) open(t testing.TB, o segment.Options) segment.Segment {
	t.Helper()
	seg, err := s.Open(s.fs, s.path(), o)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("this system cannot do it: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := seg.Close(); err != nil && !errors.Is(err, segment.ErrClosed) {
			t.Errorf("Close: %v", err)
		}
	})
	return seg
}

func add(t testing.TB, seg segment.Segment, parts ...string) int64 {
	t.Helper()
	var bufs [][]byte
	for _, p := range parts {
		bufs = append(bufs, []byte(p))
	}
	pos, err := appendTo(seg, bufs)
	if err != nil {
		t.Fatalf("Append: %v", err)
	}
	return pos
}

// appendTo is Append for those who may wait.
func appendTo(seg segment.Segment, bufs [][]byte) (int64, error) {
	pos, err := seg.Append(bufs)
	for errors.Is(err, segment.ErrBusy) {
		if err := seg.(segment.WriteBehind).Flush(); err != nil {
			return 0, err
		}
		pos, err = seg.Append(bufs)
	}
	return pos, err
}

// all reads the whole segment by ReadAt, which must end where Size says.
func all(t testing.TB, seg segment.Segment) string {
	t.Helper()
	p := make([]byte, seg.Size()+1)
	n, err := seg.ReadAt(p, 0)
	if !errors.Is(err, io.EOF) || int64(n) != seg.Size() {
		t.Fatalf("ReadAt past the end: %d bytes of %d, %v", n, seg.Size(), err)
	}
	return string(p[:n])
}

func pin(t testing.TB, seg segment.Segment, pos, n int64) segment.Extent {
	t.Helper()
	e, err := seg.Extent(context.Background(), pos, n)
	if err != nil {
		t.Fatalf("Extent(%d, %d): %v", pos, n, err)
	}
	return e
}

// bytesOf reads what an Extent holds, by its own ReadAt.
func bytesOf(t testing.TB, e segment.Extent) string {
	t.Helper()
	p := make([]byte, e.Len())
	if n, err := e.ReadAt(p, 0); int64(n) != e.Len() || (err != nil && !errors.Is(err, io.EOF)) {
		t.Fatalf("Extent.ReadAt: %d bytes of %d, %v", n, e.Len(), err)
	}
	return string(p)
}

func TestAppendRead(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		seg := s.create(t)
		if n := seg.Size(); n != 0 {
			t.Errorf("a new segment has %d bytes", n)
		}
		for i, a := range []struct {
			parts []string
			pos   int64
		}{
			{[]string{"one"}, 0},
			{[]string{"two", "", "three"}, 3},
			{nil, 11},
			{[]string{""}, 11},
			{[]string{"four"}, 11},
		} {
			if pos := add(t, seg, a.parts...); pos != a.pos {
				t.Errorf("append %d went to %d, want %d", i, pos, a.pos)
			}
		}
		if got := all(t, seg); got != "onetwothreefour" {
			t.Errorf("read %q", got)
		}
		if err := seg.Sync(); err != nil {
			t.Errorf("Sync: %v", err)
		}
	})
}

func TestReadAt(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		seg := s.create(t)
		add(t, seg, "0123456789")
		for _, r := range []struct {
			pos  int64
			n    int
			want string
			err  error
		}{
			{0, 10, "0123456789", nil},
			{3, 4, "3456", nil},
			{8, 4, "89", io.EOF},
			{9, 1, "9", nil},
			{10, 1, "", io.EOF},
			{math.MaxInt64, 1, "", io.EOF},
			{2, 0, "", nil},
		} {
			p := make([]byte, r.n)
			n, err := seg.ReadAt(p, r.pos)
			if string(p[:n]) != r.want || !errors.Is(err, r.err) {
				t.Errorf("ReadAt(%d bytes, %d) = %q, %v; want %q, %v", r.n, r.pos, p[:n], err, r.want, r.err)
			}
		}
		if _, err := seg.ReadAt(make([]byte, 1), -1); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("ReadAt before the start: %v", err)
		}
	})
}

func TestExtent(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		seg := s.create(t)
		add(t, seg, "0123456789")
		for _, r := range []struct {
			pos, n int64
			want   string
		}{
			{0, 10, "0123456789"},
			{0, math.MaxInt64, "0123456789"},
			{3, 4, "3456"},
			{9, math.MaxInt64, "9"},
			{10, 1, ""},
			{11, 1, ""},
			{5, 0, ""},
		} {
			e := pin(t, seg, r.pos, r.n)
			if got := bytesOf(t, e); got != r.want {
				t.Errorf("Extent(%d, %d) = %q, want %q", r.pos, r.n, got, r.want)
			}
			e.Release()
		}
		for _, r := range [][2]int64{{-1, 1}, {1, -1}} {
			if _, err := seg.Extent(context.Background(), r[0], r[1]); err == nil {
				t.Errorf("Extent(%d, %d) is no error", r[0], r[1])
			}
		}
	})
}

// Batches must be handed out whole, however they fall on what a design is made
// of: an Extent that starts where an Append did has all that it added.
func TestExtentHasAWholeAppend(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		seg := s.create(t)
		for i, n := range []int{100, 4000, 5000, 1, 300_000, 70_000, 3 << 20, 10} {
			want := bytes.Repeat([]byte{byte(i + 1)}, n)
			pos, err := appendTo(seg, [][]byte{want[:n/3], want[n/3:]})
			if err != nil {
				t.Fatal(err)
			}
			e := pin(t, seg, pos, int64(n))
			if got := bytesOf(t, e); got != string(want) {
				t.Errorf("append %d of %d bytes: the Extent has %d", i, n, len(got))
			}
			e.Release()
		}
		// ReadAt has no such seams.
		p := make([]byte, seg.Size())
		if n, err := seg.ReadAt(p, 0); n != len(p) || err != nil {
			t.Errorf("ReadAt of everything: %d of %d bytes, %v", n, len(p), err)
		}
	})
}

func TestExtentTrim(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		seg := s.create(t)
		add(t, seg, "0123456789")
		e := pin(t, seg, 2, 6).Trim(3)
		if got := bytesOf(t, e); got != "234" {
			t.Errorf("trimmed to %q", got)
		}
		p := make([]byte, 5)
		if n, err := e.ReadAt(p, 1); string(p[:n]) != "34" || !errors.Is(err, io.EOF) {
			t.Errorf("past the end: %q, %v", p[:n], err)
		}
		if got := e.Trim(100).Len(); got != 3 {
			t.Errorf("trimmed to more than there was: %d bytes", got)
		}
		e.Release()
		if err := seg.Truncate(0); err != nil { // would wait if Release had missed
			t.Errorf("Truncate: %v", err)
		}
	})
}

func TestReleaseTwicePanics(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		seg := s.create(t)
		add(t, seg, "0123456789")
		e := pin(t, seg, 0, 5)
		e.Release()
		defer func() {
			if recover() == nil {
				t.Error("the second Release went unnoticed")
			}
		}()
		e.Release()
	})
}

func TestSeal(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		seg := s.open(t, segment.Options{Create: true, PreallocBytes: 1 << 16})
		if n := seg.Size(); n != 0 {
			t.Errorf("reserved bytes count: %d", n)
		}
		add(t, seg, "0123456789")
		e := pin(t, seg, 2, 3)
		for range 2 {
			if err := seg.Seal(); err != nil {
				t.Fatalf("Seal: %v", err)
			}
		}
		if _, err := seg.Append([][]byte{{1}}); !errors.Is(err, segment.ErrSealed) {
			t.Errorf("Append after Seal: %v", err)
		}
		if got := all(t, seg); got != "0123456789" {
			t.Errorf("read %q", got)
		}
		if got := bytesOf(t, e); got != "234" {
			t.Errorf("an Extent from before Seal has %q", got)
		}
		e.Release()
		if err := seg.Sync(); err != nil {
			t.Errorf("Sync: %v", err)
		}
		if err := seg.Truncate(4); err != nil {
			t.Errorf("Truncate: %v", err)
		}
		if got := all(t, seg); got != "0123" {
			t.Errorf("read %q after Truncate", got)
		}
		add(t, seg, "abc") // truncated, it grows again
		if got := all(t, seg); got != "0123abc" {
			t.Errorf("read %q after Truncate and Append", got)
		}
	})
}

func TestTruncate(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		seg := s.create(t)
		add(t, seg, "0123456789")
		for _, size := range []int64{-1, 11} {
			if err := seg.Truncate(size); err == nil {
				t.Errorf("Truncate(%d) of 10 bytes is no error", size)
			}
		}
		for _, c := range []struct {
			size int64
			add  string
			want string
		}{
			{10, "", "0123456789"},
			{7, "", "0123456"},
			{5, "abc", "01234abc"},
			{8, "d", "01234abcd"},
			{0, "xyz", "xyz"},
			{0, "", ""},
		} {
			if err := seg.Truncate(c.size); err != nil {
				t.Fatalf("Truncate(%d): %v", c.size, err)
			}
			if pos := add(t, seg, c.add); pos != c.size {
				t.Errorf("after Truncate(%d) an append went to %d", c.size, pos)
			}
			if got := all(t, seg); got != c.want {
				t.Errorf("after Truncate(%d) and %q: %q, want %q", c.size, c.add, got, c.want)
			}
		}
	})
}

// Truncate waits for the Extents that reach past the cut: for all of those,
// for no others, and not for any that come later.
func TestTruncateWaitsForWhomItMust(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		synctest.Test(t, func(t *testing.T) {
			seg := s.create(t)
			defer seg.Close()
			add(t, seg, "0123456789")
			below := pin(t, seg, 0, 4)
			across := pin(t, seg, 2, 4)
			past := pin(t, seg, 8, 2)
			done := make(chan error, 1)
			go func() { done <- seg.Truncate(4) }()

			synctest.Wait()
			if n := seg.Size(); n != 4 {
				t.Errorf("Size is %d while Truncate waits: new readers could prolong that", n)
			}
			if len(done) > 0 {
				t.Fatal("Truncate did not wait for any Extent past its size")
			}
			late := pin(t, seg, 0, 10)
			if got := bytesOf(t, late); got != "0123" {
				t.Errorf("an Extent taken meanwhile has %q", got)
			}
			if got := bytesOf(t, across); got != "2345" {
				t.Errorf("pinned bytes are now %q", got)
			}
			across.Release()
			synctest.Wait()
			if len(done) > 0 {
				t.Fatal("Truncate did not wait for all Extents past its size")
			}
			past.Release()
			synctest.Wait()
			if len(done) == 0 {
				t.Fatal("Truncate waits for Extents below its size")
			}
			if err := <-done; err != nil {
				t.Errorf("Truncate: %v", err)
			}
			add(t, seg, "abcdef")
			if got := bytesOf(t, below) + bytesOf(t, late); got != "01230123" {
				t.Errorf("pinned bytes are now %q", got)
			}
			for _, e := range []segment.Extent{below, late} {
				e.Release()
			}
		})
	})
}

func TestCloseWaitsForNobody(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		seg := s.create(t)
		add(t, seg, "0123456789")
		a, b := pin(t, seg, 0, 4), pin(t, seg, 6, 4)
		if err := seg.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		if got := bytesOf(t, a); got != "0123" {
			t.Errorf("an Extent has %q after Close", got)
		}
		a.Release()
		if got := bytesOf(t, b); got != "6789" {
			t.Errorf("an Extent has %q after Close", got)
		}
		for name, call := range calls(seg) {
			if err := call(); !errors.Is(err, segment.ErrClosed) {
				t.Errorf("%s after Close: %v", name, err)
			}
		}
		b.Release()
		for name, call := range calls(seg) {
			if err := call(); !errors.Is(err, segment.ErrClosed) {
				t.Errorf("%s after the last Release: %v", name, err)
			}
		}
	})
}

// calls are all methods that can fail.
func calls(seg segment.Segment) map[string]func() error {
	return map[string]func() error{
		"Append":   func() error { _, err := seg.Append([][]byte{{1}}); return err },
		"Extent":   func() error { _, err := seg.Extent(context.Background(), 0, 1); return err },
		"empty":    func() error { _, err := seg.Extent(context.Background(), 100, 1); return err },
		"ReadAt":   func() error { _, err := seg.ReadAt(make([]byte, 1), 0); return err },
		"Sync":     seg.Sync,
		"Seal":     seg.Seal,
		"Truncate": func() error { return seg.Truncate(0) },
		"Close":    seg.Close,
	}
}

func TestOpenMissing(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		for _, o := range []segment.Options{{}, {Size: -1}, {ReadOnly: true}} {
			if _, err := s.Open(s.fs, s.path(), o); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Open(%+v): %v", o, err)
			}
		}
		if _, err := s.Open(s.fs, s.path(), segment.Options{Create: true, ReadOnly: true}); err == nil {
			t.Error("a segment was created for reading alone")
		}
	})
}
