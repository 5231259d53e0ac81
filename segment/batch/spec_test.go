package batch

import (
	"bytes"
	"strings"
	"testing"
)

func codecs() []Codec { return []Codec{None, Gzip, Snappy, LZ4, Zstd} }

func samples() []Record {
	return []Record{
		{Timestamp: 1000, Key: []byte("k0"), Value: []byte("v0")},
		{Timestamp: 1005, Key: nil, Value: []byte(strings.Repeat("abc", 50_000))},
		{Timestamp: 990, Key: []byte{}, Value: nil, Headers: []Header{{"h", []byte("x")}, {"", nil}, {"ü", []byte{}}}},
		{Timestamp: NoTimestamp, Key: []byte("k3"), Value: []byte{}, Attributes: 7},
	}
}

func sameRecords(t *testing.T, got, want []Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Timestamp != w.Timestamp || g.Attributes != w.Attributes || !same(g.Key, w.Key) || !same(g.Value, w.Value) || len(g.Headers) != len(w.Headers) {
			t.Fatalf("record %d is %+v, want %+v", i, g, w)
		}
		for j, h := range w.Headers {
			if g.Headers[j].Key != h.Key || !same(g.Headers[j].Value, h.Value) {
				t.Fatalf("record %d header %d is %+v, want %+v", i, j, g.Headers[j], h)
			}
		}
	}
}

// same tells null from empty.
func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func collect(t *testing.T, b Batch) []Record {
	t.Helper()
	var all []Record
	for r, err := range b.Records(0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Offset != b.BaseOffset()+int64(len(all)) {
			t.Fatalf("record %d has offset %d in a batch at %d", len(all), r.Offset, b.BaseOffset())
		}
		all = append(all, r)
	}
	return all
}

func TestSpecRoundTrip(t *testing.T) {
	for _, codec := range codecs() {
		t.Run("codec="+codec.String(), func(t *testing.T) {
			s := Of(samples()...)
			s.Codec = codec
			for range 2 { // the second time with encoders and decoders from the pool
				b := s.Bytes()
				if err := b.Check(); err != nil {
					t.Fatal(err)
				}
				if b.Codec() != codec || b.Count() != 4 || b.LastOffset() != 3 || b.NextOffset() != 4 || b.MaxTimestamp() != 1005 || b.BaseTimestamp() != 1000 {
					t.Fatalf("header: % x", b[:HeaderSize])
				}
				sameRecords(t, collect(t, b), samples())
				f, err := b.Examine(Rules{})
				if err != nil {
					t.Fatal(err)
				}
				if f.MaxTimestamp != 1005 || f.PlainSize != int64(len(Of(samples()...).Bytes())-HeaderSize) {
					t.Fatalf("%+v", f)
				}
			}
		})
	}
}
