package segment_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// benchBytes is how large a segment gets before it is emptied, so that a long
// run fills neither disk nor memory.
const benchBytes = 256 << 20

// BenchmarkAppend compares the designs with the bare system call.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		name := fmt.Sprintf("batch=%dKiB", size>>10)
		b.Run("design=pwrite/"+name, func(b *testing.B) { benchPwrite(b, make([]byte, size)) })
		for _, d := range segment.Designs {
			b.Run("design="+d.Name+"/"+name, func(b *testing.B) {
				seg := subject{Design: d, fs: vfs.OS{}, dir: b.TempDir()}.create(b)
				bufs := [][]byte{make([]byte, size)}
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					pos, err := seg.Append(bufs)
					if err == nil && pos > benchBytes {
						err = seg.Truncate(0)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// benchPwrite is the floor: what the kernel takes for the same bytes.
func benchPwrite(b *testing.B, buf []byte) {
	f, err := os.Create(b.TempDir() + "/log")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	pos := int64(0)
	for b.Loop() {
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
