package vfs

import "sync"

// memInode is a file without its names.
type memInode struct {
	// refs counts the live name, the openings and the mappings; the room is
	// given back at zero. Guarded by Mem.mu.
	refs   int
	locked bool // guarded by Mem.mu

	mu struct {
		sync.RWMutex
		content memContent
	}
}

func (i *memInode) length() int64 {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.mu.content.size
}

// charged is the number of blocks that the file holds.
func (i *memInode) charged() int64 {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.mu.content.charged(0)
}
