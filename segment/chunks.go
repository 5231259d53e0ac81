package segment

import (
	"cmp"
	"slices"
	"sort"
	"sync/atomic"
)

// Chunks start small, for the many logs that stay small, and double up to a
// size at which the copying of the list of chunks no longer counts.
const (
	minChunkBytes = 4 << 10
	maxChunkBytes = 1 << 20
)

// chunk is a piece of a segment in memory.
type chunk struct {
	pos int64 // of the chunk's first byte in the segment
	// mem is the whole room. How much of it is used follows from the next
	// chunk's pos, or from the segment's size for the last one.
	mem []byte
}

// chunkList is the bytes of a segment from some position on, in memory.
//
// All of one append lies in one chunk, which is made as large as that needs, so
// that an Extent that starts at an append has all of it; what it skips at the end
// of the chunk before is lost room. Memory goes back to the collector when
// neither the list nor an Extent refers to it.
type chunkList struct {
	// list is all chunks, in order and without gaps. A list is never changed once
	// stored, except past its length or past the segment's size, where no reader
	// looks: they pin a range below size first, and then load the list, which was
	// stored before that size was.
	list atomic.Pointer[[]chunk]
	// largest is how far chunks double, in bytes; 0 is maxChunkBytes.
	largest int
}

// load returns the chunks as they are now.
func (c *chunkList) load() []chunk {
	if l := c.list.Load(); l != nil {
		return *l
	}
	return nil
}

// room returns n free bytes or more for the position pos, the end.
func (c *chunkList) room(pos int64, n int) []byte {
	chunks := c.load()
	next := minChunkBytes
	if len(chunks) > 0 {
		last := chunks[len(chunks)-1]
		if free := last.mem[pos-last.pos:]; len(free) >= n {
			return free
		}
		next = min(2*len(last.mem), cmp.Or(c.largest, maxChunkBytes))
	}
	added := chunk{pos: pos, mem: make([]byte, max(next, n))}
	// Clip: readers go over the old list beside this, and a list that was cut
	// by Truncate may share its array with one that they still hold.
	longer := append(slices.Clip(chunks), added)
	c.list.Store(&longer)
	return added.mem
}

// cut drops what lies past size.
func (c *chunkList) cut(size int64) {
	chunks := c.load()
	i := sort.Search(len(chunks), func(i int) bool { return chunks[i].pos >= size })
	kept := slices.Clone(chunks[:i])
	c.list.Store(&kept)
}

// clip gives back the room of the last chunk past size, by moving what is used.
func (c *chunkList) clip(size int64) {
	chunks := slices.Clone(c.load())
	if len(chunks) == 0 {
		return
	}
	last := &chunks[len(chunks)-1]
	last.mem = slices.Clone(last.mem[:size-last.pos])
	c.list.Store(&chunks)
}

// forget drops the chunks that end at or before pos, but not the last one.
func (c *chunkList) forget(pos int64) {
	chunks := c.load()
	i := 0
	for i+1 < len(chunks) && chunks[i+1].pos <= pos {
		i++
	}
	if i > 0 {
		kept := slices.Clone(chunks[i:])
		c.list.Store(&kept)
	}
}

// at returns the bytes of chunks from pos to the end of their chunk, but at most
// n. The caller holds them, and pos is not before the first chunk.
func at(chunks []chunk, pos, n int64) []byte {
	i := sort.Search(len(chunks), func(i int) bool { return chunks[i].pos > pos }) - 1
	c := chunks[i]
	end := c.pos + int64(len(c.mem))
	if i+1 < len(chunks) {
		end = chunks[i+1].pos
	}
	n = min(n, end-pos)
	from := pos - c.pos
	return c.mem[from : from+n : from+n]
}

// copyOf copies the bytes of chunks from pos on into p, all of which they have.
func copyOf(p []byte, chunks []chunk, pos int64) {
	for n := 0; n < len(p); {
		n += copy(p[n:], at(chunks, pos+int64(n), int64(len(p)-n)))
	}
}
