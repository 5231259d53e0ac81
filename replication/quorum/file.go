package quorum

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// castagnoli is CRC-32C's polynomial; it is never written to.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// suffixTemp is what the file is called that is to replace another.
const suffixTemp = ".tmp"

// errNoRoom says that the disk is full and that nothing was changed on it.
var errNoRoom = errors.New("nothing was changed")

// replaceFile makes dir/name hold b. After a crash at any moment the file is the
// old one or the new one: it is written aside and synced, then renamed, and then
// the directory is synced. With errNoRoom it can be tried again, which begins
// with another file: the one that met a full disk is not trusted.
func replaceFile(fsys vfs.FS, dir, name string, b []byte) error {
	temp := path.Join(dir, name+suffixTemp)
	if err := fsys.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeFile(fsys, temp, b); err != nil {
		if errors.Is(err, vfs.ErrNoSpace) {
			err = fmt.Errorf("%w: %w", errNoRoom, err)
		}
		return err
	}
	if err := fsys.Rename(temp, path.Join(dir, name)); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

func writeFile(fsys vfs.FS, name string, b []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt([][]byte{b}, 0); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// readFile reads a whole file of at most maxBytes.
func readFile(fsys vfs.FS, name string, maxBytes int64) ([]byte, error) {
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
		return nil, &engine.CorruptError{Path: name, Why: fmt.Sprintf("it has %d bytes, %d at most", size, maxBytes)}
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); err != nil && (!errors.Is(err, io.EOF) || n < len(b)) {
		return nil, err
	}
	return b, nil
}
