package vfs_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// TestOSPageCache evicts a file and brings some of it back. What a read returns is
// the same all the while.
func TestOSPageCache(t *testing.T) {
	const size = 1 << 20
	content := strings.Repeat("0123456789abcdef", size/16)
	f := create(t, vfs.OS{}, filepath.Join(t.TempDir(), "a"), content)
	defer f.Close()
	if n := f.Cached(0, size); n != size {
		t.Errorf("%d bytes of %d are cached after a write", n, size)
	}
	ok(t, f.Sync())
	f.Evict(0, size)
	if f.Cached(0, size) == size {
		t.Skip("this file system keeps everything in memory")
	}
	if n := f.Cached(0, size); n != 0 {
		t.Errorf("%d bytes are cached after they were evicted", n)
	}
	const from, n = 300_001, 100_000 // neither begins nor ends at a page
	f.Prefetch(from, n)
	last := make([]byte, 1)
	must(f.ReadAt(last, from+n-1))(t)
	if got := f.Cached(from, n); got != n {
		t.Errorf("%d bytes of %d are cached after they were fetched", got, n)
	}
	if got := f.Cached(0, size); got < n || got > size/2 {
		t.Errorf("%d bytes are cached after %d were fetched", got, n)
	}
	f.Prefetch(size, size) // past the end
	for _, none := range [][2]int64{{0, 0}, {0, -1}, {-1, 1}} {
		if got := f.Cached(none[0], none[1]); got != 0 {
			t.Errorf("%d bytes of %v are cached", got, none)
		}
	}
	if contentOf(t, f) != content {
		t.Error("the file reads differently")
	}
}

func TestMemIsCached(t *testing.T) {
	f := create(t, newMem(t), "/top/a", "abc")
	f.Evict(0, 3)
	f.Prefetch(0, 3)
	if n := f.Cached(0, 3); n != 3 {
		t.Errorf("%d bytes of 3 are in memory", n)
	}
}
