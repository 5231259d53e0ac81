package vfs

import (
	"bytes"
	"math/bits"
	"sync"
)

const (
	blockSize   = 512                     // bytes that the disk writes whole or not at all
	chunkBlocks = 64                      // so that a set of blocks is one word
	chunkSize   = blockSize * chunkBlocks // bytes
)

// blockSet is a set of blocks of one chunk: bit i is the block from byte
// i*blockSize.
type blockSet uint64

// blocksIn returns the blocks that hold any of the bytes [from, to) of a chunk.
func blocksIn(from, to int64) blockSet {
	from, to = max(from, 0), min(to, chunkSize)
	if from >= to {
		return 0
	}
	first, last := from/blockSize, (to-1)/blockSize
	return ^blockSet(0) << first & (^blockSet(0) >> (chunkBlocks - 1 - last))
}

func (s blockSet) count() int64 { return int64(bits.OnesCount64(uint64(s))) }

// extent is the number of bytes up to the end of the last block of the set.
func (s blockSet) extent() int { return bits.Len64(uint64(s)) * blockSize }

// each calls f for the byte range of every block of the set, in order.
func (s blockSet) each(f func(block blockSet, from, to int)) {
	for s != 0 {
		b := bits.TrailingZeros64(uint64(s))
		s &= s - 1
		f(1<<b, b*blockSize, (b+1)*blockSize)
	}
}

// memChunk is 32 KiB of a file in two states.
type memChunk struct {
	// data is the live state; what is past its end reads as zeros. Its length
	// is a multiple of blockSize. Bytes past the file's end are zero, except in
	// a mapped chunk.
	data []byte
	// old holds the durable state of the blocks in durable&dirty, each at its
	// place; of all blocks in durable if the chunk is mapped. nil or
	// durable.extent() long.
	old []byte

	stored  blockSet // blocks that take room
	durable blockSet // blocks that are on the disk; all others are zeros there
	dirty   blockSet // blocks changed since the last sync; unused while mapped
	shared  bool     // data belongs to a clone as well and must not be changed
	mapped  bool     // data is memory of a mapping, which changes unseen
}

// touch makes the blocks in set ready to be changed: remembers their durable
// state, and has data reach to the byte extent.
func (c *memChunk) touch(set blockSet, extent int, roomy bool, spare *[]byte) {
	if !c.mapped {
		c.remember(set&c.durable&^c.dirty, spare)
		c.dirty |= set
	}
	if extent <= len(c.data) && !c.shared {
		return
	}
	length := max(len(c.data), (extent+blockSize-1)/blockSize*blockSize)
	if length > len(c.data) {
		// Small files stay small; larger ones get whole chunks.
		length = min(chunkSize, max(length, 2*len(c.data)))
		if roomy {
			length = chunkSize
		}
	}
	data := make([]byte, length)
	copy(data, c.data)
	c.data, c.shared = data, false
}

// remember copies the blocks in set from data to old. spare is a buffer to use
// for old, if large enough.
func (c *memChunk) remember(set blockSet, spare *[]byte) {
	if set == 0 {
		return
	}
	if c.old == nil {
		n := c.durable.extent()
		if cap(*spare) >= n {
			c.old, *spare = (*spare)[:n], nil
		} else {
			c.old = make([]byte, n)
		}
	}
	set.each(func(_ blockSet, from, to int) { copy(c.old[from:to], c.data[from:to]) })
}

// fill replaces the whole of an unmapped chunk by a copy of p.
func (c *memChunk) fill(p []byte, spare *[]byte) {
	c.remember(c.durable&^c.dirty, spare)
	c.dirty = ^blockSet(0)
	if len(c.data) == chunkSize && !c.shared {
		copy(c.data, p)
		return
	}
	c.data, c.shared = bytes.Clone(p), false // a clone is not zeroed first
}

// cut zeroes the chunk from the given byte on.
func (c *memChunk) cut(from int, spare *[]byte) {
	c.stored &^= blocksIn(int64(from+blockSize-1)/blockSize*blockSize, chunkSize)
	set := blocksIn(int64(from), chunkSize) & (c.durable | blocksIn(0, int64(len(c.data))))
	if from >= len(c.data) {
		from = len(c.data)
	}
	if from == 0 && !c.mapped {
		c.remember(set&c.durable&^c.dirty, spare)
		c.dirty |= set
		c.data, c.shared = nil, false
		return
	}
	c.touch(set, len(c.data), false, spare)
	var zeros [blockSize]byte
	for ; from < len(c.data); from += blockSize {
		c.copyIn(from, zeros[:min(blockSize, len(c.data)-from)])
	}
}

// commit makes the first limit bytes of an unmapped chunk durable.
func (c *memChunk) commit(limit int64, spare *[]byte) {
	c.durable = (c.durable | c.dirty) & blocksIn(0, min(limit, int64(len(c.data))))
	c.dirty = 0
	if c.old != nil {
		*spare, c.old = c.old, nil
	}
}

// commitBlocks makes some blocks of an unmapped chunk durable.
func (c *memChunk) commitBlocks(set blockSet) {
	set &= blocksIn(0, int64(len(c.data)))
	c.durable |= set & c.dirty
	c.dirty &^= set
	if n := c.durable.extent(); c.durable&c.dirty == 0 {
		c.old = nil
	} else if len(c.old) < n {
		old := make([]byte, n)
		copy(old, c.old)
		c.old = old
	}
}

// chunkScratch is room for a copy of what is in a mapped chunk. It is reused:
// crash tests map and unmap small files all the time.
type chunkScratch = [chunkSize]byte

var chunkScratches = sync.Pool{New: func() any { return new(chunkScratch) }}

// changed compares a mapped chunk with its durable state: the blocks that
// differ are dirty. It returns a copy of data, taken in scratch.
func (c *memChunk) changed(scratch *chunkScratch) (data []byte, dirty blockSet) {
	data = scratch[:len(c.data)]
	c.copyOut(data, 0)
	var zeros [blockSize]byte
	blocksIn(0, int64(len(data))).each(func(block blockSet, from, to int) {
		was := zeros[:]
		if c.durable&block != 0 {
			was = c.old[from:to]
		}
		if !bytes.Equal(data[from:to], was) {
			dirty |= block
		}
	})
	return data, dirty
}

// commitMapped makes those blocks of a mapped chunk durable that are in set.
func (c *memChunk) commitMapped(scratch *chunkScratch, set blockSet) {
	data, dirty := c.changed(scratch)
	dirty &= set
	durable := c.durable | dirty
	if n := durable.extent(); n != len(c.old) {
		old := make([]byte, n)
		copy(old, c.old)
		c.old = old
	}
	dirty.each(func(_ blockSet, from, to int) { copy(c.old[from:to], data[from:to]) })
	c.durable = durable
}

// copyIn and copyOut are copies to and from data. A mapped chunk is stored into
// by whoever holds the mapping, without a lock, as the hardware lets them; see
// copyUnseen.
func (c *memChunk) copyIn(from int, p []byte) {
	if c.mapped {
		copyUnseen(c.data[from:], p)
		return
	}
	copy(c.data[from:], p)
}

func (c *memChunk) copyOut(p []byte, from int) {
	if c.mapped {
		copyUnseen(p, c.data[from:])
		return
	}
	copy(p, c.data[from:])
}
