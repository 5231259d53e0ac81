package vfs

import (
	"io/fs"
	"slices"
	"time"
)

// memEntry is what a name stands for: a file or a directory. The zero value
// stands for nothing.
type memEntry struct {
	dir  *memDir
	file *memInode
}

// memDir is a directory, guarded by Mem.mu. The live entries are the durable
// ones with all changes made in order.
type memDir struct {
	live    map[string]memEntry
	durable map[string]memEntry
	changes []*memChange // since the last sync; oldest first
}

// memChange is one unsynced change of one name: set, or removed if entry is
// zero.
type memChange struct {
	name  string
	entry memEntry
	// was is what a removal takes away. It does nothing to a name that stands
	// for something else by then.
	was memEntry
	// after is the change that gave a renamed file its new name, nil for a
	// plain removal. The old name goes only if the new one is there.
	after *memChange
	// durable is set when the change has become part of the durable entries.
	durable bool
}

func newMemDir() *memDir {
	return &memDir{live: map[string]memEntry{}, durable: map[string]memEntry{}}
}

// set lets name stand for entry.
func (d *memDir) set(name string, entry memEntry) *memChange {
	c := &memChange{name: name, entry: entry}
	c.apply(d.live)
	d.changes = append(d.changes, c)
	return c
}

// remove takes name away, after another change if it is half of a rename.
func (d *memDir) remove(name string, was memEntry, after *memChange) {
	c := &memChange{name: name, was: was, after: after}
	c.apply(d.live)
	d.changes = append(d.changes, c)
}

func (c *memChange) removal() bool { return c.entry == memEntry{} }

func (c *memChange) apply(entries map[string]memEntry) {
	switch {
	case !c.removal():
		entries[c.name] = c.entry
	case entries[c.name] == c.was:
		delete(entries, c.name)
	}
}

// sync makes the changes durable. What stays behind are old names of files
// whose new names, in other directories, are not durable yet.
func (d *memDir) sync() {
	var left []*memChange
	for _, c := range d.changes {
		if c.after != nil && !c.after.durable {
			left = append(left, c)
			continue
		}
		if !c.removal() {
			// A waiting removal of the same name is overtaken by this.
			left = slices.DeleteFunc(left, func(l *memChange) bool { return l.name == c.name })
		}
		c.apply(d.durable)
		c.durable = true
	}
	d.changes = left
}

// info describes the entry under the given base name. It needs Mem.mu.
func (e memEntry) info(name string) fs.FileInfo {
	if e.dir != nil {
		return memInfo{name: name, mode: fs.ModeDir | dirMode}
	}
	return memInfo{name: name, mode: fileMode, size: e.file.length()}
}

// memInfo is the [fs.FileInfo] of a memEntry.
type memInfo struct {
	name string
	mode fs.FileMode
	size int64
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return i.mode }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memInfo) Sys() any           { return nil }
