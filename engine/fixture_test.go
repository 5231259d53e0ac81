package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// designs are all that a log can be made of and read back from.
func designs() []engine.Design {
	var all []engine.Design
	for _, s := range segment.Designs {
		if !s.Keeps {
			continue
		}
		for _, i := range index.Designs {
			for _, p := range engine.SyncPolicies {
				all = append(all, engine.Design{Segment: s.Name, Index: i.Name, Sync: p.Name, Retention: engine.Retentions[0].Name})
			}
		}
	}
	return all
}

func durable(d engine.Design) bool {
	i := slices.IndexFunc(segment.Designs, func(s segment.Design) bool { return s.Name == d.Segment })
	return segment.Designs[i].Durable
}

func ackDurable(d engine.Design) bool {
	i := slices.IndexFunc(engine.SyncPolicies, func(p engine.SyncPolicy) bool { return p.Name == d.Sync })
	return engine.SyncPolicies[i].AckDurable
}

// smallConfig makes a log of the design that rolls and indexes after a few
// batches.
func smallConfig(d engine.Design) engine.Config {
	c := engine.DefaultConfig()
	c.Design = d
	c.SegmentBytes = 2000
	c.IndexBytes = 1 << 12
	c.IndexIntervalBytes = 200
	return c
}

// forEachDesign runs the test for every design in memory, and for two of them on
// a disk as well: what differs there is vfs.OS, which the default design asks
// all that it can, and fsync takes its time.
func forEachDesign(t *testing.T, test func(t *testing.T, fs vfs.FS, dir string, c engine.Config)) {
	for _, d := range designs() {
		if testing.Short() && foreignness(d) > 1 {
			continue
		}
		t.Run(fmt.Sprintf("design=%s/fs=mem", d), func(t *testing.T) {
			test(t, vfs.NewMem(), "/data", smallConfig(d))
		})
		if d == engine.DefaultDesign || d.Segment == "file" && d.Index == "none" && d.Sync == "none" {
			t.Run(fmt.Sprintf("design=%s/fs=os", d), func(t *testing.T) {
				test(t, vfs.OS{}, t.TempDir(), smallConfig(d))
			})
		}
	}
}

func openStore(t testing.TB, fs vfs.FS, dir string) *engine.Store {
	t.Helper()
	return openStoreBound(t, fs, dir, 0)
}

// openStoreBound opens a store that has at most so many idle segments open: with
// 1, files are closed and opened again all the time.
func openStoreBound(t testing.TB, fs vfs.FS, dir string, openSegments int) *engine.Store {
	t.Helper()
	s, err := engine.OpenStore(engine.StoreOptions{FS: fs, Dir: dir, NodeID: 1, OpenSegments: openSegments})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// closeStore closes the store after it checked every log.
func closeStore(t testing.TB, s *engine.Store, logs ...*engine.Log) {
	t.Helper()
	for _, l := range logs {
		if err := l.Check(); err != nil && !errors.Is(err, engine.ErrClosed) {
			t.Errorf("check: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// clock is what a store takes for the time. A test may set it while the store's
// workers look at it.
type clock struct{ ns atomic.Int64 } // Unix time

func newClock(at time.Time) *clock {
	c := new(clock)
	c.set(at)
	return c
}

func (c *clock) now() time.Time      { return time.Unix(0, c.ns.Load()) }
func (c *clock) set(at time.Time)    { c.ns.Store(at.UnixNano()) }
func (c *clock) add(d time.Duration) { c.ns.Add(int64(d)) }

func create(t testing.TB, s *engine.Store, name string, c engine.Config) *engine.Log {
	t.Helper()
	l, err := s.Create(name, engine.LogOptions{Config: c, TopicID: [16]byte{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func reopen(t testing.TB, s *engine.Store, name string, c engine.Config) *engine.Log {
	t.Helper()
	l, err := s.Open(name, engine.LogOptions{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// records makes a batch of n records whose values name their place in it.
func records(n int, text string, ms int64) batch.Spec {
	var r []batch.Record
	for i := range n {
		r = append(r, batch.Record{Offset: int64(i), Timestamp: ms + int64(i), Value: fmt.Appendf(nil, "%s/%d", text, i)})
	}
	return batch.Of(r...)
}

func appendSpec(l *engine.Log, s batch.Spec) (engine.Appended, error) {
	set, err := batch.Parse(s.Bytes())
	if err != nil {
		return engine.Appended{}, err
	}
	return l.Append(set, 0)
}

func mustAppend(t testing.TB, l *engine.Log, s batch.Spec) engine.Appended {
	t.Helper()
	a, err := appendSpec(l, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Wait(context.Background(), a.Next); err != nil {
		t.Fatal(err)
	}
	return a
}

// readAll reads every record from start up to upTo, in reads of maxBytes.
func readAll(t testing.TB, l *engine.Log, from, upTo, maxBytes int64) []batch.Record {
	t.Helper()
	var all []batch.Record
	for from < upTo {
		e, err := l.Read(context.Background(), engine.Read{From: from, UpTo: upTo, MaxBytes: maxBytes, AtLeastOne: true})
		if err != nil {
			t.Fatalf("read from %d: %v", from, err)
		}
		buf := make([]byte, e.Len())
		if _, err := e.ReadAt(buf, 0); err != nil {
			t.Fatalf("read from %d: %v", from, err)
		}
		e.Release()
		before := from
		for len(buf) > 0 {
			b, rest, err := batch.Next(buf)
			if errors.Is(err, batch.ErrTruncated) {
				break
			}
			if err == nil {
				err = b.Check()
			}
			if err != nil {
				t.Fatalf("read from %d: %v", from, err)
			}
			for r, err := range b.Records(1 << 20) {
				if err != nil {
					t.Fatal(err)
				}
				if r.Offset >= before {
					r.Key, r.Value = slices.Clone(r.Key), slices.Clone(r.Value)
					all = append(all, r)
				}
			}
			from, buf = b.NextOffset(), rest
		}
		if from == before {
			t.Fatalf("read from %d up to %d made no progress", from, upTo)
		}
	}
	return all
}

func checkValues(t testing.TB, got []batch.Record, first int64, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d records, want %d", len(got), len(want))
	}
	for i, r := range got {
		if r.Offset != first+int64(i) || string(r.Value) != want[i] {
			t.Fatalf("record %d is offset %d %q, want offset %d %q", i, r.Offset, r.Value, first+int64(i), want[i])
		}
	}
}

// fill appends batches of one to five records until the log has so many.
func fill(t testing.TB, l *engine.Log, rng *rand.Rand, want []string, n int) []string {
	t.Helper()
	for len(want) < n {
		size := 1 + rng.IntN(5)
		text := fmt.Sprintf("from %d", len(want))
		a := mustAppend(t, l, records(size, text, int64(len(want))*1000))
		if a.Base != int64(len(want)) || a.Next != a.Base+int64(size) {
			t.Fatalf("%d records were appended at [%d, %d), want %d", size, a.Base, a.Next, len(want))
		}
		for i := range size {
			want = append(want, fmt.Sprintf("%s/%d", text, i))
		}
	}
	return want
}
