package batch

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// seeds are whole batches of every kind, good ones and bad.
func seeds(f *testing.F) [][]byte {
	files, err := filepath.Glob("testdata/java-*.batch")
	if err != nil || len(files) == 0 {
		f.Fatal("no testdata", err)
	}
	var all [][]byte
	for _, name := range files {
		p, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, p)
	}
	for _, codec := range codecs() {
		s := Of(tinyRecords()...)
		s.Codec = codec
		all = append(all, s.Bytes())
	}
	all = append(all, patched(f, posCount, "ffffffff"), patched(f, posMagic, "01"), nil, make([]byte, 100))
	for _, b := range claims() {
		all = append(all, b)
	}
	return all
}

// FuzzParse: what Parse accepts is exactly the batches of its input, each of
// which frames and checks by itself, and stamping them keeps it so.
func FuzzParse(f *testing.F) {
	for _, p := range seeds(f) {
		f.Add(p)
		f.Add(append(bytes.Clone(p), p...))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		resealAll(p)
		s, err := Parse(p)
		if trusted, errT := Trusted(p); err == nil && (errT != nil || trusted.Len() != s.Len()) {
			t.Fatalf("Trusted finds %d, %v; Parse %d", trusted.Len(), errT, s.Len())
		}
		if err != nil {
			return
		}
		var joined []byte
		n, records, next := 0, int64(0), int64(0)
		for b := range s.All() {
			if err := b.Check(); err != nil {
				t.Fatal(err)
			}
			joined = append(joined, b...)
			n, records = n+1, records+int64(b.Count())
			b.Stamp(next, 5)
			if next = b.NextOffset(); next <= b.BaseOffset() {
				t.Fatalf("offsets run backwards: %d after %d", next, b.BaseOffset())
			}
		}
		if n != s.Len() || records != s.Records() || len(joined) != len(p) {
			t.Fatalf("%d batches of %d, %d records of %d, %d bytes of %d", n, s.Len(), records, s.Records(), len(joined), len(p))
		}
		if _, err := Parse(p); err != nil {
			t.Fatalf("stamped, it does not parse: %v", err)
		}
	})
}

// resealAll makes the CRCs of p right, or a fuzzer would never get past them.
func resealAll(p []byte) {
	for len(p) > 0 {
		b, rest, err := Next(p)
		if err != nil {
			return
		}
		b.seal()
		p = rest
	}
}

// one makes a batch of p if its framing allows, with its CRC right.
func one(p []byte) (Batch, bool) {
	b, _, err := Next(p)
	if err != nil {
		return nil, false
	}
	b.seal()
	return b, b.Check() == nil
}

const fuzzBudget = 4 << 20

// FuzzRecords: reading stays within its budget, and what is read without an
// error builds the same records again, in every codec.
func FuzzRecords(f *testing.F) {
	for _, p := range seeds(f) {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		b, ok := one(p)
		if !ok {
			return
		}
		var all []Record
		for r, err := range b.Records(fuzzBudget) {
			if err != nil {
				return
			}
			all = append(all, r)
		}
		if len(all) != int(b.Count()) {
			t.Fatalf("%d records of %d without an error", len(all), b.Count())
		}
		s := Of(all...)
		s.Codec = Codec(len(p) % 5)
		again := s.Bytes()
		if err := again.Check(); err != nil {
			t.Fatal(err)
		}
		sameRecords(t, collect(t, again), all)
	})
}

// FuzzValidate: what is accepted is read by Records too, to as many records
// with consecutive offsets, and comes through another codec identically. Where
// its numbers are written the shortest way, it is byte for byte what we build.
func FuzzValidate(f *testing.F) {
	for _, p := range seeds(f) {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		b, ok := one(p)
		if !ok {
			return
		}
		facts, err := b.Examine(Rules{Internal: true, MaxDecompressed: fuzzBudget})
		if err != nil {
			return
		}
		plain, err := b.Plain(fuzzBudget)
		if err != nil || int64(len(plain)) != facts.PlainSize {
			t.Fatalf("valid with %d plain bytes, but Plain gives %d, %v", facts.PlainSize, len(plain), err)
		}
		s := Of()
		for r, err := range b.Records(fuzzBudget) {
			if err != nil {
				t.Fatalf("valid, but Records gives %v", err)
			}
			if want := b.BaseOffset() + int64(len(s.Records)); r.Offset != want {
				t.Fatalf("offset %d, want %d", r.Offset, want)
			}
			s.Records = append(s.Records, r)
		}
		if b.TimestampType() == CreateTime {
			s.BaseTimestamp = b.BaseTimestamp()
			if again := s.appendRecords(nil, s.BaseTimestamp); len(again) == len(plain) && !bytes.Equal(again, plain) {
				t.Fatalf("rebuilt\n% x, was\n% x", again, plain)
			}
		}
		other, err := Recompress(b, Codec(len(p)%5), 0, fuzzBudget)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := other.Plain(fuzzBudget); err != nil || !bytes.Equal(back, plain) || other.Check() != nil {
			t.Fatalf("recompressed as %v it differs: %v, %v", other.Codec(), err, other.Check())
		}
	})
}

// FuzzQuick: the quick way over a record and the careful one agree, wherever
// the quick one dares.
func FuzzQuick(f *testing.F) {
	for _, p := range seeds(f) {
		if b := Batch(p); len(b) > HeaderSize && b.Codec() == None {
			f.Add(p[HeaderSize:])
		}
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		for len(p) > 0 {
			h, size := quick(p)
			c := cursor{buf: p}
			r, want := c.record()
			if size > 0 && (c.err != nil || h != want || size != c.pos || len(r.Headers) > 0) {
				t.Fatalf("quick reads %+v of %d bytes, record %+v of %d, %v", h, size, want, c.pos, c.err)
			}
			if c.err != nil {
				return
			}
			p = p[c.pos:]
		}
	})
}
