package vfs

import (
	"errors"
	"io"
	"slices"
)

var (
	errMappedLarger = errors.New("file is mapped with a smaller size already")
	errMappedBelow  = errors.New("file is mapped past the new end")
)

// memContent is the bytes of a file, guarded by memInode.mu.
type memContent struct {
	size        int64 // bytes
	durableSize int64
	chunks      []*memChunk // nil is a hole; may be shorter than size
	dirtied     []int       // unmapped chunks with dirty blocks; each once, holes allowed

	// reserved is the number of leading blocks that preallocation has taken
	// room for. Of the others those in memChunk.stored take room.
	reserved        int64
	durableReserved int64

	// region is the memory behind the mapped chunks, which are the first
	// len(region)/chunkSize ones. nil while nothing is mapped.
	region   []byte
	mappings []int64 // their sizes, in bytes

	spare []byte // buffer for memChunk.old, so that a synced append allocates none
}

func (c *memContent) readAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if off >= c.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), c.size-off))
	for done := 0; done < n; {
		i, from := int((off+int64(done))/chunkSize), int((off+int64(done))%chunkSize)
		piece := p[done:min(n, done+chunkSize-from)]
		copied := 0
		if i < len(c.chunks) && c.chunks[i] != nil && from < len(c.chunks[i].data) {
			copied = min(len(piece), len(c.chunks[i].data)-from)
			c.chunks[i].copyOut(piece[:copied], from)
		}
		clear(piece[copied:])
		done += len(piece)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (c *memContent) writeAt(bufs [][]byte, off int64, space *memSpace) (written int64, err error) {
	for _, p := range bufs {
		for len(p) > 0 {
			n, err := c.writePiece(p, off+written, space)
			written += int64(n)
			if err != nil {
				return written, err
			}
			p = p[n:]
		}
	}
	return written, nil
}

// writePiece writes as much of p as lies in one chunk.
func (c *memContent) writePiece(p []byte, off int64, space *memSpace) (n int, err error) {
	i, from := int(off/chunkSize), int(off%chunkSize)
	p = p[:min(len(p), chunkSize-from)]
	chunk := c.chunk(i)
	room := c.charge(i, int64(from), int64(from+len(p)), space)
	if room < int64(from+len(p)) {
		p, err = p[:max(0, room-int64(from))], ErrNoSpace
	}
	if len(p) == 0 {
		return 0, err
	}
	clean := chunk.dirty == 0
	if len(p) == chunkSize && !chunk.mapped {
		chunk.fill(p, &c.spare)
	} else {
		chunk.touch(blocksIn(int64(from), int64(from+len(p))), from+len(p), i > 0, &c.spare)
		chunk.copyIn(from, p)
	}
	if clean && chunk.dirty != 0 {
		c.dirtied = append(c.dirtied, i)
	}
	c.size = max(c.size, off+int64(len(p)))
	return len(p), err
}

// chunk returns chunk i, made if it was a hole.
func (c *memContent) chunk(i int) *memChunk {
	for len(c.chunks) <= i {
		c.chunks = append(c.chunks, nil)
	}
	if c.chunks[i] == nil {
		c.chunks[i] = new(memChunk)
	}
	return c.chunks[i]
}

// charge takes room for the bytes [from, to) of chunk i and returns up to which
// byte they have it.
func (c *memContent) charge(i int, from, to int64, space *memSpace) int64 {
	chunk := c.chunks[i]
	want := blocksIn(from, to) &^ chunk.stored
	if want == 0 {
		return to
	}
	free := want & c.reservedIn(i)
	chunk.stored |= free
	want &^= free
	if want == 0 {
		return to
	}
	got := space.take(want.count())
	end := to
	want.each(func(block blockSet, start, _ int) {
		switch {
		case got > 0:
			chunk.stored |= block
			got--
		case end == to:
			end = int64(start)
		}
	})
	return end
}

// reservedIn returns the preallocated blocks of chunk i.
func (c *memContent) reservedIn(i int) blockSet {
	return blocksIn(0, c.reserved*blockSize-int64(i)*chunkSize)
}

// charged counts the blocks from the given one on that take room.
func (c *memContent) charged(from int64) int64 {
	n := max(0, c.reserved-from)
	from = max(from, c.reserved)
	for i := int(from / chunkBlocks); i < len(c.chunks); i++ {
		if chunk := c.chunks[i]; chunk != nil {
			n += (chunk.stored & blocksIn(from*blockSize-int64(i)*chunkSize, chunkSize)).count()
		}
	}
	return n
}

func blocksOf(size int64) int64 { return (size + blockSize - 1) / blockSize }

func (c *memContent) truncate(size int64, space *memSpace) error {
	if len(c.mappings) > 0 && size < slices.Max(c.mappings) {
		return errMappedBelow
	}
	if size < c.size {
		space.give(c.charged(blocksOf(size)))
		c.reserved = min(c.reserved, blocksOf(size))
		for i := int(size / chunkSize); i < len(c.chunks); i++ {
			chunk := c.chunks[i]
			if chunk == nil {
				continue
			}
			clean := chunk.dirty == 0
			chunk.cut(int(max(0, size-int64(i)*chunkSize)), &c.spare)
			if clean && chunk.dirty != 0 {
				c.dirtied = append(c.dirtied, i)
			}
		}
	}
	c.size = size
	return nil
}

func (c *memContent) preallocate(size int64, space *memSpace) error {
	blocks := blocksOf(size)
	if blocks > c.reserved {
		before := c.charged(0)
		was := c.reserved
		c.reserved = blocks
		if !space.takeAll(c.charged(0) - before) {
			c.reserved = was
			return ErrNoSpace
		}
	}
	c.size = max(c.size, size)
	return nil
}

func (c *memContent) sync() {
	for _, i := range c.dirtied {
		if chunk := c.chunks[i]; chunk != nil && !chunk.mapped {
			chunk.commit(c.size-int64(i)*chunkSize, &c.spare)
		}
	}
	c.dirtied = c.dirtied[:0]
	if c.region != nil {
		scratch := chunkScratches.Get().(*chunkScratch)
		defer chunkScratches.Put(scratch)
		for _, chunk := range c.chunks[:len(c.region)/chunkSize] {
			chunk.commitMapped(scratch, ^blockSet(0))
		}
	}
	if n := int((c.size + chunkSize - 1) / chunkSize); n < len(c.chunks) && c.region == nil {
		clear(c.chunks[n:])
		c.chunks = c.chunks[:n]
	}
	c.durableSize, c.durableReserved = c.size, c.reserved
}

// syncRange makes the blocks that hold the bytes [from, to) durable, and a length
// that reaches so far.
func (c *memContent) syncRange(from, to int64) {
	scratch := chunkScratches.Get().(*chunkScratch)
	defer chunkScratches.Put(scratch)
	for i := from / chunkSize; i*chunkSize < to; i++ {
		chunk := c.chunks[i]
		set := blocksIn(from-i*chunkSize, min(to, c.size)-i*chunkSize)
		if chunk.mapped {
			chunk.commitMapped(scratch, set)
		} else {
			chunk.commitBlocks(set)
		}
	}
	c.dirtied = slices.DeleteFunc(c.dirtied, func(i int) bool {
		return i < len(c.chunks) && c.chunks[i] != nil && !c.chunks[i].mapped && c.chunks[i].dirty == 0
	})
	c.durableSize = max(c.durableSize, min(to, c.size))
}

// mapMemory returns the first size bytes as one slice of the live content.
func (c *memContent) mapMemory(size int64) ([]byte, error) {
	if c.region == nil {
		c.gather()
	}
	if size > int64(len(c.region)) {
		return nil, errMappedLarger
	}
	c.mappings = append(c.mappings, size)
	return c.region[:size:size], nil
}

// gather moves the chunks into one region.
func (c *memContent) gather() {
	n := int((c.size + chunkSize - 1) / chunkSize)
	c.region = make([]byte, n*chunkSize) // not nil, even if empty
	for i := range n {
		chunk := c.chunk(i)
		chunk.remember(chunk.durable&^chunk.dirty, &c.spare)
		window := c.region[i*chunkSize : (i+1)*chunkSize : (i+1)*chunkSize]
		copy(window, chunk.data)
		chunk.data, chunk.shared = window, false
		chunk.dirty, chunk.mapped = 0, true
	}
}

// unmap ends one mapping of this size. After the last, the chunks are ordinary ones
// again, whose memory happens to be contiguous.
func (c *memContent) unmap(size int64) {
	i := slices.Index(c.mappings, size)
	if c.mappings = slices.Delete(c.mappings, i, i+1); len(c.mappings) > 0 {
		return
	}
	scratch := chunkScratches.Get().(*chunkScratch)
	defer chunkScratches.Put(scratch)
	for i, chunk := range c.chunks[:len(c.region)/chunkSize] {
		_, chunk.dirty = chunk.changed(scratch)
		chunk.mapped = false
		if chunk.dirty != 0 {
			c.dirtied = append(c.dirtied, i)
		}
	}
	c.region = nil
}
