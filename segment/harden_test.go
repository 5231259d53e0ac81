package segment_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// forEachHardener runs the test for every design that can harden.
func forEachHardener(t *testing.T, test func(t *testing.T, d segment.Design)) {
	for _, d := range segment.Designs {
		if !d.Durable {
			continue
		}
		t.Run("design="+d.Name, func(t *testing.T) {
			seg, err := d.Open(vfs.NewMem(), "/a", segment.Options{Create: true})
			if err != nil {
				t.Fatal(err)
			}
			defer seg.Close()
			if _, ok := seg.(segment.Hardener); !ok {
				t.Skip("it cannot")
			}
			test(t, d)
		})
	}
}

// What was hardened survives every crash, whatever was hardened, synced, truncated
// or opened before it.
func TestCrashKeepsWhatWasHardened(t *testing.T) {
	forEachHardener(t, func(t *testing.T, d segment.Design) {
		for seed := range uint64(60) {
			rng := rand.New(rand.NewPCG(seed, 9))
			mem := vfs.NewMem()
			o := segment.Options{Create: true, Size: -1, PreallocBytes: rng.Int64N(2) * 30_000}
			seg, err := d.Open(mem, "/a", o)
			if err != nil {
				t.Fatal(err)
			}
			want, n := "", 0
			for range 40 {
				var err error
				switch rng.IntN(8) {
				case 0:
					err = seg.Sync()
				case 1:
					want = want[:rng.IntN(len(want)+1)]
					err = errors.Join(seg.Truncate(int64(len(want))), seg.(segment.Hardener).Harden())
				case 2:
					err = errors.Join(seg.Sync(), seg.Close())
					if err == nil {
						seg, err = d.Open(mem, "/a", segment.Options{Size: int64(len(want))})
					}
				case 3:
					err = seg.(segment.Hardener).Harden()
				default:
					n++
					text := fmt.Sprintf("%d:%0*d", n, rng.IntN(3000), 0)
					add(t, seg, text)
					want += text
					continue
				}
				if err == nil {
					err = seg.(segment.Hardener).Harden()
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := mem.SyncDir("/"); err != nil {
					t.Fatal(err)
				}
				for _, keep := range []int{0, 50, 100} {
					left, err := d.Open(mem.Crash(rng, keep), "/a", segment.Options{Size: int64(len(want))})
					if err != nil {
						t.Fatalf("seed %d, keep %d: %v", seed, keep, err)
					}
					if got := all(t, left); got != want {
						t.Fatalf("seed %d, keep %d: %d bytes that are not the %d hardened", seed, keep, len(got), len(want))
					}
					if err := left.Close(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := seg.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A durable write that fails is the end of all writing, as a sync is.
func TestHardenFailsForGood(t *testing.T) {
	forEachHardener(t, func(t *testing.T, d segment.Design) {
		s := brokenDesign(d, vfs.Rule{Kinds: []vfs.Kind{vfs.OpWriteDurable, vfs.OpSync}, Times: 1, Err: syscall.EIO})
		seg := s.create(t)
		add(t, seg, "0123456789")
		for range 2 {
			if err := seg.(segment.Hardener).Harden(); !errors.Is(err, syscall.EIO) {
				t.Errorf("Harden: %v, want EIO", err)
			}
		}
		if err := seg.Sync(); !errors.Is(err, syscall.EIO) {
			t.Errorf("Sync after it: %v, want EIO", err)
		}
		if _, err := seg.Append([][]byte{{1}}); !errors.Is(err, syscall.EIO) {
			t.Errorf("Append after it: %v, want EIO", err)
		}
	})
}
