package vfs_test

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func mountMemory(dir string, bytes int) error {
	return unix.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes))
}

func unmount(dir string) error { return unix.Unmount(dir, 0) }
