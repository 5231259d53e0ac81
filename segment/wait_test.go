package segment_test

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// stoppedDevice is a disk on which, once stopped, nothing ends that waits for the
// device: syncs, cuts, and the writes of a design that writes behind.
type stoppedDevice struct {
	subject
	stopped atomic.Bool
	writing atomic.Int64 // writes that wait
	start   chan struct{}
}

func newStoppedDevice(t *testing.T, d segment.Design) *stoppedDevice {
	v := &stoppedDevice{start: make(chan struct{})}
	kinds := []vfs.Kind{vfs.OpSync, vfs.OpWriteDurable, vfs.OpTruncate, vfs.OpFlush}
	if d.Behind {
		kinds = append(kinds, vfs.OpWrite)
	}
	v.subject = brokenDesign(d, vfs.Rule{Kinds: kinds, Wait: v.wait},
		vfs.Rule{Kinds: []vfs.Kind{vfs.OpPreallocate}, Wait: func(vfs.Op) {
			if v.writing.Load() > 0 {
				t.Error("room is asked for, which waits for the write that is under way")
			}
		}})
	return v
}

func (v *stoppedDevice) wait(op vfs.Op) {
	if !v.stopped.Load() {
		return
	}
	if op.Kind == vfs.OpWrite {
		v.writing.Add(1)
		defer v.writing.Add(-1)
	}
	<-v.start
}

// Appends, reads and the end of a segment go on while a Sync or a Flush waits for the
// device. The engine makes them under a log's lock.
func TestNobodyWaitsForTheDevice(t *testing.T) {
	for _, d := range segment.Designs {
		if !d.Durable {
			continue
		}
		begin := map[string]func(segment.Segment) error{"Sync": segment.Segment.Sync}
		if d.Behind {
			begin["Flush"] = flush
		}
		for name, begin := range begin {
			t.Run("design="+d.Name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { useBeside(t, newStoppedDevice(t, d), begin) })
			})
		}
	}
}

func flush(seg segment.Segment) error { return seg.(segment.WriteBehind).Flush() }

func useBeside(t *testing.T, v *stoppedDevice, begin func(segment.Segment) error) {
	seg := v.create(t)
	defer seg.Close()
	want := strings.Repeat("a", 3000)
	add(t, seg, want)
	v.stopped.Store(true)
	begun, sealed := make(chan error, 1), make(chan error, 1)
	go func() { begun <- begin(seg) }()
	synctest.Wait()
	if len(begun) > 0 {
		t.Fatal("nothing waits for the device")
	}
	go func() {
		for range 10 {
			if _, err := seg.Append([][]byte{[]byte("0123456789")}); err != nil {
				t.Errorf("Append: %v", err)
			}
		}
		want += strings.Repeat("0123456789", 10)
		readable(t, seg, want)
		sealed <- seg.Seal()
	}()
	synctest.Wait()
	if len(sealed) == 0 {
		t.Fatal("an append, a read or Seal waits for the device")
	}
	readable(t, seg, want)
	close(v.start)
	if err := errors.Join(<-begun, <-sealed, seg.Sync()); err != nil {
		t.Error(err)
	}
	readable(t, seg, want)
	if got := v.get(t); got != want {
		t.Errorf("sealed and synced, the file has %d bytes, want %d", len(got), len(want))
	}
}

// What waits for a device in memory is bounded, and whoever is refused gets its turn.
func TestWriteBehindIsBounded(t *testing.T) {
	for _, d := range segment.Designs {
		if d.Behind {
			t.Run("design="+d.Name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { fillMemory(t, newStoppedDevice(t, d)) })
			})
		}
	}
}

func fillMemory(t *testing.T, v *stoppedDevice) {
	const maxBytes, piece = 4 << 20, 100_000
	seg := v.open(t, segment.Options{Create: true, PreallocBytes: 3 * maxBytes})
	defer seg.Close()
	v.stopped.Store(true)
	b := make([]byte, piece)
	var err error
	for err == nil {
		b[0]++
		_, err = seg.Append([][]byte{b})
	}
	held := seg.(segment.WriteBehind).Held()
	if !errors.Is(err, segment.ErrBusy) || held != seg.Size() || held < maxBytes-piece || held > maxBytes {
		t.Fatalf("%d bytes are held of %d, then %v", held, seg.Size(), err)
	}
	flushed := make(chan error, 2)
	for range cap(flushed) {
		go func() { flushed <- flush(seg) }()
	}
	synctest.Wait()
	if _, err := seg.Append([][]byte{b}); !errors.Is(err, segment.ErrBusy) {
		t.Errorf("Append while all is being written: %v", err)
	}
	close(v.start)
	for range cap(flushed) {
		if err := <-flushed; err != nil {
			t.Error(err)
		}
	}
	if held := seg.(segment.WriteBehind).Held(); held != 0 {
		t.Errorf("%d bytes are held after a Flush", held)
	}
	if _, err := seg.Append([][]byte{make([]byte, 2*maxBytes)}); err != nil {
		t.Errorf("an append that is larger than the bound: %v", err)
	}
	if got := v.get(t); len(got) != 3*maxBytes || got[piece] != 2 || got[held-piece] != byte(held/piece) {
		t.Error("the file does not have what was flushed")
	}
}

// What was flushed outlives the process, whatever came before and after.
func TestKillKeepsWhatWasFlushed(t *testing.T) {
	for _, d := range segment.Designs {
		if !d.Behind {
			continue
		}
		t.Run("design="+d.Name, func(t *testing.T) {
			mem := vfs.NewMem()
			seg := subject{Design: d, fs: mem, dir: "/"}.create(t)
			var want []string
			for i, n := range []int{10, 5000, 1, 70_000, 300_000, 4096, 3} {
				want = append(want, strings.Repeat(string(rune('a'+i)), n))
				add(t, seg, want[i])
				if err := flush(seg); err != nil {
					t.Fatal(err)
				}
				if i%3 == 2 {
					if err := seg.Truncate(seg.Size() - 1); err != nil {
						t.Fatal(err)
					}
					want[i] = want[i][1:]
				}
				add(t, seg, "lost")
				killed := subject{Design: d, fs: mem.Kill(), dir: "/"}
				killed.holds(t, strings.Join(want, ""))
				want[i] += "lost"
			}
			if err := seg.Close(); err != nil {
				t.Fatal(err)
			}
			if got := (subject{Design: d, fs: mem, dir: "/"}).get(t); got != strings.Join(slices.Clone(want), "") {
				t.Errorf("closed, the file has %d bytes", len(got))
			}
		})
	}
}
