package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// denseLog is a log with a dense index of so many bytes.
func denseLog(t *testing.T, fs vfs.FS, indexBytes int64) (*engine.Store, *engine.Log, engine.Config) {
	t.Helper()
	c := smallConfig(engine.DefaultDesign)
	c.Design.Index, c.IndexBytes, c.SegmentBytes = "dense", indexBytes, 100_000
	s := openStore(t, fs, "/data")
	return s, create(t, s, "t-0", c), c
}

// storedOffsets reads the offset index of the segment at base as Kafka would.
func storedOffsets(t *testing.T, fs vfs.FS, base int64) []index.Entry {
	t.Helper()
	x, err := index.Designs[0].Open(fs, fmt.Sprintf("/data/t-0/%020d.index", base), index.Options{Kind: index.Offsets, Base: base, Sealed: true})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	all := slices.Collect(x.All)
	if x.Err() != nil {
		t.Fatal(x.Err())
	}
	return all
}

// A dense index has an entry for each batch of a segment but the first, and the
// log rolls when it is full: with room for ten entries after eleven batches.
func TestDenseIndexHasEveryBatch(t *testing.T) {
	mem := vfs.NewMem()
	s, l, c := denseLog(t, mem, 120) // ten entries of the time index, 15 of offsets
	var want []string
	for i := range 100 {
		mustAppend(t, l, records(1, fmt.Sprint(i), int64(1000+i)))
		want = append(want, fmt.Sprintf("%d/0", i))
	}
	closeStore(t, s, l)
	for base := int64(0); base < 90; base += 10 { // the time index keeps its last place for the roll
		entries := storedOffsets(t, mem, base)
		if len(entries) != 9 {
			t.Fatalf("the index of segment %d has %d entries, want 9: %v", base, len(entries), entries)
		}
		for i, e := range entries {
			if e.Key != base+int64(i)+1 {
				t.Errorf("segment %d: entry %d is of offset %d", base, i, e.Key)
			}
		}
	}
	s = openStore(t, mem, "/data")
	l = reopen(t, s, "t-0", c)
	checkValues(t, readAll(t, l, 0, 100, 200), 0, want)
	closeStore(t, s, l)
}

// More batches in one append than a dense index has room for leave entries out;
// the log rolls behind them, and everything is found.
func TestDenseIndexMissesWhatDoesNotFit(t *testing.T) {
	mem := vfs.NewMem()
	s, l, c := denseLog(t, mem, 48)
	var sets bytes.Buffer
	var want []string
	for i := range 50 {
		sets.Write(records(1, fmt.Sprint(i), int64(1000+i)).Bytes())
		want = append(want, fmt.Sprintf("%d/0", i))
	}
	set, err := batch.Parse(sets.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Append(set, 0)
	if err == nil {
		err = l.Wait(context.Background(), a.Next)
	}
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, records(1, "after", 2000))
	if n := len(l.Segments()); n != 2 {
		t.Errorf("%d segments, want a roll behind the full index", n)
	}
	for range 2 { // as it was written, then recovered
		for from := range int64(50) {
			checkValues(t, readAll(t, l, from, 50, 100), from, want[from:])
		}
		if err := l.Check(); err != nil {
			t.Error(err)
		}
		old := s
		mem = mem.Kill()
		s = openStore(t, mem, "/data")
		l = reopen(t, s, "t-0", c)
		_ = old.Close()
	}
	closeStore(t, s, l)
}
