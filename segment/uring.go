package segment

import "github.com/bobbin-log/bobbin/segment/vfs"

// openUring opens a [directSegment] that hands its blocks over by an io_uring of
// its own, which it has from its first write until the Sync after it is sealed, or
// until it is closed. A Sync of what was not written yet is one system call: a write
// from registered memory, and an fdatasync that begins when it has succeeded. A Flush
// is a plain call, as with `direct`.
func openUring(fs vfs.FS, path string, o Options) (Segment, error) {
	return openVia(fs, path, o, vfs.ViaRing)
}
