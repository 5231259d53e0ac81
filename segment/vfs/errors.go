package vfs

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// errReadOnly is met by writing through a file that [FS.OpenRead] gave. The
// kernel's own answer, "bad file descriptor", sends readers the wrong way.
var errReadOnly error = readOnlyError{}

type readOnlyError struct{}

func (readOnlyError) Error() string { return "file was opened for reading only" }
func (readOnlyError) Unwrap() error { return fs.ErrPermission }

// noSpaceError keeps the errno, so that a log line can tell a full disk from
// an exhausted quota, and still is [ErrNoSpace] to errors.Is.
type noSpaceError struct{ cause error }

func (e noSpaceError) Error() string   { return e.cause.Error() }
func (e noSpaceError) Unwrap() []error { return []error{ErrNoSpace, e.cause} }

// OutOfFiles reports whether an operation failed because the process, or the
// machine, has too many files open. Nothing was done; it can be tried again when
// some are closed.
func OutOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// opError names the operation and the path of err, whatever the os package
// called them, so that every file system of this package words its errors
// alike. It returns nil for nil.
func opError(kind Kind, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: kind.String(), Path: path, Err: cause(err)}
}

// cause strips the os package's own wrapping and gives a full device its name.
func cause(err error) error {
	switch e := err.(type) { //nolint:errorlint // only the outermost wrapping comes off
	case *fs.PathError:
		return cause(e.Err)
	case *os.LinkError:
		return cause(e.Err)
	case *os.SyscallError:
		return cause(e.Err)
	}
	if errors.Is(err, syscall.EBADF) {
		// The descriptors are all ours and the mode is checked before, so this
		// can only be a file that was closed.
		return fs.ErrClosed
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return noSpaceError{err}
	}
	return err
}
