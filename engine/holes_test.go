package engine_test

import (
	"context"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// replicateAt appends batches of five records as a leader that compacts has them:
// with holes between.
func replicateAt(t *testing.T, l *engine.Log, bases ...int64) {
	t.Helper()
	for _, base := range bases {
		s := records(5, "r", 1000*base)
		s.BaseOffset, s.LeaderEpoch = base, 0
		set, err := batch.Parse(s.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		a, err := l.Replicate(set)
		if err == nil {
			err = l.Wait(context.Background(), a.Next)
		}
		if err != nil || a.Base != base {
			t.Fatalf("%+v, %v", a, err)
		}
	}
}

// A log with holes is read, searched, cut and opened like another: who asks for
// an offset in a hole gets the batch after it.
func TestHoles(t *testing.T) {
	forEachKeeping(t, func(t *testing.T, fs vfs.FS, dir string, c engine.Config) {
		c.SegmentBytes = 300
		s := openStore(t, fs, dir)
		l := create(t, s, "t-0", c)
		replicateAt(t, l, 3, 10, 30, 35, 60, 100, 105, 140)
		check := func(end int64, bases ...int64) {
			t.Helper()
			if m := l.Marks(); m.End != end || m.Acked != end {
				t.Fatalf("marks are %+v, want the end %d", m, end)
			}
			if err := l.Check(); err != nil {
				t.Fatal(err)
			}
			from := int64(0)
			for _, base := range bases {
				for ; from < base+5; from++ {
					for _, atLeastOne := range []bool{true, false} {
						e, err := l.Read(context.Background(), engine.Read{From: from, UpTo: end, MaxBytes: 200, AtLeastOne: atLeastOne})
						if err != nil {
							t.Fatal(err)
						}
						b := make(batch.Batch, e.Len())
						_, err = e.ReadAt(b, 0)
						e.Release()
						if err != nil || b.BaseOffset() != base {
							t.Fatalf("read from %d: a batch at %d, %v, want %d", from, b.BaseOffset(), err, base)
						}
					}
				}
				p, ok, err := l.OffsetForTime(1000*base - 500)
				if err != nil || !ok || p.Offset != base {
					t.Fatalf("the first record at %d has offset %d, %v, %v, want %d", 1000*base-500, p.Offset, ok, err, base)
				}
			}
		}
		again := func() {
			if durable(c.Design) {
				closeStore(t, s, l)
				s = openStore(t, fs, dir)
				l = reopen(t, s, "t-0", c)
			}
		}
		check(145, 3, 10, 30, 35, 60, 100, 105, 140)
		again()
		check(145, 3, 10, 30, 35, 60, 100, 105, 140)
		for _, cut := range []struct {
			to, end int64
			bases   []int64
		}{
			{120, 110, []int64{3, 10, 30, 35, 60, 100, 105}}, // a hole: the end is where it begins
			{70, 65, []int64{3, 10, 30, 35, 60}},
			{62, 60, []int64{3, 10, 30, 35}}, // a batch
			{20, 15, []int64{3, 10}},
		} {
			if err := l.Truncate(cut.to); err != nil {
				t.Fatal(err)
			}
			end := l.Marks().End
			if end > cut.to || end < cut.bases[len(cut.bases)-1]+5 {
				t.Fatalf("truncated to %d the log ends at %d", cut.to, end)
			}
			check(end, cut.bases...)
			again()
			check(end, cut.bases...)
		}
		replicateAt(t, l, 40)
		check(45, 3, 10, 40)
		if err := l.Trim(20); err != nil {
			t.Fatal(err)
		}
		closeStore(t, s, l)
	})
}
