package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	fileMode = 0o644
	dirMode  = 0o755
)

// OS is the operating system's file system. Its zero value is ready for use.
// Files are opened with O_CLOEXEC; regular files are never put in non-blocking
// mode, so a descriptor from [File.Fd] behaves as one from open(2).
type OS struct{}

var _ FS = OS{}

// Create implements [FS] with O_CREAT|O_EXCL.
func (OS) Create(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, opError(OpCreate, name, err)
	}
	return &osFile{file: f, name: name, writable: true}, nil
}

// Open implements [FS].
func (OS) Open(name string) (File, error) { return osOpen(OpOpen, name, os.O_RDWR) }

// OpenRead implements [FS].
func (OS) OpenRead(name string) (File, error) { return osOpen(OpOpenRead, name, os.O_RDONLY) }

func osOpen(kind Kind, name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0)
	if err != nil {
		return nil, opError(kind, name, err)
	}
	// Linux opens a directory for reading without complaint and fails only
	// at the first read; the mistake is named here instead.
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, errors.Join(opError(kind, name, err), f.Close())
	}
	return &osFile{file: f, name: name, writable: flag != os.O_RDONLY}, nil
}

// Remove implements [FS].
func (OS) Remove(name string) error { return opError(OpRemove, name, os.Remove(name)) }

// RemoveAll implements [FS].
func (OS) RemoveAll(name string) error { return opError(OpRemoveAll, name, os.RemoveAll(name)) }

// Rename implements [FS] with rename(2). As everywhere in Go, a directory is
// never replaced.
func (OS) Rename(oldName, newName string) error {
	return renameError(oldName, newName, os.Rename(oldName, newName))
}

func renameError(oldName, newName string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: OpRename.String(), Old: oldName, New: newName, Err: cause(err)}
}

// MkdirAll implements [FS]. Each new directory is made durable before the next
// is made in it, so a crash leaves a path that is short, never one with a hole.
func (o OS) MkdirAll(dir string) error {
	dir = filepath.Clean(dir)
	info, err := os.Stat(dir)
	if err == nil {
		if !info.IsDir() {
			return opError(OpMkdirAll, dir, syscall.ENOTDIR)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return opError(OpMkdirAll, dir, err)
	}
	parent := filepath.Dir(dir)
	if err := o.MkdirAll(parent); err != nil {
		return err
	}
	// Someone else may have made dir in the meantime; they may not have
	// synced it yet, so it is synced here in either case.
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return opError(OpMkdirAll, dir, err)
	}
	return o.SyncDir(parent)
}

// ReadDir implements [FS].
func (OS) ReadDir(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	return entries, opError(OpReadDir, dir, err)
}

// Stat implements [FS].
func (OS) Stat(name string) (fs.FileInfo, error) {
	info, err := os.Stat(name)
	return info, opError(OpStat, name, err)
}

// SyncDir implements [FS] by fsync on the directory.
func (OS) SyncDir(dir string) error {
	d, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return opError(OpSyncDir, dir, err)
	}
	return opError(OpSyncDir, dir, errors.Join(d.Sync(), d.Close()))
}

// Lock implements [FS] with flock(2): the kernel releases it however the
// process ends. The file keeps the holder's process id for the error that a
// second taker gets; it is left in place when the lock is released, because
// removing it would race with the next taker.
func (OS) Lock(name string) (io.Closer, error) { return osLock(name) }

// Usage implements [FS]. Free counts what an unprivileged process may use.
func (OS) Usage(dir string) (Usage, error) {
	usage, err := osUsage(dir)
	return usage, opError(OpUsage, dir, err)
}
