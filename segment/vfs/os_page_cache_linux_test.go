package vfs_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// tries is how often something is asked of the page cache that it may refuse: a page
// that the kernel is busy with stays, and one that nobody reads may go at any time.
const tries = 100

// evict takes a file out of the page cache, and returns how much of it stays.
func evict(f vfs.File, size int64) (left int64) {
	for range tries {
		f.Evict(0, size)
		if left = f.Cached(0, size); left == 0 {
			break
		}
	}
	return left
}

// TestOSPageCache evicts a file and brings some of it back. What a read returns is
// the same all the while.
func TestOSPageCache(t *testing.T) {
	const size = 1 << 20
	content := strings.Repeat("0123456789abcdef", size/16)
	f := create(t, vfs.OS{}, filepath.Join(t.TempDir(), "a"), content)
	defer f.Close()
	ok(t, f.Sync())
	switch left := evict(f, size); {
	case left == size:
		t.Skip("this file system keeps everything in memory")
	case left > 0:
		t.Errorf("%d bytes are cached after they were evicted", left)
	}
	const from, n = 300_001, 100_000 // neither begins nor ends at a page
	fetched := int64(0)
	for i := 0; i < tries && fetched != n; i++ {
		evict(f, size)
		f.Prefetch(from, n)
		fetched = f.Cached(from, n)
	}
	if fetched != n {
		t.Errorf("%d bytes of %d are cached after they were fetched", fetched, n)
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
