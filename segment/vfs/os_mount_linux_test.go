package vfs_test

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func mountMemory(dir string, bytes int) error {
	return unix.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes))
}

// unmount does not mind who looks at the file system at the moment.
func unmount(dir string) error { return unix.Unmount(dir, unix.MNT_DETACH) }
