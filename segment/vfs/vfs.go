// Package vfs is Bobbin's only door to the disk. Everything that is stored
// goes through an [FS]: the operating system ([OS]), a memory file system that
// can lose power ([Mem]), and wrappers that inject faults ([Inject]) or write
// down every operation ([Trace]).
//
// The package promises no more than POSIX does. Bytes written are in the page
// cache until [File.Sync]; a name created, renamed or removed is in the
// directory's cache until [FS.SyncDir]. A crash may keep or lose, independently,
// every block and every directory entry that was not synced.
package vfs

import (
	"errors"
	"io"
	"io/fs"
)

// FS is a tree of files. All methods may be called concurrently. Names are
// slash-separated paths as the operating system takes them. Errors wrap
// [fs.ErrNotExist], [fs.ErrExist], [ErrNoSpace] and [ErrLocked] where these
// apply, and name the operation and the path.
type FS interface {
	// Create makes a new, empty file and opens it for reading and writing. It
	// fails with [fs.ErrExist] if the name is taken: nothing is ever
	// overwritten by mistake. The new name is durable after SyncDir on its
	// directory, not before.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// OpenRead opens an existing file for reading only.
	OpenRead(name string) (File, error)
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// RemoveAll removes name and everything below it; no error if absent.
	RemoveAll(name string) error
	// Rename replaces newName by oldName atomically for every observer. After
	// a crash either name may be found until SyncDir was called on the
	// directories of both.
	Rename(oldName, newName string) error
	// MkdirAll makes dir and its missing parents, and syncs the directories
	// that hold the new names.
	MkdirAll(dir string) error
	// ReadDir lists dir, sorted by name.
	ReadDir(dir string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the entries of dir durable: what was created in, renamed
	// into or removed from it.
	SyncDir(dir string) error
	// Lock takes an exclusive lock on the file name, creating it if absent, for
	// the life of the process or until closed. It fails at once with
	// [ErrLocked] if someone else holds it.
	Lock(name string) (io.Closer, error)
	// Usage reports the size and the free bytes of the file system below dir.
	Usage(dir string) (Usage, error)
}

// File is an open file. ReadAt may be called concurrently with everything but
// Close. At most one of WriteAt, Truncate and Preallocate runs at a time, and
// they may run beside Sync.
type File interface {
	io.ReaderAt
	io.Closer
	PageCache
	// WriteAt writes the buffers one after the other from off (pwritev). It
	// retries a short write until all is written or an error is met; written
	// says how many bytes reached the page cache even then.
	WriteAt(bufs [][]byte, off int64) (written int64, err error)
	// WriteDurable writes p at off; when it returns without an error these bytes
	// survive a loss of power, and a length that reaches to their end, as after a
	// write by a descriptor that was opened with O_DSYNC (pwritev2, RWF_DSYNC).
	// Nothing else does. It may run beside WriteAt of other bytes. After an error
	// nothing is known of the bytes: see Sync.
	WriteDurable(p []byte, off int64) error
	// Sync makes every byte written before the call durable, with the file's
	// length (fdatasync). After an error the caller must not trust a later
	// success: the kernel drops the dirty pages that it failed to write.
	Sync() error
	// Truncate sets the length.
	Truncate(size int64) error
	// Preallocate reserves blocks up to size and grows the length to it; the
	// new bytes read as zero. After it, writing below size, also through a
	// Mapping, cannot fail for want of room.
	Preallocate(size int64) error
	Size() (int64, error)
	// Map maps the first size bytes, shared and writable (read-only if the
	// file was opened by OpenRead). size must not exceed the file's length,
	// and the file must not be truncated below it while mapped: touching a
	// page past the end kills the process.
	Map(size int64) (Mapping, error)
	// Direct opens the same file, whatever its name is by now, for writing around
	// the page cache. Where the system cannot do it that way the error is
	// [errors.ErrUnsupported].
	Direct(via Via) (DirectFile, error)
	// Fd returns the descriptor to hand to sendfile, and false for files that
	// have none. It stays valid until Close. The caller must not use or move
	// the descriptor's own file position.
	Fd() (uintptr, bool)
	// Name returns the path that the file was opened by.
	Name() string
}

// Mapping is a shared mapping of a file's first bytes.
type Mapping interface {
	// Bytes is the mapped memory; invalid after Unmap.
	Bytes() []byte
	// Flush makes the bytes stored so far durable (msync).
	Flush() error
	Unmap() error
}

// Usage is the room on a file system, in bytes.
type Usage struct{ Size, Free uint64 }

var (
	// ErrNoSpace says that the device is full. The write was done partly or
	// not at all; it can be tried again when there is room.
	ErrNoSpace = errors.New("no space left on device")
	// ErrLocked says that another process, or another part of this one, holds
	// the lock.
	ErrLocked = errors.New("locked by another process")
)
