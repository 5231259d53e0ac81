package vfs_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// wrap is where benchmarks start over, to stay in the page cache.
const wrap = 64 << 20

func payload(batch, vectors int) [][]byte {
	bufs := make([][]byte, vectors)
	for i := range bufs {
		bufs[i] = make([]byte, batch/vectors)
	}
	return bufs
}

// BenchmarkWriteAt compares with design=pwrite, the bare system call. Writing
// over the same 64 MiB, as the pages of a preallocated segment would be.
func BenchmarkWriteAt(b *testing.B) {
	for _, batch := range []int{1 << 10, 16 << 10, 64 << 10, 1 << 20} {
		name := fmt.Sprintf("/batch=%dKiB", batch>>10)
		for _, vectors := range []int{1, 2} {
			b.Run(fmt.Sprintf("design=os%s/vectors=%d", name, vectors), func(b *testing.B) {
				writeLoop(b, create(b, vfs.OS{}, filepath.Join(b.TempDir(), "a"), ""), payload(batch, vectors))
			})
			b.Run(fmt.Sprintf("design=mem%s/vectors=%d", name, vectors), func(b *testing.B) {
				writeLoop(b, create(b, vfs.NewMem(), "/a", ""), payload(batch, vectors))
			})
		}
		b.Run("design=pwrite"+name+"/vectors=1", func(b *testing.B) {
			f := must(os.Create(filepath.Join(b.TempDir(), "a")))(b)
			defer f.Close()
			fd, buf := int(f.Fd()), make([]byte, batch)
			b.SetBytes(int64(batch))
			b.ReportAllocs()
			var off int64
			for b.Loop() {
				if n, err := unix.Pwrite(fd, buf, off); err != nil || n != len(buf) {
					b.Fatal(n, err)
				}
				off = (off + int64(batch)) % wrap
			}
		})
	}
}

func writeLoop(b *testing.B, f vfs.File, bufs [][]byte) {
	defer f.Close()
	total := int64(len(bufs) * len(bufs[0]))
	b.SetBytes(total)
	b.ReportAllocs()
	var off int64
	for b.Loop() {
		if _, err := f.WriteAt(bufs, off); err != nil {
			b.Fatal(err)
		}
		off = (off + total) % wrap
	}
}

// BenchmarkMemAppend grows a file without end, as a broker in memory does, and
// removes it at 64 MiB.
func BenchmarkMemAppend(b *testing.B) {
	for _, batch := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("batch=%dKiB", batch>>10), func(b *testing.B) {
			mem := vfs.NewMem()
			bufs := payload(batch, 1)
			b.SetBytes(int64(batch))
			var f vfs.File
			off := int64(wrap)
			for b.Loop() {
				if off >= wrap {
					ok(b, mem.RemoveAll("/a"))
					f, off = create(b, mem, "/a", ""), 0
				}
				if _, err := f.WriteAt(bufs, off); err != nil {
					b.Fatal(err)
				}
				off += int64(batch)
			}
		})
	}
}

// BenchmarkMemSyncedAppend appends and syncs: the steady state must not allocate
// for the durable image of the last block.
func BenchmarkMemSyncedAppend(b *testing.B) {
	f := create(b, vfs.NewMem(), "/a", "")
	bufs := payload(300, 1)
	b.ReportAllocs()
	var off int64
	for b.Loop() {
		if _, err := f.WriteAt(bufs, off); err != nil {
			b.Fatal(err)
		}
		ok(b, f.Sync())
		off = (off + 300) % wrap
	}
}

// BenchmarkCrash takes a crash after each small append, in a tree like a small
// log's.
func BenchmarkCrash(b *testing.B) {
	for _, percent := range []int{0, 50, 100} {
		for _, mapped := range []bool{false, true} {
			b.Run(fmt.Sprintf("keep=%d/mapped=%v", percent, mapped), func(b *testing.B) {
				mem := vfs.NewMem()
				ok(b, mem.MkdirAll("/log/topic-0"))
				var files []vfs.File
				for i := range 8 {
					f := create(b, mem, fmt.Sprintf("/log/topic-0/%d", i), "")
					write(b, f, string(make([]byte, 10_000)), 0)
					ok(b, f.Sync())
					files = append(files, f)
				}
				ok(b, mem.SyncDir("/log/topic-0"))
				if mapped {
					must(files[1].Map(10_000))(b)
					must(files[2].Map(10_000))(b)
				}
				rng := rand.New(rand.NewPCG(1, 2))
				bufs := payload(300, 1)
				off := int64(10_000)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := files[0].WriteAt(bufs, off); err != nil {
						b.Fatal(err)
					}
					mem.Crash(rng, percent)
					off = 10_000 + (off+300)%20_000
				}
			})
		}
	}
}
