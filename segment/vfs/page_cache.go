package vfs

// PageCache is what can be asked, and told, about the bytes of a file that the
// system has in memory. All of it is advice: it changes what a read costs, never
// what it returns, and so it has no errors. A system that takes no advice says
// that everything is cached, and does nothing.
type PageCache interface {
	// Cached is how many of the bytes [off, off+n) a read would find in memory.
	// They may be gone a moment later.
	Cached(off, n int64) int64
	// Prefetch begins to bring the bytes [off, off+n) into memory and returns
	// without waiting for them. What is there already costs nothing, and what
	// lies past the end of the file is left out.
	Prefetch(off, n int64)
	// Evict drops the bytes [off, off+n) from memory, but for those that were
	// not written back yet.
	Evict(off, n int64)
}
