package vfs

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Cached implements [PageCache] with cachestat(2) of Linux 6.5, which looks at the
// cache's own index and touches no page.
func (f *osFile) Cached(off, n int64) int64 {
	if n <= 0 || off < 0 {
		return 0
	}
	defer runtime.KeepAlive(f.file)
	page := int64(os.Getpagesize())
	first, last := off/page, (off+n-1)/page
	pages := last - first + 1
	var s unix.Cachestat_t
	r := unix.CachestatRange{Off: uint64(first * page), Len: uint64(pages * page)}
	if err := unix.Cachestat(uint(f.file.Fd()), &r, &s, 0); err != nil || s.Cache >= uint64(pages) {
		return n
	}
	return min(n, int64(s.Cache)*page)
}

// Prefetch implements [PageCache] with POSIX_FADV_WILLNEED.
func (f *osFile) Prefetch(off, n int64) { advise(f.file, off, n, unix.FADV_WILLNEED) }

// Evict implements [PageCache] with POSIX_FADV_DONTNEED.
func (f *osFile) Evict(off, n int64) { advise(f.file, off, n, unix.FADV_DONTNEED) }

func advise(file *os.File, off, n int64, advice int) {
	defer runtime.KeepAlive(file)
	_ = unix.Fadvise(int(file.Fd()), off, n, advice)
}
