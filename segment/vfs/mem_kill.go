package vfs

import (
	"bytes"
	"maps"
	"slices"
)

// Kill returns what kill -9 of the process that uses m leaves: everything that
// was written, with nothing open, mapped or locked. It is a file system of its
// own; m goes on untouched. What was not synced is still not synced in it, so a
// Crash of the result can lose it.
func (m *Mem) Kill() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := kill{
		dirs:    map[*memDir]*memDir{},
		files:   map[*memInode]*memInode{},
		changes: map[*memChange]*memChange{},
	}
	after := &Mem{}
	after.mu.root = k.dir(m.mu.root)
	k.count(after.mu.root)
	after.space = m.space.fork(k.blocks)
	return after
}

// kill copies a tree in both its states. What was reached before, by another
// name or by another state, is not copied again.
type kill struct {
	dirs    map[*memDir]*memDir
	files   map[*memInode]*memInode
	changes map[*memChange]*memChange
	blocks  int64
}

func (k *kill) dir(d *memDir) *memDir {
	if d == nil {
		return nil
	}
	if to, ok := k.dirs[d]; ok {
		return to
	}
	to := newMemDir()
	k.dirs[d] = to
	for name, entry := range d.live {
		to.live[name] = k.entry(entry)
	}
	for name, entry := range d.durable {
		to.durable[name] = k.entry(entry)
	}
	for _, c := range d.changes {
		to.changes = append(to.changes, k.change(c))
	}
	return to
}

func (k *kill) entry(e memEntry) memEntry {
	return memEntry{dir: k.dir(e.dir), file: k.file(e.file)}
}

func (k *kill) change(c *memChange) *memChange {
	if c == nil {
		return nil
	}
	if to, ok := k.changes[c]; ok {
		return to
	}
	to := &memChange{name: c.name, durable: c.durable}
	k.changes[c] = to
	to.entry, to.was, to.after = k.entry(c.entry), k.entry(c.was), k.change(c.after)
	return to
}

func (k *kill) file(i *memInode) *memInode {
	if i == nil {
		return nil
	}
	if to, ok := k.files[i]; ok {
		return to
	}
	to := new(memInode)
	to.mu.content = i.mu.content.clone()
	k.files[i] = to
	return to
}

// count lets every file know its live names, and sums up their room.
func (k *kill) count(d *memDir) {
	for entry := range maps.Values(d.live) {
		if entry.dir != nil {
			k.count(entry.dir)
			continue
		}
		if entry.file.refs == 0 {
			k.blocks += entry.file.charged()
		}
		entry.file.refs++
	}
}

// clone copies both states, sharing the live bytes until either side changes
// them.
func (c *memContent) clone() memContent {
	to := memContent{
		size: c.size, durableSize: c.durableSize,
		reserved: c.reserved, durableReserved: c.durableReserved,
		chunks: slices.Clone(c.chunks),
	}
	scratch := chunkScratches.Get().(*chunkScratch)
	defer chunkScratches.Put(scratch)
	for i, chunk := range c.chunks {
		if chunk == nil {
			continue
		}
		copied := *chunk
		copied.old = bytes.Clone(chunk.old)
		if chunk.mapped {
			var data []byte
			data, copied.dirty = chunk.changed(scratch)
			copied.data, copied.mapped = bytes.Clone(data), false
		} else {
			chunk.shared, copied.shared = true, true
		}
		to.chunks[i] = &copied
		if copied.dirty != 0 {
			to.dirtied = append(to.dirtied, i)
		}
	}
	return to
}
