package vfs_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Whatever operation fails or is the last before a loss of power: the file is the
// old one or the new one, and an error that claims the old one is right.
func TestReplaceFile(t *testing.T) {
	older, newer := []byte("older"), bytes.Repeat([]byte("newer"), 2000)
	for n := 1; ; n++ {
		mem := vfs.NewMem()
		if err := errors.Join(mem.MkdirAll("/d"), mem.SyncDir("/"), vfs.ReplaceFile(mem, "/d", "f", older)); err != nil {
			t.Fatal(err)
		}
		count := 0
		err := vfs.ReplaceFile(vfs.NewInject(mem, func(op vfs.Op) error {
			if op.Kind.Changes() {
				count++
			}
			if count >= n {
				return syscall.EIO
			}
			return nil
		}), "/d", "f", newer)
		crashed := mem.Crash(rand.New(rand.NewPCG(uint64(n), 0)), 50)
		got, readErr := vfs.ReadFile(crashed, "/d/f", 1<<20)
		if readErr != nil {
			t.Fatalf("operation %d: %v", n, readErr)
		}
		if err == nil {
			if !bytes.Equal(got, newer) {
				t.Fatalf("no operation failed, and a crash leaves %d bytes", len(got))
			}
			return
		}
		if !bytes.Equal(got, older) && (!bytes.Equal(got, newer) || errors.Is(err, vfs.ErrNotReplaced)) {
			t.Errorf("operation %d (%v): %d bytes are there", n, err, len(got))
		}
	}
}

func TestReadFileTooLarge(t *testing.T) {
	mem := vfs.NewMem()
	if err := vfs.WriteFile(mem, "/f", []byte("four")); err != nil {
		t.Fatal(err)
	}
	if _, err := vfs.ReadFile(mem, "/f", 3); !errors.Is(err, vfs.ErrTooLarge) {
		t.Errorf("four bytes where three are allowed: %v", err)
	}
	if b, err := vfs.ReadFile(mem, "/f", 4); err != nil || string(b) != "four" {
		t.Errorf("%q, %v", b, err)
	}
}
