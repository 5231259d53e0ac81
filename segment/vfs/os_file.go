package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// osFile is a [File] of the operating system. Reads go through os.File, which
// guards the descriptor against a racing Close; writes and syncs use the descriptor
// itself, because os.File.WriteAt does not say how much of a write that failed
// was done.
type osFile struct {
	file     *os.File
	name     string
	writable bool
}

func (f *osFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.file.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = opError(OpRead, f.name, err)
	}
	return n, err
}

// WriteAt allocates nothing for up to eight buffers. A single buffer takes the
// plain pwrite, which is a little cheaper than a vector of one.
func (f *osFile) WriteAt(bufs [][]byte, off int64) (int64, error) {
	if !f.writable {
		return 0, opError(OpWrite, f.name, errReadOnly)
	}
	if off < 0 {
		return 0, opError(OpWrite, f.name, syscall.EINVAL)
	}
	var written int64
	var err error
	if len(bufs) == 1 {
		written, err = writeOne(f.file, bufs[0], off)
	} else {
		written, err = writeVector(f.file, bufs, off)
	}
	if err != nil {
		err = opError(OpWrite, f.name, err)
	}
	return written, err
}

func (f *osFile) WriteDurable(p []byte, off int64) error {
	switch {
	case !f.writable:
		return opError(OpWriteDurable, f.name, errReadOnly)
	case off < 0:
		return opError(OpWriteDurable, f.name, syscall.EINVAL)
	}
	return opError(OpWriteDurable, f.name, writeDurable(f.file, p, off))
}

func (f *osFile) Sync() error { return opError(OpSync, f.name, syncData(f.file)) }

func (f *osFile) Truncate(size int64) error {
	if !f.writable {
		return opError(OpTruncate, f.name, errReadOnly)
	}
	return opError(OpTruncate, f.name, f.file.Truncate(size))
}

// Preallocate gives back what it reserved when the room does not suffice: a
// failed fallocate may have grown the file half way.
func (f *osFile) Preallocate(size int64) error {
	if !f.writable {
		return opError(OpPreallocate, f.name, errReadOnly)
	}
	if size < 0 {
		return opError(OpPreallocate, f.name, syscall.EINVAL)
	}
	before, err := f.Size()
	if err != nil || size == 0 {
		return err
	}
	if err := reserve(f.file, before, size); err != nil {
		if size > before {
			if undo := f.file.Truncate(before); undo != nil {
				err = fmt.Errorf("%w (giving back the room: %w)", cause(err), cause(undo))
			}
		}
		return opError(OpPreallocate, f.name, err)
	}
	return nil
}

func (f *osFile) Size() (int64, error) {
	info, err := f.file.Stat()
	if err != nil {
		return 0, opError(OpSize, f.name, err)
	}
	return info.Size(), nil
}

// Direct implements [File] with O_DIRECT.
func (f *osFile) Direct(via Via) (DirectFile, error) {
	if !f.writable {
		return nil, opError(OpDirect, f.name, errReadOnly)
	}
	d, err := osDirectOf(f, via)
	if err != nil {
		return nil, opError(OpDirect, f.name, err)
	}
	return d, nil
}

// Fd implements [File]. The os package leaves a regular file in blocking mode,
// and asking for the descriptor changes nothing about it.
func (f *osFile) Fd() (uintptr, bool) { return f.file.Fd(), true }

func (f *osFile) Name() string { return f.name }

func (f *osFile) Close() error { return opError(OpClose, f.name, f.file.Close()) }

// writeOne writes p at off and continues after a short write. An empty write
// succeeds without a system call.
func writeOne(file *os.File, p []byte, off int64) (written int64, err error) {
	for len(p) > 0 {
		// The kernel writes at most 2 GiB at a time; other systems refuse more.
		n, err := unix.Pwrite(int(file.Fd()), p[:min(len(p), 1<<30)], off+written)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return written, err
		}
		if n == 0 {
			return written, io.ErrShortWrite
		}
		written += int64(n)
		p = p[n:]
	}
	runtime.KeepAlive(file) // its finalizer would close the descriptor
	return written, nil
}

// fillZeros reserves room the slow way, for file systems without fallocate:
// zeros past the end, and one byte rewritten in each block below it that may
// be a hole. A byte that is not zero cannot lie in a hole and is left alone.
// A store through a mapping to a byte just being rewritten may get lost, so on
// such file systems nothing may be stored while Preallocate runs.
func fillZeros(file *os.File, before, size int64) error {
	const block = 4096
	var one [1]byte
	for off := int64(0); off < min(before, size); off += block {
		if _, err := file.ReadAt(one[:], off); err != nil {
			return err
		}
		if one[0] != 0 {
			continue
		}
		if _, err := file.WriteAt(one[:], off); err != nil {
			return err
		}
	}
	var zeros [16 * block]byte
	for off := before; off < size; {
		n, err := file.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}
