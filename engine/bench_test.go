package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// batchOf makes one batch of about size bytes with records of 1 KiB.
func batchOf(size int) batch.Batch {
	var r []batch.Record
	for i := 0; i*1040 < size-100 || i == 0; i++ {
		r = append(r, batch.Record{Offset: int64(i), Timestamp: 1, Value: make([]byte, 1024)})
	}
	return batch.Of(r...).Bytes()
}

func sizeName(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%dMiB", n>>20)
	}
	return fmt.Sprintf("%dKiB", n>>10)
}

// BenchmarkAppend compares an append with the bare system call that it makes.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10, 1 << 20} {
		raw := batchOf(size)
		b.Run("design=pwrite/batch="+sizeName(size), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "f"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			const wrap = 1 << 30
			for i := 0; b.Loop(); i++ {
				if _, err := unix.Pwrite(int(f.Fd()), raw, int64(i*len(raw)%wrap)); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, d := range appendDesigns() {
			b.Run(fmt.Sprintf("design=%s+%s+%s/batch=%s", d.Segment, d.Index, d.Sync, sizeName(size)), func(b *testing.B) {
				benchAppend(b, d, raw)
			})
		}
	}
}

// appendDesigns are every segment design with the default index, and every index
// design with the default segment. Nothing is synced: see BenchmarkCommit.
func appendDesigns() []engine.Design {
	d := engine.DefaultDesign
	d.Sync = "none"
	var all []engine.Design
	for _, s := range segment.Designs {
		d.Segment = s.Name
		all = append(all, d)
	}
	d.Segment = engine.DefaultDesign.Segment
	for _, i := range index.Designs {
		if d.Index = i.Name; i.Name != engine.DefaultDesign.Index {
			all = append(all, d)
		}
	}
	return all
}

func benchAppend(b *testing.B, design engine.Design, raw batch.Batch) {
	c := engine.DefaultConfig()
	c.Design = design
	s := openStore(b, vfs.OS{}, b.TempDir())
	l := create(b, s, "t-0", c)
	set, err := batch.Parse(raw)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for n := int64(0); b.Loop(); n++ {
		if _, err := l.Append(set, 0); err != nil {
			b.Fatal(err)
		}
		if n*int64(len(raw)) > 1<<30 {
			b.StopTimer()
			if err := l.Reset(0); err != nil {
				b.Fatal(err)
			}
			n = 0
			b.StartTimer()
		}
	}
	b.StopTimer()
	if err := s.Delete("t-0"); err != nil {
		b.Fatal(err)
	}
	closeStore(b, s)
}

// BenchmarkCommit is append and wait under each policy that acknowledges what is
// durable, by so many goroutines; design=fdatasync is one pwrite and one
// fdatasync each, without group commit.
func BenchmarkCommit(b *testing.B) {
	raw := batchOf(16 << 10)
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("design=fdatasync/writers=%d", writers), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "f"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			var mu sync.Mutex
			end := int64(0)
			b.SetBytes(int64(len(raw)))
			parallel(b, writers, func() error {
				mu.Lock()
				_, err := unix.Pwrite(int(f.Fd()), raw, end)
				end += int64(len(raw))
				mu.Unlock()
				if err != nil {
					return err
				}
				return unix.Fdatasync(int(f.Fd()))
			})
		})
		for _, p := range engine.SyncPolicies {
			if p.AckDurable {
				b.Run(fmt.Sprintf("design=file+mmap+%s/writers=%d", p.Name, writers), func(b *testing.B) { benchCommit(b, p.Name, writers, 1, raw) })
			}
		}
	}
}

// BenchmarkCommitPartitions is 64 goroutines that append and wait, on more and
// more partitions in turn: what always pays for each of them, journal pays once.
func BenchmarkCommitPartitions(b *testing.B) {
	raw := batchOf(16 << 10)
	for _, partitions := range []int{1, 64, 1000} {
		for _, p := range engine.SyncPolicies {
			if p.AckDurable {
				b.Run(fmt.Sprintf("design=file+mmap+%s/partitions=%d", p.Name, partitions), func(b *testing.B) { benchCommit(b, p.Name, 64, partitions, raw) })
			}
		}
	}
}

func benchCommit(b *testing.B, policy string, writers, partitions int, raw batch.Batch) {
	var syncs atomic.Int64
	count := vfs.NewInject(vfs.OS{}, func(op vfs.Op) error {
		if (op.Kind == vfs.OpSync || op.Kind == vfs.OpWriteDurable) && (strings.HasSuffix(op.Path, ".log") || strings.HasSuffix(op.Path, ".journal")) {
			syncs.Add(1)
		}
		return nil
	})
	s := openStore(b, count, b.TempDir())
	c := engine.DefaultConfig()
	c.Design.Sync = policy
	logs := make([]*engine.Log, partitions)
	for i := range logs {
		logs[i] = create(b, s, fmt.Sprintf("t-%d", i), c)
	}
	syncs.Store(0)
	var turns atomic.Int64
	b.SetBytes(int64(len(raw)))
	parallel(b, writers, func() error {
		set, err := batch.Parse(append([]byte{}, raw...))
		if err != nil {
			return err
		}
		l := logs[turns.Add(1)%int64(partitions)]
		a, err := l.Append(set, 0)
		if err != nil {
			return err
		}
		return l.Wait(context.Background(), a.Next)
	})
	b.ReportMetric(float64(b.N)/float64(max(syncs.Load(), 1)), "appends/sync")
	closeStore(b, s, logs...)
}

// parallel shares b.N turns among so many goroutines.
func parallel(b *testing.B, goroutines int, turn func() error) {
	var wg sync.WaitGroup
	b.ResetTimer()
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < b.N; i += goroutines {
				if err := turn(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
}

// BenchmarkRead compares finding and pinning an extent for so many bytes with
// nothing: no bytes are moved by it.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{64 << 10, 1 << 20} {
		b.Run("design=file+mmap/max="+sizeName(size), func(b *testing.B) {
			s := openStore(b, vfs.OS{}, b.TempDir())
			c := engine.DefaultConfig()
			c.Design.Sync = "none"
			l := create(b, s, "t-0", c)
			set, err := batch.Parse(batchOf(16 << 10))
			if err != nil {
				b.Fatal(err)
			}
			for range 2000 {
				if _, err := l.Append(set, 0); err != nil {
					b.Fatal(err)
				}
			}
			end := l.Marks().End
			b.ReportAllocs()
			from := int64(0)
			for b.Loop() {
				e, err := l.Read(context.Background(), engine.Read{From: from, UpTo: end, MaxBytes: int64(size), AtLeastOne: true})
				if err != nil {
					b.Fatal(err)
				}
				e.Release()
				from = (from + 997) % end
			}
			b.StopTimer()
			closeStore(b, s)
		})
	}
}
