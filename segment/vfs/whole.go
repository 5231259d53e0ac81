package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// SuffixTemp ends the name of a file that [ReplaceFile] has not renamed into
// place: what a crash leaves of one can be removed.
const SuffixTemp = ".tmp"

var (
	// ErrTooLarge says that a file has more bytes than it may have.
	ErrTooLarge = errors.New("file is too large")
	// ErrNotReplaced says that [ReplaceFile] failed before it changed the file.
	ErrNotReplaced = errors.New("the file is as it was")
)

// ReadFile reads a whole file of at most maxBytes. It fails with [ErrTooLarge]
// before it allocates anything.
func ReadFile(fsys FS, name string, maxBytes int64) ([]byte, error) {
	f, err := fsys.OpenRead(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > maxBytes {
		return nil, fmt.Errorf("%s: %w: %d bytes, %d at most", name, ErrTooLarge, size, maxBytes)
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); err != nil && (!errors.Is(err, io.EOF) || n < len(b)) {
		return nil, err
	}
	return b, nil
}

// WriteFile makes a new synced file of b, over what an earlier try left: a file
// that met a full disk or a failed sync is not trusted. The caller syncs the
// directory.
func WriteFile(fsys FS, name string, b []byte) (err error) {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteAt([][]byte{b}, 0); err != nil {
		return err
	}
	return f.Sync()
}

// ReplaceFile makes dir/name hold b. After a crash at any moment the file is the
// old one or the new one: b is written aside and synced, then renamed, and then
// the directory is synced. An [ErrNotReplaced] that is also an [ErrNoSpace] can be
// tried again.
func ReplaceFile(fsys FS, dir, name string, b []byte) error {
	temp := path.Join(dir, name+SuffixTemp)
	if err := WriteFile(fsys, temp, b); err != nil {
		return fmt.Errorf("%w: %w", ErrNotReplaced, err)
	}
	if err := fsys.Rename(temp, path.Join(dir, name)); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}
