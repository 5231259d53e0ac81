package vfs

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The fallback for file systems without fallocate, which the machines that run
// the tests do not have.
func TestFillZeros(t *testing.T) {
	const before, size = 50_000, 150_001
	f, err := os.Create(filepath.Join(t.TempDir(), "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := make([]byte, size)
	copy(want[20_000:], "in the middle of a hole")
	if _, err := f.WriteAt(want[20_000:20_100], 20_000); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(before); err != nil {
		t.Fatal(err)
	}
	if err := fillZeros(f, before, size); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(f.Name())
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("content of %d bytes differs from the %d wanted: %v", len(got), len(want), err)
	}
	if err := f.Sync(); err != nil { // has late allocation done
		t.Fatal(err)
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	if stat.Blocks*512 < size {
		t.Errorf("%d bytes are backed by blocks, want %d", stat.Blocks*512, size)
	}
}
