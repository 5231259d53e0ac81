package batch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// thinned keeps the records that keep wants.
func thinned(t testing.TB, b Batch, horizon int64, codec Codec, keep func(Entry) bool) (Batch, []Record) {
	t.Helper()
	plain, err := b.AppendPlain(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var kept []Entry
	at := map[int64]bool{}
	for e, err := range b.Entries(plain) {
		if err != nil {
			t.Fatal(err)
		}
		if keep(e) {
			kept = append(kept, e)
			at[e.Offset] = true
		}
	}
	var want []Record
	for r, err := range b.Records(0) {
		if err != nil {
			t.Fatal(err)
		}
		if at[r.Offset] {
			want = append(want, r)
		}
	}
	out, _ := b.AppendThinned(nil, Remainder{Kept: kept, Horizon: horizon, Codec: codec})
	return Batch(out), want
}

func holdsRecords(t testing.TB, b Batch, want []Record) {
	t.Helper()
	if err := b.Check(); err != nil {
		t.Fatal(err)
	}
	var got []Record
	for r, err := range b.Records(0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	same := func(a, b Record) bool {
		return a.Offset == b.Offset && a.Timestamp == b.Timestamp && a.Attributes == b.Attributes &&
			(a.Key == nil) == (b.Key == nil) && bytes.Equal(a.Key, b.Key) && (a.Value == nil) == (b.Value == nil) && bytes.Equal(a.Value, b.Value) &&
			slices.EqualFunc(a.Headers, b.Headers, func(x, y Header) bool { return x.Key == y.Key && bytes.Equal(x.Value, y.Value) })
	}
	if !slices.EqualFunc(got, want, same) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
}

// What stays of a batch is as it was: offsets, timestamps, keys, values, headers,
// and all that the header says of the producer.
func TestThinned(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, from := range codecs() {
		for _, to := range codecs() {
			for _, kind := range []TimestampType{CreateTime, LogAppendTime} {
				var records []Record
				for i := range 40 {
					r := Record{Timestamp: 1_700_000_000_000 + int64(rng.IntN(5000)), Key: fmt.Appendf(nil, "k%d", i%7), Value: fmt.Appendf(nil, "value %d", i)}
					if i%5 == 0 {
						r.Value = nil
					}
					if i%3 == 0 {
						r.Headers = []Header{{Key: "h", Value: []byte("v")}, {Key: "null"}}
					}
					records = append(records, r)
				}
				s := Of(records...)
				s.BaseOffset, s.LeaderEpoch, s.Codec, s.TimestampType = 1000, 7, from, kind
				s.ProducerID, s.ProducerEpoch, s.BaseSequence, s.Transactional = 5, 3, 99, true
				b := s.Bytes()
				got, want := thinned(t, b, NoTimestamp, to, func(e Entry) bool { return e.Offset%3 == 1 })
				holdsRecords(t, got, want)
				sameHeader(t, got, b)
				if got.Codec() != to || got.HasDeleteHorizon() {
					t.Errorf("from %v to %v: attributes are %x", from, to, got.Attributes())
				}
				again, want := thinned(t, got, 1_800_000_000_000, from, func(e Entry) bool { return e.Offset != 1001 })
				holdsRecords(t, again, want)
				sameHeader(t, again, b)
				if !again.HasDeleteHorizon() || again.BaseTimestamp() != 1_800_000_000_000 || again.Codec() != from {
					t.Errorf("the horizon is %v, %d", again.HasDeleteHorizon(), again.BaseTimestamp())
				}
				// Once set it stays.
				last, want := thinned(t, again, NoTimestamp, to, func(e Entry) bool { return e.Offset > 1010 })
				holdsRecords(t, last, want)
				if !last.HasDeleteHorizon() || last.BaseTimestamp() != 1_800_000_000_000 {
					t.Error("the horizon is lost")
				}
			}
		}
	}
}

func sameHeader(t *testing.T, got, want Batch) {
	t.Helper()
	if got.BaseOffset() != want.BaseOffset() || got.LastOffset() != want.LastOffset() || got.LeaderEpoch() != want.LeaderEpoch() ||
		got.ProducerID() != want.ProducerID() || got.ProducerEpoch() != want.ProducerEpoch() || got.BaseSequence() != want.BaseSequence() ||
		got.LastSequence() != want.LastSequence() || got.TimestampType() != want.TimestampType() ||
		got.IsTransactional() != want.IsTransactional() || got.IsControl() != want.IsControl() {
		t.Errorf("the header differs:\n%x\n%x", got[:HeaderSize], want[:HeaderSize])
	}
}

func TestEmptied(t *testing.T) {
	s := Of(Record{Timestamp: 5, Key: []byte("k"), Value: []byte("v")}, Record{Timestamp: 9, Key: []byte("l")})
	s.BaseOffset, s.ProducerID, s.ProducerEpoch, s.BaseSequence, s.Codec, s.Transactional = 70, 1, 2, 3, Zstd, true
	b := s.Bytes()
	e := Batch(b.AppendEmpty(nil))
	holdsRecords(t, e, nil)
	sameHeader(t, e, b)
	if len(e) != HeaderSize || e.MaxTimestamp() != 9 || e.BaseTimestamp() != NoTimestamp || e.Codec() != None {
		t.Errorf("%d bytes, max %d, base %d, codec %v", len(e), e.MaxTimestamp(), e.BaseTimestamp(), e.Codec())
	}
}

func TestControl(t *testing.T) {
	for _, want := range []ControlType{Abort, Commit} {
		s := Of(Marker(want, 3, 5))
		s.Control, s.Transactional, s.ProducerID = true, true, 4
		if got, ok, err := s.Bytes().Control(); got != want || !ok || err != nil {
			t.Errorf("got %d, %v, %v, want %d", got, ok, err, want)
		}
		if _, ok, err := Batch(s.Bytes().AppendEmpty(nil)).Control(); ok || err != nil {
			t.Errorf("an emptied marker gives %v, %v", ok, err)
		}
	}
	s := Of(Record{Key: []byte{0}})
	s.Control = true
	if _, _, err := s.Bytes().Control(); err == nil {
		t.Error("a key of one byte is taken for a marker's")
	}
}

// FuzzEntries: what Records reads of a batch, Entries reads as well, and it does
// not fall over the rest.
func FuzzEntries(f *testing.F) {
	for _, p := range seeds(f) {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		b, _, err := Next(p)
		if err != nil || b.Check() != nil {
			if len(p) < HeaderSize {
				return
			}
			b = Batch(bytes.Clone(p)) // as if its CRC were right
		}
		plain, err := b.AppendPlain(nil, 1<<20)
		if err != nil {
			return
		}
		var entries []Entry
		for e, err := range b.Entries(plain) {
			if err != nil {
				break
			}
			entries = append(entries, e)
		}
		i := 0
		for r, err := range b.Records(1 << 20) {
			if err != nil {
				return
			}
			if i >= len(entries) {
				t.Fatalf("Entries ends before record %d", i)
			}
			if e := entries[i]; e.Offset != r.Offset || e.Timestamp != r.Timestamp || !bytes.Equal(e.Key, r.Key) || e.Tombstone != (r.Value == nil) {
				t.Fatalf("record %d is %+v, as an entry %+v", i, r, e)
			}
			i++
		}
	})
}
