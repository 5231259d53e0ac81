package segment_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// broken returns the default design on a disk with the given faults.
func broken(rules ...vfs.Rule) subject { return brokenDesign(segment.Designs[0], rules...) }

func brokenDesign(d segment.Design, rules ...vfs.Rule) subject {
	return subject{Design: d, fs: vfs.NewInject(vfs.NewMem(), vfs.Rules(rules...)), dir: "/"}
}

// forEachBroken runs test for every durable design on a disk with the given
// faults, but for designs that do not meet them in what act does.
func forEachBroken(t *testing.T, act func(testing.TB, segment.Segment), rules []vfs.Rule, test func(t *testing.T, s subject)) {
	for _, d := range segment.Designs {
		if !d.Durable {
			continue
		}
		met := true
		var counting []vfs.Rule
		seen := make([]int, len(rules))
		for i, r := range rules {
			counting = append(counting, vfs.Rule{Kinds: r.Kinds, Path: r.Path, Wait: func(vfs.Op) { seen[i]++ }})
		}
		seg := brokenDesign(d, counting...).create(t)
		act(t, seg)
		if err := seg.Close(); err != nil {
			t.Fatal(err)
		}
		for i, r := range rules {
			met = met && seen[i] >= max(1, r.Nth)
		}
		if met {
			t.Run("design="+d.Name, func(t *testing.T) { test(t, brokenDesign(d, rules...)) })
		}
	}
}

// readable checks that the segment still serves what it had.
func readable(t *testing.T, seg segment.Segment, want string) {
	t.Helper()
	if got := all(t, seg); got != want {
		t.Errorf("read %q, want %q", got, want)
	}
	e := pin(t, seg, 0, seg.Size())
	if got := bytesOf(t, e); got != want {
		t.Errorf("pinned %q, want %q", got, want)
	}
	e.Release()
}

// After these faults nobody knows what the medium holds. Nothing may be written
// or acknowledged any more, and everything that was there can be read.
func TestFailsForGood(t *testing.T) {
	writing, syncing, cutting := []vfs.Kind{vfs.OpWrite}, []vfs.Kind{vfs.OpSync}, []vfs.Kind{vfs.OpTruncate}
	reserving, mapping := []vfs.Kind{vfs.OpPreallocate}, []vfs.Kind{vfs.OpMap}
	growing := func(seg segment.Segment) error { _, err := seg.Append([][]byte{make([]byte, 1<<20)}); return err }
	appending := func(seg segment.Segment) error { _, err := seg.Append([][]byte{[]byte("abcdef")}); return err }
	for _, c := range []struct {
		name  string
		rules []vfs.Rule
		act   func(segment.Segment) error
		left  string
	}{
		{"write", []vfs.Rule{{Kinds: writing, Nth: 2, Times: 1, Err: syscall.EIO}}, appending, "0123456789"},
		{"half a write", []vfs.Rule{{Kinds: writing, Nth: 2, Times: 1, Err: &vfs.ShortWrite{Bytes: 3, Err: syscall.EIO}}},
			appending, "0123456789"},
		{"full disk, not undone", []vfs.Rule{
			{Kinds: writing, Nth: 2, Times: 1, Err: &vfs.ShortWrite{Bytes: 3, Err: syscall.ENOSPC}},
			{Kinds: cutting, Times: 1, Err: syscall.EIO},
		}, appending, "0123456789"},
		{"reserve", []vfs.Rule{{Kinds: reserving, Nth: 2, Times: 1, Err: syscall.EIO}}, growing, "0123456789"},
		{"map", []vfs.Rule{{Kinds: mapping, Nth: 2, Times: 1, Err: syscall.ENOMEM}}, growing, "0123456789"},
		{"sync", []vfs.Rule{{Kinds: syncing, Times: 1, Err: syscall.EIO}}, segment.Segment.Sync, "0123456789"},
		{"sync, full disk", []vfs.Rule{{Kinds: syncing, Times: 1, Err: syscall.ENOSPC}}, segment.Segment.Sync, "0123456789"},
		{"truncate", []vfs.Rule{{Kinds: cutting, Times: 1, Err: syscall.EIO}},
			func(seg segment.Segment) error { return seg.Truncate(4) }, "0123"},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := func(t testing.TB, seg segment.Segment) { add(t, seg, "0123456789"); _ = c.act(seg) }
			rules := c.rules
			if c.name == "full disk, not undone" {
				rules = rules[:1] // only who was refused undoes anything
			}
			ran := false
			forEachBroken(t, whole, rules, func(t *testing.T, s subject) {
				ran = true
				seg := brokenDesign(s.Design, c.rules...).create(t)
				add(t, seg, "0123456789")
				first := c.act(seg)
				if first == nil {
					t.Fatal("the fault went unnoticed")
				}
				// The faults are over: only the segment remembers.
				for i, call := range []func() error{
					func() error { return appending(seg) },
					seg.Sync,
					func() error { return seg.Truncate(0) },
					seg.Seal,
				} {
					if err := call(); err == nil || err.Error() != first.Error() {
						t.Errorf("call %d afterwards: %v, want %v", i, err, first)
					}
				}
				readable(t, seg, c.left)
			})
			if !ran {
				t.Error("no design meets this fault")
			}
		})
	}
}

// What stayed in the process cannot be written any more once a write has failed,
// and is there to be read.
func TestFailsForGoodBehind(t *testing.T) {
	for _, d := range segment.Designs {
		if !d.Behind {
			continue
		}
		for _, kind := range []vfs.Kind{vfs.OpWrite, vfs.OpSync} {
			t.Run(fmt.Sprintf("design=%s/%v", d.Name, kind), func(t *testing.T) {
				s := brokenDesign(d, vfs.Rule{Kinds: []vfs.Kind{kind}, Nth: 2, Times: 1, Err: syscall.EIO})
				seg := s.create(t)
				add(t, seg, "01234")
				if err := seg.Sync(); err != nil {
					t.Fatal(err)
				}
				add(t, seg, "56789")
				first := seg.Sync()
				if !errors.Is(first, syscall.EIO) {
					t.Fatalf("Sync: %v", first)
				}
				if err := seg.Sync(); err == nil || err.Error() != first.Error() {
					t.Errorf("Sync afterwards: %v, want %v", err, first)
				}
				if err := seg.Seal(); err == nil || err.Error() != first.Error() {
					t.Errorf("Seal afterwards: %v, want %v", err, first)
				}
				readable(t, seg, "0123456789")
			})
		}
	}
}

// A full disk is the one fault that passes: what was written of the append is
// cut off, and it can be tried again.
func TestFullDiskIsUndone(t *testing.T) {
	for _, written := range []int64{0, 1, 5} {
		t.Run(fmt.Sprintf("written=%d", written), func(t *testing.T) {
			s := broken(vfs.Rule{Kinds: []vfs.Kind{vfs.OpWrite}, Nth: 2, Times: 2,
				Err: &vfs.ShortWrite{Bytes: written, Err: syscall.ENOSPC}})
			seg := s.create(t)
			add(t, seg, "0123456789")
			for range 2 {
				if _, err := seg.Append([][]byte{[]byte("abc"), []byte("def")}); !errors.Is(err, vfs.ErrNoSpace) {
					t.Fatalf("Append to a full disk: %v", err)
				}
				readable(t, seg, "0123456789")
				if got := s.get(t); got != "0123456789" {
					t.Fatalf("the file holds %q", got)
				}
			}
			if pos := add(t, seg, "xyz"); pos != 10 {
				t.Errorf("the next append went to %d", pos)
			}
			if err := seg.Sync(); err != nil {
				t.Errorf("Sync: %v", err)
			}
			readable(t, seg, "0123456789xyz")
		})
	}
}

// The kernel tells a failed sync to one caller only. Two that overlap must both
// fail, and the disk must not be asked a second time.
func TestOverlappingSyncsBothFail(t *testing.T) {
	for _, d := range segment.Designs {
		if d.Durable {
			t.Run("design="+d.Name, func(t *testing.T) { overlapSyncs(t, d) })
		}
	}
}

func overlapSyncs(t *testing.T, d segment.Design) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		reached, fail := make(chan struct{}), make(chan struct{})
		s := brokenDesign(d, vfs.Rule{Kinds: []vfs.Kind{vfs.OpSync}, Times: 1, Err: syscall.EIO, Wait: func(vfs.Op) {
			asked.Add(1)
			close(reached)
			<-fail
		}}, vfs.Rule{Kinds: []vfs.Kind{vfs.OpSync}, Nth: 2, Wait: func(vfs.Op) { asked.Add(1) }})
		seg := s.create(t)
		defer seg.Close()
		add(t, seg, "0123456789")
		errs := make(chan error, 2)
		go func() { errs <- seg.Sync() }()
		<-reached
		go func() { errs <- seg.Sync() }()
		synctest.Wait()
		// Nothing else waits for a sync.
		add(t, seg, "abc")
		readable(t, seg, "0123456789abc")
		close(fail)
		for range 2 {
			if err := <-errs; !errors.Is(err, syscall.EIO) {
				t.Errorf("Sync: %v", err)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("the disk was asked %d times", n)
		}
	})
}

// Errors say what failed for good, and why.
func TestFailureIsNamed(t *testing.T) {
	seg := broken(vfs.Rule{Kinds: []vfs.Kind{vfs.OpSync}, Err: syscall.EIO}).create(t)
	err := seg.Sync()
	if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "00000000000000000000.log") {
		t.Errorf("Sync: %v", err)
	}
}

// A read error is the reader's alone.
func TestReadErrorPasses(t *testing.T) {
	seg := broken(vfs.Rule{Kinds: []vfs.Kind{vfs.OpRead}, Times: 2, Err: syscall.EIO}).create(t)
	add(t, seg, "0123456789")
	if _, err := seg.ReadAt(make([]byte, 4), 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("ReadAt: %v", err)
	}
	e := pin(t, seg, 0, 4)
	if _, err := e.ReadAt(make([]byte, 4), 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("Extent.ReadAt: %v", err)
	}
	e.Release()
	readable(t, seg, "0123456789")
	add(t, seg, "abc")
	if err := seg.Truncate(0); err != nil { // would wait if a pin were left behind
		t.Errorf("Truncate: %v", err)
	}
}

// The last Release gives the file back, not Close.
func TestLastReleaseClosesTheFile(t *testing.T) {
	for _, d := range segment.Designs {
		if d.Durable {
			t.Run("design="+d.Name, func(t *testing.T) { closeUnderExtents(t, d) })
		}
	}
}

func closeUnderExtents(t *testing.T, d segment.Design) {
	var opened, closed atomic.Int64
	s := brokenDesign(d, vfs.Rule{Kinds: []vfs.Kind{vfs.OpClose}, Wait: func(vfs.Op) { closed.Add(1) }},
		vfs.Rule{Kinds: []vfs.Kind{vfs.OpCreate, vfs.OpDirect}, Wait: func(vfs.Op) { opened.Add(1) }})
	seg := s.create(t)
	add(t, seg, "0123456789")
	a, b := pin(t, seg, 0, 4), pin(t, seg, 0, 4)
	if err := seg.Close(); err != nil {
		t.Fatal(err)
	}
	a.Release()
	if closed.Load() != 0 {
		t.Fatal("the file was closed under an Extent")
	}
	b.Release()
	if n := closed.Load(); n != opened.Load() {
		t.Errorf("of %d files %d were closed", opened.Load(), n)
	}
}
