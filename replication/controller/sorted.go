package controller

import (
	"iter"
	"slices"
	"sort"
)

// Sorted is a sorted list of which every version stays as it was: a change copies
// the chunk that it falls into, and the list of chunks, and shares the rest with
// the version before. A copy of the struct is a version.
//
// Metadata change one topic at a time, and there may be a hundred thousand: tables
// that are copied whole would make the creation of n topics cost n². A tree of
// more levels would copy less of a longer list. This one copies some 20 KB for
// the hundred-thousandth topic, and two lists of which one came from the other are
// compared in the time of their chunks (see [Changes]).
//
// Invariant: no chunk is empty, and none has more than sortedChunkMax entries.
type Sorted[V any] struct {
	chunks [][]V
	n      int
}

const sortedChunkMax = 256

// Len is the number of entries.
func (s *Sorted[V]) Len() int { return s.n }

// All yields the entries in order.
func (s *Sorted[V]) All() iter.Seq[V] {
	chunks := s.chunks
	return func(yield func(V) bool) {
		for _, c := range chunks {
			for _, v := range c {
				if !yield(v) {
					return
				}
			}
		}
	}
}

// Find returns the entry for which compare is zero. compare tells, like the
// comparison of an entry with the key, whether the entry comes before it.
func (s *Sorted[V]) Find(compare func(V) int) (v V, ok bool) {
	i, j, ok := s.search(compare)
	if ok {
		v = s.chunks[i][j]
	}
	return v, ok
}

// search returns where the entry is, or would be.
func (s *Sorted[V]) search(compare func(V) int) (chunk, at int, ok bool) {
	chunk = sort.Search(len(s.chunks), func(i int) bool { return compare(s.chunks[i][0]) > 0 }) - 1
	if chunk < 0 {
		return 0, 0, false
	}
	c := s.chunks[chunk]
	at = sort.Search(len(c), func(i int) bool { return compare(c[i]) >= 0 })
	return chunk, at, at < len(c) && compare(c[at]) == 0
}

// Edit makes the list of chunks its own: Put and Remove must be called only on a
// copy that was made so.
func (s *Sorted[V]) Edit() { s.chunks = slices.Clone(s.chunks) }

// Put adds an entry, or replaces the one for which compare is zero.
func (s *Sorted[V]) Put(v V, compare func(V) int) {
	i, j, ok := s.search(compare)
	if len(s.chunks) == 0 {
		s.chunks, s.n = [][]V{{v}}, 1
		return
	}
	if ok {
		c := slices.Clone(s.chunks[i])
		c[j] = v
		s.chunks[i] = c
		return
	}
	old := s.chunks[i]
	c := make([]V, 0, len(old)+1)
	c = append(append(append(c, old[:j]...), v), old[j:]...)
	s.chunks[i] = c
	s.n++
	if len(c) > sortedChunkMax {
		half := len(c) / 2
		s.chunks[i] = slices.Clone(c[:half])
		s.chunks = slices.Insert(s.chunks, i+1, slices.Clone(c[half:]))
	}
}

// Remove takes out the entry for which compare is zero.
func (s *Sorted[V]) Remove(compare func(V) int) {
	i, j, ok := s.search(compare)
	if !ok {
		return
	}
	s.n--
	if len(s.chunks[i]) == 1 {
		s.chunks = slices.Delete(s.chunks, i, i+1)
		return
	}
	s.chunks[i] = slices.Delete(slices.Clone(s.chunks[i]), j, j+1)
}

// Changes yields what two versions do not share: entries that only one has, with
// the zero value for the other, and entries that stand for the same key and
// differ. What the versions have in common is passed over by the chunk.
func Changes[V comparable](from, to Sorted[V], compare func(a, b V) int) iter.Seq2[V, V] {
	return func(yield func(was, is V) bool) {
		var none V
		a, b := cursor[V]{chunks: from.chunks}, cursor[V]{chunks: to.chunks}
		for !a.end() || !b.end() {
			if a.skipShared(&b) {
				continue
			}
			order := 0
			switch {
			case a.end():
				order = 1
			case b.end():
				order = -1
			default:
				order = compare(a.value(), b.value())
			}
			was, is := none, none
			if order <= 0 {
				was = a.next()
			}
			if order >= 0 {
				is = b.next()
			}
			if was != is && !yield(was, is) {
				return
			}
		}
	}
}

// cursor goes over the entries of a version.
type cursor[V any] struct {
	chunks [][]V
	at     int // in the first of chunks
}

func (c *cursor[V]) end() bool { return len(c.chunks) == 0 }

func (c *cursor[V]) value() V { return c.chunks[0][c.at] }

func (c *cursor[V]) next() V {
	v := c.value()
	if c.at++; c.at == len(c.chunks[0]) {
		c.chunks, c.at = c.chunks[1:], 0
	}
	return v
}

// skipShared passes over a chunk at which both stand.
func (c *cursor[V]) skipShared(d *cursor[V]) bool {
	if c.end() || d.end() || c.at > 0 || d.at > 0 || &c.chunks[0][0] != &d.chunks[0][0] {
		return false
	}
	c.chunks, d.chunks = c.chunks[1:], d.chunks[1:]
	return true
}
