package vfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Mem is a file system in memory that can lose power. It carries a whole
// broker in tests and in the memory-only mode, so writes cost one copy and
// appends never move what is already there.
//
// # Fault model
//
// Every file and every directory has a live state, which operations see, and a
// durable state, which is on the disk. [Mem.Crash] gives a new file system with
// what a loss of power leaves of it; [Mem.Kill] one with what kill -9 leaves.
//
// Contents. The disk writes blocks of 512 bytes whole or not at all. Each block
// changed since the last [File.Sync] survives or is lost by itself, whatever was
// written before or after it: order counts for nothing. A lost block reads as
// it was at the last sync, or as zeros if it was not there. A block changed
// twice holds the first state or the last, never one in between.
//
// Length. A changed length survives or is lost by itself. A file that grew may
// also end anywhere in between. So a kept length over lost blocks shows zeros,
// and kept blocks past a lost length are gone.
//
// Directories. Each entry created or removed since the last [FS.SyncDir] of its
// directory survives or is lost by itself. A file that was synced vanishes if its
// entry is lost; an entry may survive to show an empty file; what was removed may
// come back, with the content that was durable. A rename is one change: the file
// is found by its old name or by its new one, and a file that it replaced is
// there if the rename is not. (A later change of such a name may be kept where
// the rename was lost, and then hides the file: changes of one name need a sync
// between.) When only the new directory was synced, the old name may be found as
// well; syncing only the old directory settles nothing. MkdirAll leaves its
// directories durable.
//
// Memory. A mapping is the live content itself. What is stored through it is
// unsynced like any other write until Flush or Sync, and blocks may reach the
// disk before.
//
// kill -9 loses nothing but the locks: the page cache survives, and what was not
// synced is still at the mercy of the next loss of power.
//
// Not modelled: a disk that lies about a sync or returns other bytes than were
// written. Use [Inject] for failing operations.
//
// # Contents
//
// A file is a list of chunks of 32 KiB, so growing copies nothing and holes cost
// nothing. Map moves what it maps into one contiguous piece and points the chunks
// into it; WriteAt, ReadAt and the mapping then see the same bytes. As a mapping
// cannot move, a second, larger one needs the first to be unmapped.
//
// Names are cleaned and taken from the root: "a/b" and "/a/b" are one file. There
// is no clock: every time stamp is zero.
type Mem struct {
	space *memSpace
	// mu is held for reading by whatever changes contents and for writing by
	// whatever changes names or takes a picture of the whole: a crash is one
	// instant for all files. Order: Mem.mu, memInode.mu, memSpace.mu.
	mu struct {
		sync.RWMutex
		root *memDir
	}
}

var _ FS = (*Mem)(nil)

// NewMem returns an empty file system of unlimited capacity. Its root exists.
func NewMem() *Mem {
	m := &Mem{space: newMemSpace()}
	m.mu.root = newMemDir()
	return m
}

// SetCapacity limits what the files may hold, in bytes rounded down to blocks
// of 512; negative means no limit. Writing more fails with [ErrNoSpace]. The limit
// may be moved at any time, also below what is in use: then nothing can be added
// until enough is removed or the limit rises.
func (m *Mem) SetCapacity(bytes int64) { m.space.setCapacity(bytes) }

// split gives the cleaned path's elements; none for the root.
func split(name string) []string {
	name = path.Clean("/" + name)[1:]
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

// dirOf walks to the directory of the last element. It needs mu.
func (m *Mem) dirOf(name string) (dir *memDir, base string, err error) {
	elements := split(name)
	if len(elements) == 0 {
		return nil, "", syscall.EBUSY // the root has no name that could change
	}
	last := len(elements) - 1
	dir, err = m.walk(elements[:last])
	return dir, elements[last], err
}

func (m *Mem) walk(elements []string) (*memDir, error) {
	dir := m.mu.root
	for _, e := range elements {
		entry, ok := dir.live[e]
		if !ok {
			return nil, fs.ErrNotExist
		}
		if entry.dir == nil {
			return nil, syscall.ENOTDIR
		}
		dir = entry.dir
	}
	return dir, nil
}

func (m *Mem) lookup(name string) (memEntry, error) {
	elements := split(name)
	if len(elements) == 0 {
		return memEntry{dir: m.mu.root}, nil
	}
	last := len(elements) - 1
	dir, err := m.walk(elements[:last])
	if err != nil {
		return memEntry{}, err
	}
	entry, ok := dir.live[elements[last]]
	if !ok {
		return memEntry{}, fs.ErrNotExist
	}
	return entry, nil
}

// Create implements [FS].
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	inode, err := m.create(name)
	if err != nil {
		return nil, opError(OpCreate, name, err)
	}
	return m.open(inode, name, true), nil
}

func (m *Mem) create(name string) (*memInode, error) {
	dir, base, err := m.dirOf(name)
	if errors.Is(err, syscall.EBUSY) {
		return nil, fs.ErrExist
	}
	if err != nil {
		return nil, err
	}
	if _, ok := dir.live[base]; ok {
		return nil, fs.ErrExist
	}
	inode := &memInode{refs: 1}
	dir.set(base, memEntry{file: inode})
	return inode, nil
}

func (m *Mem) open(inode *memInode, name string, writable bool) *memFile {
	inode.refs++
	return &memFile{mem: m, inode: inode, name: name, writable: writable}
}

// Open implements [FS].
func (m *Mem) Open(name string) (File, error) { return m.openExisting(OpOpen, name, true) }

// OpenRead implements [FS].
func (m *Mem) OpenRead(name string) (File, error) { return m.openExisting(OpOpenRead, name, false) }

func (m *Mem) openExisting(kind Kind, name string, writable bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	entry, err := m.lookup(name)
	if err == nil && entry.dir != nil {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, opError(kind, name, err)
	}
	return m.open(entry.file, name, writable), nil
}

// Remove implements [FS].
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.dirOf(name)
	if err != nil {
		return opError(OpRemove, name, err)
	}
	entry, ok := dir.live[base]
	if !ok {
		return opError(OpRemove, name, fs.ErrNotExist)
	}
	if entry.dir != nil && len(entry.dir.live) > 0 {
		return opError(OpRemove, name, syscall.ENOTEMPTY)
	}
	m.unlink(dir, base, entry)
	return nil
}

// unlink takes a name away; the file's room is free once nobody has it open.
func (m *Mem) unlink(dir *memDir, base string, entry memEntry) {
	dir.remove(base, entry, nil)
	if entry.file != nil {
		m.release(entry.file)
	}
}

// release drops one reference of inode. It needs mu for writing.
func (m *Mem) release(inode *memInode) {
	if inode.refs--; inode.refs == 0 {
		m.space.give(inode.charged())
	}
}

// RemoveAll implements [FS].
func (m *Mem) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.dirOf(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return opError(OpRemoveAll, name, err)
	}
	if entry, ok := dir.live[base]; ok {
		m.removeTree(dir, base, entry)
	}
	return nil
}

func (m *Mem) removeTree(dir *memDir, base string, entry memEntry) {
	if entry.dir != nil {
		for _, child := range entry.dir.names() {
			m.removeTree(entry.dir, child, entry.dir.live[child])
		}
	}
	m.unlink(dir, base, entry)
}

// Rename implements [FS].
func (m *Mem) Rename(oldName, newName string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return renameError(oldName, newName, m.rename(oldName, newName))
}

func (m *Mem) rename(oldName, newName string) error {
	oldDir, oldBase, err := m.dirOf(oldName)
	if err != nil {
		return err
	}
	newDir, newBase, err := m.dirOf(newName)
	if err != nil {
		return err
	}
	entry, ok := oldDir.live[oldBase]
	if !ok {
		return fs.ErrNotExist
	}
	target, taken := newDir.live[newBase]
	oldPath, newPath := path.Clean("/"+oldName), path.Clean("/"+newName)
	switch { // in the order in which Linux and the os package find fault
	case taken && target.dir != nil:
		return fs.ErrExist
	case entry.dir != nil && strings.HasPrefix(newPath, oldPath+"/"):
		return syscall.EINVAL
	case taken && entry.dir != nil:
		return syscall.ENOTDIR
	case oldPath == newPath:
		return nil
	}
	link := newDir.set(newBase, entry)
	oldDir.remove(oldBase, entry, link)
	if taken {
		m.release(target.file)
	}
	return nil
}

// MkdirAll implements [FS].
func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.mu.root
	for _, e := range split(dir) {
		entry, ok := at.live[e]
		if !ok {
			entry = memEntry{dir: newMemDir()}
			at.set(e, entry)
			at.sync()
		}
		if entry.dir == nil {
			return opError(OpMkdirAll, dir, syscall.ENOTDIR)
		}
		at = entry.dir
	}
	return nil
}

// ReadDir implements [FS].
func (m *Mem) ReadDir(dir string) ([]fs.DirEntry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	d, err := m.walk(split(dir))
	if err != nil {
		return nil, opError(OpReadDir, dir, err)
	}
	entries := make([]fs.DirEntry, 0, len(d.live))
	for _, name := range d.names() {
		entries = append(entries, fs.FileInfoToDirEntry(d.live[name].info(name)))
	}
	return entries, nil
}

// Stat implements [FS].
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	entry, err := m.lookup(name)
	if err != nil {
		return nil, opError(OpStat, name, err)
	}
	return entry.info(path.Base(path.Clean("/" + name))), nil
}

// SyncDir implements [FS].
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.walk(split(dir))
	if err != nil {
		return opError(OpSyncDir, dir, err)
	}
	d.sync()
	return nil
}

// Lock implements [FS]. The lock is on the file, not on the name, and ends with
// Close, a Crash or a Kill.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	entry, err := m.lookup(name)
	if errors.Is(err, fs.ErrNotExist) {
		entry.file, err = m.create(name)
	}
	if err == nil && entry.dir != nil {
		err = syscall.EISDIR
	}
	if err == nil && entry.file.locked {
		err = ErrLocked
	}
	if err != nil {
		return nil, opError(OpLock, name, err)
	}
	entry.file.locked = true
	return &memLock{mem: m, inode: entry.file, name: name}, nil
}

// Usage implements [FS]. Without a capacity the size is given as 1 PiB.
func (m *Mem) Usage(dir string) (Usage, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if _, err := m.walk(split(dir)); err != nil {
		return Usage{}, opError(OpUsage, dir, err)
	}
	return m.space.usage(), nil
}

// names lists the live entries in order.
func (d *memDir) names() []string { return slices.Sorted(maps.Keys(d.live)) }
