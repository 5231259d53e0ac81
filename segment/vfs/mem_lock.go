package vfs

import "io/fs"

// memLock is a lock taken by [Mem.Lock].
type memLock struct {
	mem   *Mem
	inode *memInode // nil once released; guarded by mem.mu
	name  string
}

func (l *memLock) Close() error {
	l.mem.mu.Lock()
	defer l.mem.mu.Unlock()
	if l.inode == nil {
		return opError(OpUnlock, l.name, fs.ErrClosed)
	}
	l.inode.locked = false
	l.inode = nil
	return nil
}
