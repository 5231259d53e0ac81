package segment_test

import (
	"fmt"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// benchBytes is how large a segment gets before it is emptied, so that a long
// run fills neither disk nor memory.
const benchBytes = 256 << 20

// BenchmarkAppend compares the designs with the bare system call. Where a design writes
// behind, the write of what has gathered is in it.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		name := fmt.Sprintf("batch=%dKiB", size>>10)
		b.Run("design=pwrite/"+name, func(b *testing.B) { benchFloor(b, size, 0, 0) })
		b.Run("design=pwrite,direct/"+name, func(b *testing.B) { benchFloor(b, size, 0, unix.O_DIRECT) })
		forEachDesign(b, func(b *testing.B, s subject) { benchSegment(b, s, size, 0) }, name)
	}
}

// BenchmarkSync is what one group commit costs: so many appends, and a sync.
func BenchmarkSync(b *testing.B) {
	const size = 16 << 10
	for _, appends := range []int{1, 16} {
		name := fmt.Sprintf("batch=%dKiB/appends=%d", size>>10, appends)
		b.Run("design=pwrite/"+name, func(b *testing.B) { benchFloor(b, size, appends, 0) })
		b.Run("design=pwrite,direct/"+name, func(b *testing.B) { benchFloor(b, size, appends, unix.O_DIRECT) })
		forEachDesign(b, func(b *testing.B, s subject) { benchSegment(b, s, size, appends) }, name)
	}
}

// forEachDesign runs bench for every design.
func forEachDesign(b *testing.B, bench func(*testing.B, subject), name string) {
	for _, d := range segment.Designs {
		b.Run(fmt.Sprintf("design=%s/%s", d.Name, name), func(b *testing.B) {
			bench(b, subject{Design: d, fs: vfs.OS{}, dir: b.TempDir()})
		})
	}
}

// benchSegment appends, and syncs after so many appends; 0 is never.
func benchSegment(b *testing.B, s subject, size, appends int) {
	seg := s.create(b)
	bufs := [][]byte{make([]byte, size)}
	b.ReportAllocs()
	b.SetBytes(int64(size * max(1, appends)))
	for b.Loop() {
		for range max(1, appends) {
			pos, err := appendTo(seg, bufs)
			if err == nil && pos > benchBytes {
				err = seg.Truncate(0)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		if appends > 0 {
			if err := seg.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// benchFloor is what the kernel takes for the same bytes, in a file that grows.
func benchFloor(b *testing.B, size, appends, flag int) {
	f, err := os.OpenFile(b.TempDir()+"/log", os.O_RDWR|os.O_CREATE|flag, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if flag != 0 {
		size = (size + vfs.DirectAlign - 1) / vfs.DirectAlign * vfs.DirectAlign // as the device wants it
	}
	buf := make([]byte, size+vfs.DirectAlign)
	buf = buf[-uintptr(unsafe.Pointer(&buf[0]))%vfs.DirectAlign:][:size]
	b.ReportAllocs()
	b.SetBytes(int64(size * max(1, appends)))
	pos := int64(0)
	for b.Loop() {
		for range max(1, appends) {
			if pos > benchBytes {
				pos, err = 0, f.Truncate(0)
			}
			if err == nil {
				_, err = f.WriteAt(buf, pos)
			}
			if err != nil {
				b.Fatal(err)
			}
			pos += int64(len(buf))
		}
		if appends > 0 {
			if err := unix.Fdatasync(int(f.Fd())); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkRead takes an Extent, copies its bytes out and releases it.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int64{16 << 10, 1 << 20} {
		for _, d := range segment.Designs {
			if !d.Keeps {
				continue
			}
			b.Run(fmt.Sprintf("design=%s/read=%dKiB", d.Name, size>>10), func(b *testing.B) {
				seg := subject{Design: d, fs: vfs.OS{}, dir: b.TempDir()}.create(b)
				const appends = 64
				p := make([]byte, size)
				for range appends {
					add(b, seg, string(p))
				}
				b.ReportAllocs()
				b.SetBytes(size)
				for i := int64(0); b.Loop(); i++ {
					e, err := seg.Extent(b.Context(), i%appends*size, size)
					if err == nil {
						_, err = e.ReadAt(p, 0)
					}
					if err != nil {
						b.Fatal(err)
					}
					e.Release()
				}
			})
		}
	}
}

// BenchmarkPin is what a reader pays beside others, with as many Extents out.
func BenchmarkPin(b *testing.B) {
	for _, held := range []int{0, 100, 10_000} {
		b.Run(fmt.Sprintf("held=%d", held), func(b *testing.B) {
			var pin segment.Pin
			for i := range held {
				pin.Acquire(int64(i))
			}
			b.ReportAllocs()
			for b.Loop() {
				pin.Acquire(1 << 40)
				pin.Release(1 << 40)
			}
		})
	}
}

// The engine's promise of no allocation an append rests on this one.
func TestNoAllocations(t *testing.T) {
	for _, d := range segment.Designs {
		if !d.Durable {
			continue
		}
		t.Run("design="+d.Name, func(t *testing.T) {
			seg := subject{Design: d, fs: vfs.OS{}, dir: t.TempDir()}.create(t)
			for _, bufs := range [][][]byte{{make([]byte, 100)}, {make([]byte, 100), make([]byte, 50), make([]byte, 1)}} {
				if n := testing.AllocsPerRun(100, func() {
					if _, err := seg.Append(bufs); err != nil {
						t.Fatal(err)
					}
				}); n != 0 {
					t.Errorf("Append of %d buffers: %v allocations", len(bufs), n)
				}
			}
			ctx, p := t.Context(), make([]byte, 60)
			if n := testing.AllocsPerRun(100, func() {
				e, err := seg.Extent(ctx, 20, 60)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := e.ReadAt(p, 0); err != nil {
					t.Fatal(err)
				}
				e.Release()
			}); n != 0 {
				t.Errorf("Extent: %v allocations", n)
			}
		})
	}
}
