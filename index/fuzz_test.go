package index_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// FuzzOpenIndex opens a file of arbitrary bytes, both to read and to add to:
// its entries are in order, and found, or it is ErrCorrupt; to both alike.
func FuzzOpenIndex(f *testing.F) {
	f.Add(false, []byte{}, int64(0))
	f.Add(false, []byte("\x00\x00\x00\x04\x00\x00\x10\x01\x01\x02\x03\x04\x7f\xff\xff\xff"), int64(7))
	f.Add(true, []byte("\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x04"), int64(7))
	f.Add(true, make([]byte, 36), int64(-1))
	f.Add(false, []byte("\xff\xff\xff\xff\xff\xff\xff\xff"), int64(1000))
	f.Fuzz(func(t *testing.T, times bool, content []byte, key int64) {
		for _, d := range index.Designs {
			s := subject{d, index.Offsets, vfs.NewMem(), "/"}
			if times {
				s.kind = index.Times
			}
			if d.OnDisk {
				fuzzOpen(t, s, content, key)
			}
		}
	})
}

func fuzzOpen(t *testing.T, s subject, content []byte, key int64) {
	s.put(t, content)
	sealed := s.sealed(t)
	es := slices.Collect(sealed.All)
	err := sealed.Err()
	ordered(t, es)
	found(t, sealed, es, key)
	if cerr := sealed.Close(); cerr != nil {
		t.Fatal(cerr)
	}
	x, openErr := s.Open(s.fs, s.path(), s.options())
	if errors.Is(openErr, index.ErrCorrupt) != errors.Is(err, index.ErrCorrupt) || (openErr == nil) != (err == nil) {
		t.Fatalf("sealed: %v; to add to: %v", err, openErr)
	}
	if openErr != nil {
		return
	}
	if got := slices.Collect(x.All); !slices.Equal(got, es) {
		t.Fatalf("sealed: %v; to add to: %v", es, got)
	}
	if err := x.Truncate(key); err != nil {
		t.Fatal(err)
	}
	left := slices.DeleteFunc(es, func(e index.Entry) bool { return e.Key >= key })
	if got := slices.Collect(x.All); !slices.Equal(got, left) {
		t.Fatalf("Truncate(%d) left %v, want %v", key, got, left)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
}

// ordered checks what an index promises of its entries.
func ordered(t *testing.T, es []index.Entry) {
	t.Helper()
	last := index.Entry{Key: -1, Value: 0}
	for _, e := range es {
		if e.Key <= last.Key || e.Value < last.Value {
			t.Fatalf("%v after %v", e, last)
		}
		last = e
	}
}

// found checks lookups against the entries themselves.
func found(t *testing.T, x index.Index, es []index.Entry, key int64) {
	t.Helper()
	for _, k := range []int64{key, math.MinInt64, math.MaxInt64, 0, base} {
		i, exact := slices.BinarySearchFunc(es, k, func(e index.Entry, k int64) int {
			switch {
			case e.Key < k:
				return -1
			case e.Key > k:
				return 1
			}
			return 0
		})
		if !exact {
			i--
		}
		if e, ok := x.Floor(k); ok != (i >= 0) || ok && e != es[i] {
			t.Fatalf("Floor(%d) = %v, %v", k, e, ok)
		}
	}
}
