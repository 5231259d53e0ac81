package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// osLock locks name for as long as the file that it returns is open. flock
// belongs to the open file, not to the process, so a second attempt from the
// same process fails like any other.
func osLock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, opError(OpLock, name, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("%w%s", ErrLocked, holder(f))
		}
		return nil, errors.Join(opError(OpLock, name, err), f.Close())
	}
	// The id is a courtesy to whoever finds the lock taken. On a full disk it
	// cannot be written; the lock holds all the same.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &osLockFile{file: f, name: name}, nil
}

// holder words the process id found in a lock file, or nothing if there is
// none: the holder may not have written it yet.
func holder(f *os.File) string {
	var buf [20]byte
	n, _ := f.ReadAt(buf[:], 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil {
		return ""
	}
	if pid == os.Getpid() {
		return fmt.Sprintf(" (process %d, this one)", pid)
	}
	return fmt.Sprintf(" (process %d)", pid)
}

type osLockFile struct {
	file *os.File
	name string
}

// Close unlocks by name. Closing alone would leave the lock to a process that is
// being forked meanwhile, until it runs another program.
func (l *osLockFile) Close() error {
	_ = unix.Flock(int(l.file.Fd()), unix.LOCK_UN) // closing does it, too
	return opError(OpUnlock, l.name, l.file.Close())
}
