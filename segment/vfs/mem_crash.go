package vfs

import (
	"maps"
	"math/rand/v2"
)

// Crash returns what a loss of power at this moment leaves on the disk, as a
// file system of its own; m goes on untouched. See [Mem] for the fault model.
//
// keepPercent is the chance of each unsynced block, length and directory entry
// to survive: 0 leaves exactly what was synced, 100 everything, and rng may be
// nil for these two. The same operations, seed and percentage leave the same
// disk. The cost is that of copying the unsynced blocks and the tree of names;
// contents that are whole are shared until either side changes them. Mapped memory
// changes unseen and is compared throughout, about 0.1 ms for each MiB: crash tests do well
// with small indexes.
//
// Nothing is open or locked in the new file system, all of it is durable, and
// the capacity is that of m.
func (m *Mem) Crash(rng *rand.Rand, keepPercent int) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := crash{rng: rng, keep: keepPercent, scratch: chunkScratches.Get().(*chunkScratch)}
	defer chunkScratches.Put(c.scratch)
	after := &Mem{}
	after.mu.root = c.dir(m.mu.root)
	after.space = m.space.fork(c.blocks)
	return after
}

// crash is one loss of power while it is worked out. It draws from rng in an
// order that depends on nothing but the tree.
type crash struct {
	rng    *rand.Rand
	keep   int                 // percent
	fates  map[*memChange]bool // of changes that others may depend on
	blocks int64               // charged by the surviving files
	files  map[*memInode]*memInode

	scratch *chunkScratch // for memChunk.changed
}

func (c *crash) survives() bool {
	switch {
	case c.keep <= 0:
		return false
	case c.keep >= 100:
		return true
	}
	return c.rng.IntN(100) < c.keep
}

// dir returns what survives of d and of all below it.
func (c *crash) dir(d *memDir) *memDir {
	entries := maps.Clone(d.durable)
	for _, change := range d.changes {
		if c.fate(change) {
			change.apply(entries)
		}
	}
	after := &memDir{live: entries}
	for _, name := range after.names() {
		switch entry := entries[name]; {
		case entry.dir != nil:
			entries[name] = memEntry{dir: c.dir(entry.dir)}
		default:
			entries[name] = memEntry{file: c.file(entry.file)}
		}
	}
	after.durable = maps.Clone(entries)
	return after
}

// fate decides whether a change survives, once for both halves of a rename.
func (c *crash) fate(change *memChange) bool {
	if change.after != nil && !change.after.durable {
		return c.fate(change.after)
	}
	if change.removal() {
		return c.survives()
	}
	if fate, ok := c.fates[change]; ok {
		return fate
	}
	if c.fates == nil {
		c.fates = map[*memChange]bool{}
	}
	fate := c.survives()
	c.fates[change] = fate
	return fate
}

// file returns what survives of a file; the same again if it is found by two
// names.
func (c *crash) file(i *memInode) *memInode {
	if after, ok := c.files[i]; ok {
		after.refs++
		return after
	}
	after := &memInode{refs: 1}
	c.content(&after.mu.content, &i.mu.content)
	c.blocks += after.mu.content.charged(0)
	if c.files == nil {
		c.files = map[*memInode]*memInode{}
	}
	c.files[i] = after
	return after
}

// content lets to be what survives of from. It holds Mem.mu for writing, so
// nothing but ReadAt looks at from.
func (c *crash) content(to, from *memContent) {
	to.size, to.reserved = from.durableSize, min(from.durableReserved, blocksOf(from.durableSize))
	if (from.size != from.durableSize || from.reserved != from.durableReserved) && c.survives() {
		to.size, to.reserved = from.size, from.reserved
	} else if grown := from.size - from.durableSize; grown > 0 && c.keep > 0 && c.rng.IntN(2) == 0 {
		to.size += c.rng.Int64N(grown)
	}
	to.durableSize, to.durableReserved = to.size, to.reserved
	n := min(len(from.chunks), int((to.size+chunkSize-1)/chunkSize))
	to.chunks = make([]*memChunk, n)
	made := make([]memChunk, n) // one allocation for all
	for i, chunk := range from.chunks[:n] {
		if chunk != nil {
			to.chunks[i] = &made[i]
			c.chunk(to.chunks[i], chunk, to.size-int64(i)*chunkSize)
		}
	}
}

// chunk lets to be what survives of the first limit bytes of from.
func (c *crash) chunk(to, from *memChunk, limit int64) {
	data, dirty := from.data, from.dirty
	if from.mapped {
		data, dirty = from.changed(c.scratch)
	}
	var lost blockSet
	dirty.each(func(block blockSet, _, _ int) {
		if !c.survives() {
			lost |= block
		}
	})
	inside := blocksIn(0, limit)
	to.stored = (from.stored&^lost | from.durable&lost) & inside
	if lost == 0 && !from.mapped && limit >= int64(len(data)) {
		from.shared, to.shared = true, true
		to.data = data
	} else {
		// What is neither durable nor dirty is zeros.
		to.data = make([]byte, ((from.durable | dirty) & inside).extent())
		copy(to.data, data)
		(lost & inside).each(func(block blockSet, start, end int) {
			if from.durable&block != 0 {
				copy(to.data[start:end], from.old[start:end])
			} else {
				clear(to.data[start:end])
			}
		})
		if limit < int64(len(to.data)) {
			clear(to.data[limit:])
		}
	}
	to.durable = blocksIn(0, int64(len(to.data)))
}
