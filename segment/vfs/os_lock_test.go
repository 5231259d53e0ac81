package vfs

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A process that was forked and has not yet run its program has all descriptors:
// it keeps no lock that was given back.
func TestOSLockEndsBesideAFork(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	l, err := osLock(name)
	if err != nil {
		t.Fatal(err)
	}
	child, err := unix.Dup(int(l.(*osLockFile).file.Fd())) // as fork does
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(child) }()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := osLock(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
