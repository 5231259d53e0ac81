package vfs

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// osDirect is a [DirectFile] by O_DIRECT, written to by plain calls.
type osDirect struct {
	file *os.File
	name string
}

// osDirectOf opens f's file by way of its descriptor: another file may have the
// name by now. Where there is no memory for a ring it is written to by calls.
func osDirectOf(of *osFile, via Via) (DirectFile, error) {
	f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", of.file.Fd()), os.O_WRONLY|unix.O_DIRECT, 0)
	runtime.KeepAlive(of.file)
	switch {
	case errors.Is(err, unix.EINVAL):
		return nil, unsupportedError{"this file system has no O_DIRECT (choose a segment design without it)", cause(err)}
	case errors.Is(err, unix.ENOENT):
		return nil, unsupportedError{"O_DIRECT needs /proc, which is not mounted (choose a segment design without it)", cause(err)}
	case err != nil:
		return nil, err
	}
	d := osDirect{file: f, name: of.name}
	if via == ViaCalls {
		return &d, nil
	}
	r, err := newRing()
	if errors.Is(err, unix.ENOMEM) {
		// RLIMIT_MEMLOCK leaves no room, perhaps for the moment only: the kernel
		// gives back the memory of a ring some time after it was closed. No log has
		// to fail for that.
		return &d, nil
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &ringFile{osDirect: d, ring: r}, nil
}

func (d *osDirect) Buffer(n int) []byte { return Aligned(n) }

func (d *osDirect) WriteAt(bufs [][]byte, off int64) (written int64, err error) {
	if err := checkDirect(bufs, off); err != nil {
		return 0, opError(OpWrite, d.name, err)
	}
	for _, b := range bufs {
		n, err := writeOne(d.file, b, off+written)
		written += n
		if err != nil {
			return written, opError(OpWrite, d.name, err)
		}
	}
	return written, nil
}

func (d *osDirect) WriteSync(bufs [][]byte, off int64) (int64, error) {
	n, err := d.WriteAt(bufs, off)
	if err == nil {
		err = opError(OpSync, d.name, syncData(d.file))
	}
	return n, err
}

func (d *osDirect) Close() error { return opError(OpClose, d.name, d.file.Close()) }
func (d *osDirect) Name() string { return d.name }
