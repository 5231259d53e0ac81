package batch

import (
	"fmt"
	"iter"
)

// A Set is a run of whole batches, one after the other, as a produce request or
// a fetch response carries them. It is a small value over the caller's bytes;
// the zero Set is empty.
type Set struct {
	buf     []byte // Invariant: whole batches, each framed and of magic 2.
	batches int
	records int64
}

// Parse checks framing, magic, CRC and counts of each batch of buf ([Batch.Check])
// and returns them all. It reads every byte once and allocates nothing. The
// error says where in buf the bad batch starts.
func Parse(buf []byte) (Set, error) {
	return parse(buf, true)
}

// Trusted is [Parse] without the checksums, for bytes that came out of our own
// log, where they were checked on the way in.
func Trusted(buf []byte) (Set, error) {
	return parse(buf, false)
}

func parse(buf []byte, check bool) (Set, error) {
	s := Set{buf: buf[:len(buf):len(buf)]}
	for rest := buf; len(rest) > 0; {
		b, after, err := Next(rest)
		if err == nil && check {
			err = b.Check()
		}
		if err != nil {
			return Set{}, fmt.Errorf("at byte %d of %d: %w", len(buf)-len(rest), len(buf), err)
		}
		rest = after
		s.batches++
		s.records += int64(b.Count())
	}
	return s, nil
}

// Bytes returns the batches as they lie in memory, without a copy.
func (s Set) Bytes() []byte { return s.buf }

// Size is the length of all batches in bytes.
func (s Set) Size() int64 { return int64(len(s.buf)) }

// Len is the number of batches.
func (s Set) Len() int { return s.batches }

// Records is the number of records in all batches, by their headers.
func (s Set) Records() int64 { return s.records }

// First returns the first batch, or nil if there is none.
func (s Set) First() Batch {
	if s.batches == 0 {
		return nil
	}
	b := Batch(s.buf)
	return b[:b.Size():b.Size()]
}

// All yields the batches in order. The batches alias the Set's bytes, so that
// stamping one stamps it there. A loop over it allocates nothing.
func (s Set) All() iter.Seq[Batch] {
	return func(yield func(Batch) bool) {
		for rest := s.buf; len(rest) > 0; {
			b := Batch(rest)
			n := b.Size()
			if !yield(b[:n:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}
