package vfs_test

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

func newMem(t testing.TB) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	ok(t, m.MkdirAll("/top/dir"))
	return m
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

// refused wants err to be one of target's kind and to name the operation and
// the path.
func refused(t testing.TB, err, target error, op, name string) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want %v", err, target)
	}
	if text := err.Error(); !strings.Contains(text, op) || !strings.Contains(text, name) {
		t.Fatalf("error %q does not name %q and %q", text, op, name)
	}
}

func create(t testing.TB, sys vfs.FS, name, content string) vfs.File {
	t.Helper()
	f, err := sys.Create(name)
	ok(t, err)
	if content != "" {
		write(t, f, content, 0)
	}
	return f
}

func write(t testing.TB, f vfs.File, content string, off int64) {
	t.Helper()
	n, err := f.WriteAt([][]byte{[]byte(content)}, off)
	ok(t, err)
	if n != int64(len(content)) {
		t.Fatalf("wrote %d bytes of %d without an error", n, len(content))
	}
}

// read returns the whole content of a file, or "-" if there is none.
func read(t testing.TB, sys vfs.FS, name string) string {
	t.Helper()
	f, err := sys.OpenRead(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "-"
	}
	ok(t, err)
	defer f.Close()
	return contentOf(t, f)
}

func contentOf(t testing.TB, f vfs.File) string {
	t.Helper()
	size, err := f.Size()
	ok(t, err)
	buf := make([]byte, size)
	if n, err := f.ReadAt(buf, 0); err != nil && (err != io.EOF || int64(n) != size) {
		t.Fatal(err)
	}
	return string(buf)
}

func list(t testing.TB, sys vfs.FS, dir string) string {
	t.Helper()
	entries, err := sys.ReadDir(dir)
	ok(t, err)
	var names []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}
