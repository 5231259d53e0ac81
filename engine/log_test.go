package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

func TestAppendReadReopen(t *testing.T) {
	forEachDesign(t, func(t *testing.T, fs vfs.FS, dir string, c engine.Config) {
		rng := rand.New(rand.NewPCG(0, 1))
		s := openStore(t, fs, dir)
		l := create(t, s, "t-0", c)
		want := fill(t, l, rng, nil, 200)
		if n := len(l.Segments()); n < 3 {
			t.Errorf("%d segments of %d bytes, want a log that rolled", n, c.SegmentBytes)
		}
		end := int64(len(want))
		for _, maxBytes := range []int64{1, 300, 1 << 20} {
			for _, from := range []int64{0, 1, 99, end - 1} {
				checkValues(t, readAll(t, l, from, end, maxBytes), from, want[from:])
			}
		}
		closeStore(t, s, l)
		if !durable(c.Design) {
			return
		}
		s = openStore(t, fs, dir)
		if !s.Clean() {
			t.Error("the store does not know that it was closed")
		}
		l = reopen(t, s, "t-0", c)
		if l.TopicID() != [16]byte{1, 2, 3} {
			t.Errorf("topic id is %v", l.TopicID())
		}
		if m := l.Marks(); m != (engine.Marks{Start: 0, Acked: end, Durable: end, Undecided: end, End: end}) {
			t.Errorf("marks are %+v, want an end of %d", m, end)
		}
		want = fill(t, l, rng, want, 300)
		checkValues(t, readAll(t, l, 0, int64(len(want)), 1000), 0, want)
		closeStore(t, s, l)
	})
}

// A read never passes UpTo, whatever it could take.
func TestReadStopsAtUpTo(t *testing.T) {
	forEachDesign(t, func(t *testing.T, fs vfs.FS, dir string, c engine.Config) {
		s := openStore(t, fs, dir)
		l := create(t, s, "t-0", c)
		defer closeStore(t, s, l)
		want := fill(t, l, rand.New(rand.NewPCG(0, 2)), nil, 60)
		for upTo := int64(1); upTo <= 60; upTo++ {
			e, err := l.Read(context.Background(), engine.Read{From: max(upTo-7, 0), UpTo: upTo, MaxBytes: 1 << 20, AtLeastOne: true})
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, e.Len())
			if _, err := e.ReadAt(buf, 0); err != nil {
				t.Fatal(err)
			}
			e.Release()
			set, err := batch.Parse(buf)
			if err != nil {
				t.Fatalf("up to %d: %v", upTo, err)
			}
			for b := range set.All() {
				if b.BaseOffset() >= upTo {
					t.Errorf("a read up to %d returned the batch at %d", upTo, b.BaseOffset())
				}
			}
		}
		_ = want
		e, err := l.Read(context.Background(), engine.Read{From: l.Marks().End, UpTo: 1 << 40, MaxBytes: 100})
		if err != nil || e.Len() != 0 {
			t.Errorf("a read at the end returned %d bytes, %v", e.Len(), err)
		}
		var outside *engine.RangeError
		if _, err = l.Read(context.Background(), engine.Read{From: l.Marks().End + 1, UpTo: 1 << 40, MaxBytes: 100}); !errors.As(err, &outside) {
			t.Errorf("a read past the end returned %v", err)
		}
		e, err = l.Read(context.Background(), engine.Read{From: 0, UpTo: 60, MaxBytes: 10})
		if err != nil || e.Len() != 0 {
			t.Errorf("a read of at most 10 bytes returned %d bytes, %v", e.Len(), err)
		}
	})
}

func TestTruncateTrimReset(t *testing.T) {
	forEachDesign(t, func(t *testing.T, fs vfs.FS, dir string, c engine.Config) {
		rng := rand.New(rand.NewPCG(0, 3))
		s := openStore(t, fs, dir)
		l := create(t, s, "t-0", c)
		want := fill(t, l, rng, nil, 150)
		for _, to := range []int64{140, 139, 100, 60, 20} {
			if err := l.Truncate(to); err != nil {
				t.Fatalf("truncate to %d: %v", to, err)
			}
			end := l.Marks().End
			if end > to || end < to-5 {
				t.Fatalf("truncated to %d, the log ends at %d", to, end)
			}
			want = want[:end]
			checkValues(t, readAll(t, l, 0, end, 500), 0, want)
			want = fill(t, l, rng, want, int(end)+7)
			checkValues(t, readAll(t, l, 0, l.Marks().End, 500), 0, want)
			if err := l.Check(); err != nil {
				t.Fatal(err)
			}
		}
		want = fill(t, l, rng, want, 150)
		for _, to := range []int64{3, 40, 41, 120} {
			if err := l.Trim(to); err != nil {
				t.Fatal(err)
			}
			if m := l.Marks(); m.Start != to {
				t.Fatalf("trimmed to %d, the log starts at %d", to, m.Start)
			}
			checkValues(t, readAll(t, l, to, l.Marks().End, 500), to, want[to:])
		}
		closeStore(t, s, l)
		if !durable(c.Design) {
			return
		}
		s = openStore(t, fs, dir)
		l = reopen(t, s, "t-0", c)
		if m := l.Marks(); m.Start != 120 || m.End != int64(len(want)) {
			t.Fatalf("marks after reopening are %+v", m)
		}
		checkValues(t, readAll(t, l, 120, l.Marks().End, 500), 120, want[120:])
		if err := l.Reset(1000); err != nil {
			t.Fatal(err)
		}
		if a := mustAppend(t, l, records(2, "new", 1)); a.Base != 1000 {
			t.Errorf("after Reset(1000) the first record got offset %d", a.Base)
		}
		closeStore(t, s, l)
	})
}

// What is acknowledged under a policy that waits for the disk is there after a
// loss of power, in order, and nothing that follows is torn.
func TestPowerLossKeepsAcknowledged(t *testing.T) {
	for _, d := range designs() {
		if !durable(d) {
			continue
		}
		for _, keep := range []int{0, 50, 100} {
			t.Run(fmt.Sprintf("design=%s/keep=%d", d, keep), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(0, uint64(keep)))
				mem := vfs.NewMem()
				c := smallConfig(d)
				s := openStore(t, mem, "/data")
				l := create(t, s, "t-0", c)
				want := fill(t, l, rng, nil, 90)
				if !ackDurable(d) {
					want = nil
				}
				for range 3 {
					for i := range 4 { // not waited for
						if _, err := appendSpec(l, records(2, fmt.Sprintf("lost? %d", i), 7)); err != nil {
							t.Fatal(err)
						}
					}
					mem = mem.Crash(rng, keep)
					s = openStore(t, mem, "/data")
					if s.Clean() {
						t.Fatal("a crash looks like a clean stop")
					}
					var err error
					l, err = s.Open("t-0", engine.LogOptions{Config: c})
					if errors.Is(err, engine.ErrNotFound) && !ackDurable(d) {
						l = create(t, s, "t-0", c)
					} else if err != nil {
						t.Fatal(err)
					}
					if err := l.Check(); err != nil {
						t.Fatal(err)
					}
					got := readAll(t, l, 0, l.Marks().End, 1000)
					if len(got) < len(want) {
						t.Fatalf("%d records were acknowledged, %d are left", len(want), len(got))
					}
					checkValues(t, got[:len(want)], 0, want)
					for i := len(want); i < len(got) && ackDurable(d); i++ {
						want = append(want, string(got[i].Value))
					}
				}
				closeStore(t, s, l)
			})
		}
	}
}

func TestOffsetForTime(t *testing.T) {
	forEachDesign(t, func(t *testing.T, fs vfs.FS, dir string, c engine.Config) {
		s := openStore(t, fs, dir)
		l := create(t, s, "t-0", c)
		defer closeStore(t, s, l)
		rng := rand.New(rand.NewPCG(0, 5))
		var times []int64
		for len(times) < 150 {
			ms := int64(len(times))*100 + rng.Int64N(1000)
			n := 1 + rng.IntN(4)
			mustAppend(t, l, records(n, "x", ms))
			for i := range n {
				times = append(times, ms+int64(i))
			}
		}
		for ms := int64(0); ms < 17000; ms += 37 {
			want := slices.IndexFunc(times, func(x int64) bool { return x >= ms })
			p, ok, err := l.OffsetForTime(ms)
			if err != nil || ok != (want >= 0) {
				t.Fatalf("time %d: %+v, %v, %v; want offset %d", ms, p, ok, err, want)
			}
			if ok && (p.Offset != int64(want) || p.Timestamp != times[want]) {
				t.Fatalf("time %d: %+v, want offset %d at %d", ms, p, want, times[want])
			}
		}
		p, ok, err := l.NewestTime()
		newest := slices.Max(times)
		if want := int64(slices.Index(times, newest)); err != nil || !ok || p.Offset != want || p.Timestamp != newest {
			t.Errorf("newest is %+v, %v, %v; want offset %d at %d", p, ok, err, want, newest)
		}
	})
}

// The newest record is looked for among those that can be read: not before the
// start, and not past what is acknowledged.
func TestNewestTimeOfWhatCanBeRead(t *testing.T) {
	s := openStore(t, vfs.NewMem(), "/data")
	l := create(t, s, "t-0", engine.DefaultConfig())
	defer closeStore(t, s, l)
	for _, ms := range []int64{100, 900, 300, 200} { // each batch has ms, ms+1, ms+2
		mustAppend(t, l, records(3, "x", ms))
	}
	if _, err := appendSpec(l, records(3, "nobody waited for it", 5000)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ start, offset, ms int64 }{
		{0, 5, 902}, {4, 5, 902}, {5, 5, 902}, {6, 8, 302}, {8, 8, 302}, {9, 11, 202}, {11, 11, 202}, {12, -1, -1},
	} {
		if err := l.Trim(c.start); err != nil {
			t.Fatal(err)
		}
		p, ok, err := l.NewestTime()
		if err != nil || ok != (c.offset >= 0) || ok && (p.Offset != c.offset || p.Timestamp != c.ms) {
			t.Errorf("from %d on the newest is %+v, %v, %v; want offset %d at %d", c.start, p, ok, err, c.offset, c.ms)
		}
	}
}

func TestSecondStoreIsRefused(t *testing.T) {
	dir := filepath.ToSlash(t.TempDir())
	s := openStore(t, vfs.OS{}, dir)
	defer closeStore(t, s)
	if _, err := engine.OpenStore(engine.StoreOptions{FS: vfs.OS{}, Dir: dir, NodeID: 1}); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("a second store on the same directory: %v", err)
	}
}

func TestForeignDirectoryIsRefused(t *testing.T) {
	mem := vfs.NewMem()
	s := openStore(t, mem, "/data")
	closeStore(t, s)
	for what, o := range map[string]engine.StoreOptions{
		"another cluster": {FS: mem, Dir: "/data", NodeID: 1, ClusterID: "other"},
		"another node":    {FS: mem, Dir: "/data", NodeID: 2},
	} {
		if _, err := engine.OpenStore(o); !errors.Is(err, engine.ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestRetention(t *testing.T) {
	forEachDesign(t, func(t *testing.T, fs vfs.FS, dir string, c engine.Config) {
		now := time.UnixMilli(1_000_000_000)
		at := newClock(now)
		s := openStoreAt(t, fs, dir, at)
		c.RetentionBytes = 5000
		l := create(t, s, "t-0", c)
		for i := range 300 {
			mustAppend(t, l, records(1, "a record of some length", now.UnixMilli()+int64(i)))
		}
		before := l.Bytes()
		s.Tick(now)
		if after := l.Bytes(); after >= before || after < 5000 || after > 5000+2*c.SegmentBytes {
			t.Errorf("retention by size left %d of %d bytes, want 5000 and at most a segment more", after, before)
		}
		start := l.Marks().Start
		readAll(t, l, start, 300, 1000)
		now = now.Add(8 * 24 * time.Hour)
		at.set(now)
		s.Tick(now)
		if m := l.Marks(); m.Start != 300 || m.End != 300 {
			t.Errorf("after a week the log is %+v, want it empty at 300", m)
		}
		if a := mustAppend(t, l, records(1, "x", now.UnixMilli())); a.Base != 300 {
			t.Errorf("the next record got offset %d", a.Base)
		}
		closeStore(t, s, l)
	})
}
