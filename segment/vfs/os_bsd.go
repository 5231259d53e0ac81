//go:build darwin || freebsd || dragonfly

package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// writeVector writes one buffer after the other: correct, but a system call
// for each. Linux is where Bobbin has to be fast.
func writeVector(file *os.File, bufs [][]byte, off int64) (written int64, err error) {
	for _, buf := range bufs {
		n, err := writeOne(file, buf, off+written)
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func writeDurable(file *os.File, p []byte, off int64) error {
	if _, err := writeOne(file, p, off); err != nil {
		return err
	}
	return syncData(file)
}

// syncData is a full fsync (on Darwin F_FULLFSYNC): there is no fdatasync that
// can be relied on.
func syncData(file *os.File) error { return file.Sync() }

func reserve(file *os.File, before, size int64) error { return fillZeros(file, before, size) }

func osUsage(dir string) (Usage, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Usage{}, err
	}
	unit := uint64(s.Bsize)
	return Usage{Size: uint64(s.Blocks) * unit, Free: uint64(s.Bavail) * unit}, nil
}

func osDirectOf(*osFile, Via) (DirectFile, error) {
	return nil, unsupportedError{"writing around the page cache is built for Linux alone", errors.ErrUnsupported}
}

// Cached implements [PageCache].
func (f *osFile) Cached(_, n int64) int64 { return max(0, n) }

// Prefetch implements [PageCache].
func (f *osFile) Prefetch(_, _ int64) {}

// Evict implements [PageCache].
func (f *osFile) Evict(_, _ int64) {}
