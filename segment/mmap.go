package segment

import (
	"errors"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// mmapSegment is a file like [fileSegment]'s, into which appends are copied
// through a shared mapping: no system call for an append, a page fault for each
// page.
//
//	0            Size          window          length
//	├── appended ──┼── reserved ──┼── reserved ──┤
//	               ↑ the next append is copied here
//
// Invariants:
//   - window ≤ length, and all of length is backed by blocks that were allocated
//     before it was mapped. A store can then never find the disk full, which
//     would kill the process with SIGBUS: room is asked for where an error can
//     be returned, by fallocate, some growth ahead of Size. On file systems that
//     write changed blocks elsewhere (btrfs, ZFS) no allocation promises that;
//     there this design is not for use;
//   - the file is never cut below window: Seal, Truncate and Close unmap first, and
//     the room of a sealed segment is given back by the Sync after;
//   - only the appender looks at the mapping. Readers get ranges of the file, out
//     of the same page cache, by sendfile or pread; no pin needs the mapping, so
//     that it may go and come at any time.
//
// After a crash the file may have zeros behind its last byte that counts, up to
// what was reserved. Whoever opens it has to find the end.
//
// Sync is fdatasync and not msync: Linux notes a page as dirty at the first store
// into it, so both write the same pages and commit the same journal, and
// fdatasync needs no mapping to hold still.
//
// What it costs: each first store into a page is a fault, and after every sync
// the pages are write-protected again, so that the next store into the last one
// is one more. Blocks that were allocated and never written are "unwritten" to
// ext4; the sync that writes them commits the journal to say that they are not,
// as the sync of a growing file does.
//
// A read error can still be a SIGBUS, if the page that Size lies in was evicted
// and is needed again for the next append. The way not taken is to look with
// mincore before each: it costs what the mapping was to save.
type mmapSegment struct {
	fileSegment
	// window is nil while nothing is mapped. Owned by the appender.
	window vfs.Mapping
}

func openMmap(fs vfs.FS, path string, o Options) (Segment, error) {
	s := &mmapSegment{}
	if err := s.open(fs, path, o); err != nil {
		return nil, err
	}
	return s, nil
}

// Append implements [Segment].
func (s *mmapSegment) Append(bufs [][]byte) (int64, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.pin.Release(0)
	if err := s.appendable(); err != nil {
		return 0, err
	}
	pos := s.size.Load()
	end := pos + sum(bufs)
	if s.window == nil || end > int64(len(s.window.Bytes())) {
		if err := s.extend(end); err != nil {
			return 0, err
		}
	}
	room := s.window.Bytes()[pos:end]
	for _, b := range bufs {
		room = room[copy(room, b):]
	}
	// Published after the copy: whoever sees the size can read the bytes.
	s.size.Store(end)
	return pos, nil
}

// extend has the window reach to end or further. A full disk changes nothing.
func (s *mmapSegment) extend(end int64) error {
	if end > s.length.Load() {
		if err := s.grow(end); err != nil {
			return err
		}
	}
	err := s.unmap()
	if err == nil {
		s.window, err = s.f.Map(s.length.Load())
	}
	if err != nil {
		return s.fail(err)
	}
	return nil
}

// unmap lets go of the window. What was stored stays in the page cache.
func (s *mmapSegment) unmap() error {
	if s.window == nil {
		return nil
	}
	window := s.window
	s.window = nil
	return window.Unmap()
}

// Seal implements [Segment].
func (s *mmapSegment) Seal() error {
	return s.unmapped(s.fileSegment.Seal)
}

// Truncate implements [Segment].
func (s *mmapSegment) Truncate(size int64) error {
	return s.unmapped(func() error { return s.fileSegment.Truncate(size) })
}

// unmapped runs act, which may shorten the file, with nothing mapped.
func (s *mmapSegment) unmapped(act func() error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.pin.Release(0)
	if err := s.unmap(); err != nil {
		return s.fail(err)
	}
	return act()
}

// Close implements [Segment].
func (s *mmapSegment) Close() error {
	return s.pin.Close(func() error { return errors.Join(s.unmap(), s.closeFile()) })
}
