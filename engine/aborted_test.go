package engine_test

import (
	"slices"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// What Apache Kafka has written of aborted transactions is told to consumers, and
// goes with the records that it is about.
func TestAborted(t *testing.T) {
	mem := vfs.NewMem()
	s := openStore(t, mem, "/data")
	o := engine.LogOptions{Config: engine.DefaultConfig()}
	l, err := s.Create("t-0", o)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := appendSpec(l, records(5, "x", 1)); err != nil {
			t.Fatal(err)
		}
	}
	tells := func(what string, from, upTo int64, want ...int64) {
		t.Helper()
		var first []int64
		for _, a := range l.Aborted(from, upTo) {
			first = append(first, a.First)
		}
		if !slices.Equal(first, want) {
			t.Errorf("%s: aborted in [%d, %d): %d; want %d", what, from, upTo, first, want)
		}
	}
	reopenWith := func(entries ...[4]int64) {
		t.Helper()
		closeStore(t, s, l)
		if entries != nil {
			writeAbortedIndex(t, mem, entries...)
		}
		s = openStore(t, mem, "/data")
		l = reopen(t, s, "t-0", o.Config)
	}
	tells("no index", 0, 50)
	reopenWith([4]int64{7, 10, 20, 20}, [4]int64{8, 15, 30, 30}, [4]int64{9, 60, 70, 70})
	tells("the last is past the end", 0, 50, 10, 15)
	tells("after the first one's marker", 21, 50, 15)
	tells("before the second one", 0, 15, 10)

	if err := l.Truncate(25); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := appendSpec(l, records(5, "y", 1)); err != nil {
			t.Fatal(err)
		}
	}
	tells("one marker is gone", 0, 50, 10)
	reopenWith()
	tells("one marker is gone, opened again", 0, 50, 10)

	if err := l.Reset(0); err != nil {
		t.Fatal(err)
	}
	tells("reset", 0, 50)
	closeStore(t, s, l)
}
