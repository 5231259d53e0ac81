package segment

import "github.com/bobbin-log/bobbin/segment/vfs"

// openUring opens a [directSegment] that hands its blocks over by an io_uring of
// its own, which it has from its first write until it is sealed or closed. Where
// the bytes may stay behind until a Sync, that is one system call: a write from
// registered memory, and an fdatasync that begins when it has succeeded.
//
// Appends that the kernel has to have at once are plain calls, as with `direct`.
func openUring(fs vfs.FS, path string, o Options) (Segment, error) {
	return openVia(fs, path, o, vfs.ViaRing)
}
