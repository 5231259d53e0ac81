package engine_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// benchKeyed appends batches of 64 records until the log has so many bytes.
func benchKeyed(b *testing.B, l *engine.Log, bytes int64, keys, valueBytes int, codec batch.Codec) {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	value := make([]byte, valueBytes)
	for l.Bytes() < bytes {
		var records []batch.Record
		for range 64 {
			for i := 0; i+8 <= len(value); i += 16 { // half of it compresses
				binary.LittleEndian.PutUint64(value[i:], rng.Uint64())
			}
			records = append(records, batch.Record{Timestamp: 1, Key: binary.LittleEndian.AppendUint64(nil, uint64(rng.IntN(keys))), Value: slices.Clone(value)})
		}
		s := batch.Of(records...)
		s.Codec = codec
		if _, err := appendSpec(l, s); err != nil {
			b.Fatal(err)
		}
	}
}

func benchCompactConfig() engine.Config {
	c := engine.DefaultConfig()
	c.Design.Sync, c.SegmentBytes = "none", 8<<20
	c.Compact, c.Delete, c.MinDirtyRatio = true, false, 0
	return c
}

// BenchmarkCompact compacts 64 MiB of which few records stay, or half of them:
// MB/s of what was there before. What is allocated is the workshop's buffers and
// the table of keys, whatever the size of the log.
func BenchmarkCompact(b *testing.B) {
	const size = 64 << 20
	for _, work := range []struct{ keys, value int }{{1000, 1000}, {1000, 100}, {300_000, 100}} {
		for _, codec := range []batch.Codec{batch.None, batch.LZ4, batch.Zstd} {
			b.Run(fmt.Sprintf("design=file+mmap/keys=%d/value=%d/codec=%v", work.keys, work.value, codec), func(b *testing.B) {
				b.SetBytes(size)
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					s := openStore(b, vfs.OS{}, b.TempDir())
					l := create(b, s, "t-0", benchCompactConfig())
					benchKeyed(b, l, size, work.keys, work.value, codec)
					b.StartTimer()
					s.Compact()
					b.StopTimer()
					if err := s.Delete("t-0"); err != nil {
						b.Fatal(err)
					}
					closeStore(b, s)
					b.StartTimer()
				}
			})
		}
	}
}

// BenchmarkAppendBesideCompaction is an append of 16 KiB while another log of the
// store is compacted, over and over, and while none is. p99 is what to look at.
func BenchmarkAppendBesideCompaction(b *testing.B) {
	for _, beside := range []bool{false, true} {
		b.Run(fmt.Sprintf("design=file+mmap+none/compacting=%v", beside), func(b *testing.B) {
			s := openStore(b, vfs.OS{}, b.TempDir())
			l := create(b, s, "t-0", engine.DefaultConfig())
			other := create(b, s, "other-0", benchCompactConfig())
			benchKeyed(b, other, 64<<20, 300_000, 100, batch.None)
			stop, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				for beside {
					select {
					case <-stop:
						return
					default:
						s.Compact()
						if err := other.Reset(0); err != nil {
							b.Error(err)
							return
						}
						benchKeyed(b, other, 16<<20, 300_000, 100, batch.None)
					}
				}
			}()
			set, err := batch.Parse(batchOf(16 << 10))
			if err != nil {
				b.Fatal(err)
			}
			var took []time.Duration
			b.SetBytes(set.Size())
			for b.Loop() {
				begun := time.Now()
				if _, err := l.Append(set, 0); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begun))
			}
			close(stop)
			<-done
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
			b.StopTimer()
			closeStore(b, s)
		})
	}
}
