package vfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// openDirect skips what this system cannot do.
func openDirect(t *testing.T, sys vfs.FS, name string, via vfs.Via) vfs.DirectFile {
	t.Helper()
	f := must(sys.Open(name))(t)
	defer f.Close()
	d, err := f.Direct(via)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("this system cannot do it: %v", err)
	}
	ok(t, err)
	return d
}

// conformDirect runs test for every file system and every way.
func conformDirect(t *testing.T, test func(t *testing.T, sys vfs.FS, name string, via vfs.Via)) {
	for via, way := range []string{vfs.ViaCalls: "calls", vfs.ViaRing: "ring"} {
		conform(t, func(t *testing.T, sys vfs.FS, dir string) {
			t.Run("via="+way, func(t *testing.T) {
				name := path.Join(dir, way)
				ok(t, create(t, sys, name, "").Close())
				test(t, sys, name, vfs.Via(via))
			})
		})
	}
}

// pattern fills b with something that is different everywhere.
func pattern(b []byte, seed uint64) []byte {
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = rng.Read(b) // never fails
	return b
}

func TestDirectWrites(t *testing.T) {
	conformDirect(t, func(t *testing.T, sys vfs.FS, name string, via vfs.Via) {
		d := openDirect(t, sys, name, via)
		const block = vfs.DirectAlign
		var want []byte
		for i, w := range []struct {
			off    int64
			blocks []int // of the buffers
			sync   bool
		}{
			{0, []int{1}, false},
			{0, []int{2}, true}, // over what is there
			{block, []int{1, 3, 2}, true},
			{2 * block, nil, true},
			{6 * block, []int{16}, false},
			{30 * block, []int{1}, true}, // leaves a hole
		} {
			total := 0
			for _, n := range w.blocks {
				total += n * block
			}
			buf := pattern(d.Buffer(total), uint64(i))
			var bufs [][]byte
			at := 0
			for _, n := range w.blocks {
				bufs = append(bufs, buf[at:at+n*block])
				at += n * block
			}
			write := d.WriteAt
			if w.sync {
				write = d.WriteSync
			}
			if n, err := write(bufs, w.off); err != nil || n != int64(total) {
				t.Fatalf("write %d: %d bytes of %d, %v", i, n, total, err)
			}
			if grown := int(w.off) + total; total > 0 && grown > len(want) {
				want = append(want, make([]byte, grown-len(want))...)
			}
			copy(want[min(int(w.off), len(want)):], buf)
			if got := read(t, sys, name); got != string(want) {
				t.Fatalf("after write %d a buffered reader sees other bytes", i)
			}
		}
		if d.Name() != name {
			t.Errorf("Name() = %q", d.Name())
		}
		ok(t, d.Close())
		f := must(sys.OpenRead(name))(t)
		defer f.Close()
		_, err := f.Direct(via)
		refused(t, err, fs.ErrPermission, "direct", name)
	})
}

// It is the file that is opened again, not the name.
func TestDirectFollowsTheFile(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		name, moved := path.Join(dir, "a"), path.Join(dir, "b")
		f := create(t, sys, name, "")
		defer f.Close()
		ok(t, sys.Rename(name, moved))
		ok(t, create(t, sys, name, "another").Close())
		d, err := f.Direct(vfs.ViaCalls)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skipf("this system cannot do it: %v", err)
		}
		ok(t, err)
		defer d.Close()
		buf := pattern(d.Buffer(vfs.DirectAlign), 1)
		must(d.WriteAt([][]byte{buf}, 0))(t)
		if got := read(t, sys, moved); got != string(buf) {
			t.Error("the file was not written to")
		}
		if got := read(t, sys, name); got != "another" {
			t.Error("another file was written to")
		}
	})
}

// What a device cannot be given is refused, in memory as on a disk.
func TestDirectAlignment(t *testing.T) {
	conformDirect(t, func(t *testing.T, sys vfs.FS, name string, via vfs.Via) {
		d := openDirect(t, sys, name, via)
		defer d.Close()
		buf := d.Buffer(3 * vfs.DirectAlign)
		for what, w := range map[string]struct {
			buf []byte
			off int64
		}{
			"position": {buf[:vfs.DirectAlign], 100},
			"length":   {buf[:100], 0},
			"address":  {buf[100 : 100+vfs.DirectAlign], 0},
		} {
			if _, err := d.WriteAt([][]byte{w.buf}, w.off); !errors.Is(err, syscall.EINVAL) {
				t.Errorf("a wrong %s: %v", what, err)
			}
			if _, err := d.WriteSync([][]byte{w.buf}, w.off); !errors.Is(err, syscall.EINVAL) {
				t.Errorf("a wrong %s, synced: %v", what, err)
			}
		}
	})
}

// A direct write is no sync; WriteSync is one, also of what was written before.
func TestDirectDurability(t *testing.T) {
	mem := newMem(t)
	ok(t, create(t, mem, "/a", "").Close())
	ok(t, mem.SyncDir("/"))
	d := openDirect(t, mem, "/a", vfs.ViaRing)
	first, second := pattern(d.Buffer(vfs.DirectAlign), 1), pattern(d.Buffer(vfs.DirectAlign), 2)
	must(d.WriteAt([][]byte{first}, 0))(t)
	if got := read(t, mem.Crash(nil, 0), "/a"); got != "" {
		t.Errorf("%d bytes survive that were not synced", len(got))
	}
	must(d.WriteSync([][]byte{second}, vfs.DirectAlign))(t)
	if got := read(t, mem.Crash(nil, 0), "/a"); got != string(first)+string(second) {
		t.Errorf("%d bytes survive of those that were synced", len(got))
	}
}

// Between the write and the sync of a WriteSync there is room for a crash, and
// for either to fail.
func TestInjectSplitsWriteSync(t *testing.T) {
	mem := newMem(t)
	ok(t, create(t, mem, "/a", "").Close())
	var seen []vfs.Kind
	sys := vfs.NewInject(mem, func(op vfs.Op) error { seen = append(seen, op.Kind); return nil })
	d := openDirect(t, sys, "/a", vfs.ViaRing)
	buf := d.Buffer(2 * vfs.DirectAlign)
	must(d.WriteSync([][]byte{buf}, 0))(t)
	if want := []vfs.Kind{vfs.OpOpen, vfs.OpDirect, vfs.OpClose, vfs.OpWrite, vfs.OpSync}; !slices.Equal(seen, want) {
		t.Errorf("the hooks saw %v, want %v", seen, want)
	}
	// A direct write is cut short between blocks.
	sys.Before = vfs.Rules(vfs.Rule{Kinds: []vfs.Kind{vfs.OpWrite}, Err: &vfs.ShortWrite{Bytes: vfs.DirectAlign + 100, Err: syscall.EIO}})
	if n, err := d.WriteSync([][]byte{buf}, 0); n != vfs.DirectAlign || !errors.Is(err, syscall.EIO) {
		t.Errorf("a short write: %d bytes, %v", n, err)
	}
	sys.Before = vfs.Rules(vfs.Rule{Kinds: []vfs.Kind{vfs.OpSync}, Err: syscall.EIO})
	if n, err := d.WriteSync([][]byte{buf}, 0); n != int64(len(buf)) || !errors.Is(err, syscall.EIO) {
		t.Errorf("a failed sync: %d bytes, %v", n, err)
	}
}

// Buffered readers beside a direct writer: below what a write that has returned
// was about they see its bytes, though the page that they lie in is written again
// all the time. Segments rely on that.
func TestDirectAndBufferedAgree(t *testing.T) {
	conformDirect(t, func(t *testing.T, sys vfs.FS, name string, via vfs.Via) {
		d := openDirect(t, sys, name, via)
		defer d.Close()
		const size, step = 96 << 10, 700
		f := must(sys.Open(name))(t)
		defer f.Close()
		ok(t, f.Preallocate(size)) // as segments do: the blocks are there, and unwritten
		want := pattern(make([]byte, size), 3)
		var written atomic.Int64
		var readers sync.WaitGroup
		for seed := range uint64(3) {
			readers.Go(func() {
				rng := rand.New(rand.NewPCG(seed, 1))
				got := make([]byte, 9000)
				for end := written.Load(); end < size-step; end = written.Load() {
					from := max(0, end-rng.Int64N(int64(len(got)))-1)
					n, err := f.ReadAt(got[:end-from], from)
					if err != nil && !errors.Is(err, io.EOF) {
						t.Errorf("read: %v", err)
						return
					}
					if !bytes.Equal(got[:n], want[from:from+int64(n)]) || int64(n) != end-from {
						t.Errorf("a reader sees other bytes in [%d, %d) than were written", from, end)
						return
					}
				}
			})
		}
		buf := d.Buffer(4 * vfs.DirectAlign)
		for end := int64(step); end < size; end += step {
			from := (end - step) / vfs.DirectAlign * vfs.DirectAlign
			clear(buf)
			n := copy(buf, want[from:end])
			blocks := (n + vfs.DirectAlign - 1) / vfs.DirectAlign
			if _, err := d.WriteAt([][]byte{buf[:blocks*vfs.DirectAlign]}, from); err != nil {
				t.Errorf("write: %v", err)
				break
			}
			written.Store(end)
		}
		written.Store(size)
		readers.Wait()
	})
}

func ExampleDirectFile() {
	mem := vfs.NewMem()
	f, _ := mem.Create("/log")
	defer f.Close()
	d, _ := f.Direct(vfs.ViaCalls)
	defer d.Close()
	block := d.Buffer(vfs.DirectAlign)
	copy(block, "one block, with zeros behind what counts")
	n, err := d.WriteSync([][]byte{block}, 0)
	fmt.Println(n, err)
	// Output: 4096 <nil>
}
