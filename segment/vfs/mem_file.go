package vfs

import (
	"fmt"
	"io/fs"
	"sync/atomic"
	"syscall"
)

// memFile is one opening of an inode.
type memFile struct {
	mem      *Mem
	inode    *memInode
	name     string
	writable bool
	closed   atomic.Bool
}

// check refuses operations on a closed file and changes through a read-only
// one.
func (f *memFile) check(change bool) error {
	if f.closed.Load() {
		return fs.ErrClosed
	}
	if change && !f.writable {
		return errReadOnly
	}
	return nil
}

// change runs op with the inode's content to itself.
func (f *memFile) change(op func(*memInode) error) error {
	f.mem.mu.RLock()
	defer f.mem.mu.RUnlock()
	f.inode.mu.Lock()
	defer f.inode.mu.Unlock()
	return op(f.inode)
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check(false); err != nil {
		return 0, opError(OpRead, f.name, err)
	}
	if off < 0 {
		return 0, opError(OpRead, f.name, syscall.EINVAL)
	}
	f.inode.mu.RLock()
	defer f.inode.mu.RUnlock()
	return f.inode.mu.content.readAt(p, off)
}

func (f *memFile) WriteAt(bufs [][]byte, off int64) (int64, error) {
	err := f.check(true)
	if err == nil && off < 0 {
		err = syscall.EINVAL
	}
	if err != nil {
		return 0, opError(OpWrite, f.name, err)
	}
	// Without a closure: this is the broker's hot path in memory.
	f.mem.mu.RLock()
	f.inode.mu.Lock()
	written, err := f.inode.mu.content.writeAt(bufs, off, f.mem.space)
	f.inode.mu.Unlock()
	f.mem.mu.RUnlock()
	return written, opError(OpWrite, f.name, err)
}

func (f *memFile) WriteDurable(p []byte, off int64) error {
	err := f.check(true)
	if err == nil && off < 0 {
		err = syscall.EINVAL
	}
	if err == nil {
		err = f.change(func(i *memInode) error {
			n, err := i.mu.content.writeAt([][]byte{p}, off, f.mem.space)
			if err == nil {
				i.mu.content.syncRange(off, off+n)
			}
			return err
		})
	}
	return opError(OpWriteDurable, f.name, err)
}

func (f *memFile) Sync() error {
	err := f.check(false)
	if err == nil {
		err = f.change(func(i *memInode) error { i.mu.content.sync(); return nil })
	}
	return opError(OpSync, f.name, err)
}

func (f *memFile) Truncate(size int64) error {
	err := f.check(true)
	if err == nil && size < 0 {
		err = syscall.EINVAL
	}
	if err == nil {
		err = f.change(func(i *memInode) error { return i.mu.content.truncate(size, f.mem.space) })
	}
	return opError(OpTruncate, f.name, err)
}

func (f *memFile) Preallocate(size int64) error {
	err := f.check(true)
	if err == nil && size < 0 {
		err = syscall.EINVAL
	}
	if err == nil {
		err = f.change(func(i *memInode) error { return i.mu.content.preallocate(size, f.mem.space) })
	}
	return opError(OpPreallocate, f.name, err)
}

func (f *memFile) Size() (int64, error) {
	if err := f.check(false); err != nil {
		return 0, opError(OpSize, f.name, err)
	}
	return f.inode.length(), nil
}

// Map implements [File]. The memory of a file opened for reading can be written
// all the same; the operating system would kill the process.
func (f *memFile) Map(size int64) (Mapping, error) {
	if err := f.check(false); err != nil {
		return nil, opError(OpMap, f.name, err)
	}
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	f.inode.mu.Lock()
	defer f.inode.mu.Unlock()
	c := &f.inode.mu.content
	if err := checkMap(size, c.size); err != nil {
		return nil, opError(OpMap, f.name, err)
	}
	memory, err := c.mapMemory(size)
	if err != nil {
		return nil, opError(OpMap, f.name, fmt.Errorf("%w (limit of the memory file system)", err))
	}
	f.inode.refs++
	return &memMapping{mem: f.mem, inode: f.inode, name: f.name, memory: memory}, nil
}

// Fd implements [File]: memory has no descriptor.
func (f *memFile) Fd() (uintptr, bool) { return 0, false }

func (f *memFile) Name() string { return f.name }

func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return opError(OpClose, f.name, fs.ErrClosed)
	}
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	f.mem.release(f.inode)
	return nil
}

// Cached implements [PageCache].
func (f *memFile) Cached(_, n int64) int64 { return max(0, n) }

// Prefetch implements [PageCache].
func (f *memFile) Prefetch(_, _ int64) {}

// Evict implements [PageCache].
func (f *memFile) Evict(_, _ int64) {}
