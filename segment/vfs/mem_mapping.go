package vfs

import "io/fs"

// memMapping is a [Mapping] of a memory file: a slice of the live content.
type memMapping struct {
	mem    *Mem
	inode  *memInode // nil once unmapped; guarded by mem.mu
	name   string
	memory []byte
}

func (m *memMapping) Bytes() []byte { return m.memory }

func (m *memMapping) Flush() error {
	m.mem.mu.RLock()
	defer m.mem.mu.RUnlock()
	if m.inode == nil {
		return opError(OpFlush, m.name, fs.ErrClosed)
	}
	m.inode.mu.Lock()
	defer m.inode.mu.Unlock()
	// The kernel's msync syncs the whole file here too, as far as anyone may
	// rely on; the length needs it.
	m.inode.mu.content.sync()
	return nil
}

func (m *memMapping) Unmap() error {
	m.mem.mu.Lock()
	defer m.mem.mu.Unlock()
	if m.inode == nil {
		return nil
	}
	m.inode.mu.Lock()
	m.inode.mu.content.unmap(int64(len(m.memory)))
	m.inode.mu.Unlock()
	m.mem.release(m.inode)
	m.inode, m.memory = nil, nil
	return nil
}
