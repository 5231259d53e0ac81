package vfs

import (
	"errors"
	"io"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// maxVector is IOV_MAX of Linux: more buffers than this in one pwritev fail
// with EINVAL.
const maxVector = 1024

// writeVector writes bufs from off by pwritev and continues after a short
// write, which a full disk, a signal or the kernel's cap of 2 GiB a call may
// cause. It never changes bufs.
func writeVector(file *os.File, bufs [][]byte, off int64) (written int64, err error) {
	for len(bufs) > 0 {
		n, err := unix.Pwritev(int(file.Fd()), bufs[:min(len(bufs), maxVector)], off+written)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return written, err
		}
		written += int64(n)
		progress := n > 0
		for len(bufs) > 0 && n >= len(bufs[0]) {
			n -= len(bufs[0])
			bufs = bufs[1:]
			progress = true
		}
		if !progress {
			return written, io.ErrShortWrite
		}
		if n > 0 { // the write ended inside bufs[0]
			m, err := writeOne(file, bufs[0][n:], off+written)
			written += m
			if err != nil {
				return written, err
			}
			bufs = bufs[1:]
		}
	}
	runtime.KeepAlive(file) // its finalizer would close the descriptor
	return written, nil
}

// writeDurable is a pwrite that is durable when it returns, as if the file had
// been opened with O_DSYNC. A kernel or a file system that does not know the flag
// gets a write and a sync.
func writeDurable(file *os.File, p []byte, off int64) error {
	defer runtime.KeepAlive(file)
	var iov [1][]byte
	for len(p) > 0 {
		iov[0] = p[:min(len(p), 1<<30)]
		n, err := unix.Pwritev2(int(file.Fd()), iov[:], off, unix.RWF_DSYNC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS):
			if _, err := writeOne(file, p, off); err != nil {
				return err
			}
			return syncData(file)
		case err != nil:
			return err
		case n == 0:
			return io.ErrShortWrite
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// syncData is fdatasync: the data and what is needed to read them back, the
// length above all, but not the time stamps.
func syncData(file *os.File) error {
	defer runtime.KeepAlive(file)
	return retry(func() error { return unix.Fdatasync(int(file.Fd())) })
}

// reserve grows file from before to size bytes, all backed by blocks.
func reserve(file *os.File, before, size int64) error {
	defer runtime.KeepAlive(file)
	err := retry(func() error { return unix.Fallocate(int(file.Fd()), 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return fillZeros(file, before, size)
	}
	return err
}

// retry repeats a call that a signal interrupted. The Go runtime sends itself
// signals to preempt goroutines, so slow calls do meet EINTR.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func osUsage(dir string) (Usage, error) {
	var s unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(dir, &s) }); err != nil {
		return Usage{}, err
	}
	unit := uint64(s.Frsize)
	return Usage{Size: s.Blocks * unit, Free: s.Bavail * unit}, nil
}
