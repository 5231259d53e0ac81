package index_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// BenchmarkAdd is what an index costs an append, once each index interval.
func BenchmarkAdd(b *testing.B) {
	for _, d := range index.Designs {
		for _, k := range []index.Kind{index.Offsets, index.Times} {
			b.Run(fmt.Sprintf("design=%s/kind=%s", d.Name, kindName(k)), func(b *testing.B) {
				s := subject{d, k, vfs.OS{}, b.TempDir()}
				o := s.options()
				o.MaxBytes = 10 << 20
				x := s.open(b, o)
				first := s.entry(1).Key
				b.ReportAllocs()
				for i := int64(1); b.Loop(); i++ {
					if x.Full() {
						if err := x.Truncate(first); err != nil {
							b.Fatal(err)
						}
						i = 1
					}
					e := index.Entry{Key: first + i, Value: base + i}
					if err := x.Add(e); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkFloor looks keys up, at the end as consumers that keep up do, and
// anywhere.
func BenchmarkFloor(b *testing.B) {
	for _, d := range index.Designs {
		for _, entries := range []int64{100, 10_000, 1_000_000} {
			s := subject{d, index.Offsets, vfs.OS{}, b.TempDir()}
			o := s.options()
			o.MaxBytes = 10 << 20
			x := s.open(b, o)
			for i := range entries {
				add(b, x, index.Entry{Key: base + i*10, Value: i})
			}
			for _, keys := range []string{"tail", "random"} {
				b.Run(fmt.Sprintf("design=%s/entries=%d/keys=%s", d.Name, entries, keys), func(b *testing.B) {
					rng := rand.New(rand.NewPCG(1, 1))
					among := entries
					if keys == "tail" {
						among = min(entries, 100)
					}
					b.ReportAllocs()
					for b.Loop() {
						key := base + 10*(entries-1-rng.Int64N(among)) + 5
						if _, ok := x.Floor(key); ok != d.Keeps {
							b.Fatalf("Floor(%d): %v", key, ok)
						}
					}
				})
			}
		}
	}
}

// What stands in the path of every append and fetch allocates nothing.
func TestNoAllocations(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		x := s.open(t, s.options())
		i := int64(0)
		if n := testing.AllocsPerRun(100, func() { i++; add(t, x, s.entry(i)) }); n != 0 {
			t.Errorf("Add: %v allocations", n)
		}
		if n := testing.AllocsPerRun(100, func() { x.Floor(s.entry(5).Key); x.Last(); x.Len(); x.Full() }); n != 0 {
			t.Errorf("lookups: %v allocations", n)
		}
	})
}
