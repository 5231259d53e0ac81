package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// fileSegment keeps its bytes in one file, from the first byte of it on, and
// nothing else: a Kafka .log file is one. Append is one pwritev at Size; an
// Extent is a range of the file, for sendfile.
//
// What an error means is decided here once, for the engine and for every fault
// test:
//
//   - A write that finds the device full is undone: the file is cut back to
//     Size, and the same Append may be tried again when there is room.
//   - After any other failed write, or if undoing fails, nobody knows what the
//     file holds past Size. Append and Sync fail for good.
//   - After a failed sync the kernel has dropped pages that it could not write
//     and reports the error once: a second sync would lie. Append and Sync fail
//     for good.
//
// Bytes below Size can be read through all of that.
type fileSegment struct {
	span
	f        vfs.File
	readOnly bool

	// length is the file's own length, never less than what is written; what lies
	// past Size is reserved room, or bytes that do not count. Changed by the
	// appender, and once sealed by who holds syncing.
	length atomic.Int64
	// stale says that bytes past Size may be other than zero, so that they
	// must be cut off before anything is added. Owned as length is.
	stale bool
	// sealed is set by the appender.
	sealed atomic.Bool

	// failed is the first error that made the segment fail for good.
	failed atomic.Pointer[error]
	// syncing admits one Sync at a time: the kernel tells only one of two
	// callers that a sync failed. A channel, not a mutex: it is held across
	// I/O, which may wait in virtual time.
	syncing chan struct{}
	hardening
}

func openFile(fs vfs.FS, path string, o Options) (Segment, error) {
	s := &fileSegment{}
	if err := s.open(fs, path, o); err != nil {
		return nil, err
	}
	return s, nil
}

// open makes a zero fileSegment ready for use.
func (s *fileSegment) open(fs vfs.FS, path string, o Options) error {
	s.readOnly, s.syncing = o.ReadOnly, make(chan struct{}, 1)
	var err error
	switch {
	case o.Create && o.ReadOnly:
		return fmt.Errorf("segment: %s: cannot be created for reading alone", path)
	case o.Create:
		s.f, err = fs.Create(path)
	case o.ReadOnly:
		s.f, err = fs.OpenRead(path)
	default:
		s.f, err = fs.Open(path)
	}
	if err != nil {
		return err
	}
	if o.Create {
		if err := s.reserve(o.PreallocBytes); err != nil {
			// The name is ours: leave nothing in the way of the next try.
			return errors.Join(err, s.f.Close(), fs.Remove(path))
		}
		return nil
	}
	if err := s.adopt(path, o.Size); err != nil {
		return errors.Join(err, s.f.Close())
	}
	return nil
}

// reserve gives a new file its room.
func (s *fileSegment) reserve(bytes int64) error {
	if bytes <= 0 {
		return nil
	}
	if err := s.f.Preallocate(bytes); err != nil {
		return err
	}
	s.length.Store(bytes)
	return nil
}

// adopt takes over a file that is there: size bytes of it, or all.
func (s *fileSegment) adopt(path string, size int64) error {
	length, err := s.f.Size()
	if err != nil {
		return err
	}
	if size < 0 {
		size = length
	}
	if size > length {
		return fmt.Errorf("%w: %s has %d bytes, and %d should be there", ErrShort, path, length, size)
	}
	s.length.Store(length)
	s.size.Store(size)
	s.stale = size < length
	s.hard = -1
	return nil
}

// Growth is what an append reserves beyond what it needs, in bytes: as much as
// there is already, within these bounds.
const (
	minGrowthBytes = 64 << 10
	maxGrowthBytes = 16 << 20
)

// grow reserves room up to end, and some more for the appends to come if the disk
// has it. It is for designs that cannot write past what was reserved. A full disk
// changes nothing.
func (s *fileSegment) grow(end int64) error {
	const page = 4096 // file systems allocate no less
	need := (end + page - 1) / page * page
	target := need + growth(need)
	err := s.f.Preallocate(target)
	if errors.Is(err, vfs.ErrNoSpace) {
		target = need
		err = s.f.Preallocate(target)
	}
	switch {
	case errors.Is(err, vfs.ErrNoSpace):
		return err
	case err != nil:
		return s.fail(err)
	}
	s.length.Store(target)
	return nil
}

// growth is how much is reserved behind so many bytes.
func growth(bytes int64) int64 { return min(max(bytes, minGrowthBytes), maxGrowthBytes) }

// sum is the number of bytes in the buffers.
func sum(bufs [][]byte) (n int64) {
	for _, b := range bufs {
		n += int64(len(b))
	}
	return n
}

// Append implements [Segment].
func (s *fileSegment) Append(bufs [][]byte) (int64, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.pin.Release(0)
	if err := s.appendable(); err != nil {
		return 0, err
	}
	pos := s.size.Load()
	written, err := s.f.WriteAt(bufs, pos)
	s.length.Store(max(s.length.Load(), pos+written))
	if err != nil {
		return 0, s.undo(pos, written, err)
	}
	// Published after the write: whoever sees the size can read the bytes.
	s.size.Store(pos + written)
	return pos, nil
}

// appendable says why nothing can be added, and makes room at the end if bytes
// that do not count are in the way.
func (s *fileSegment) appendable() error {
	if err := s.ended(); err != nil {
		return err
	}
	if s.stale {
		return s.trim()
	}
	return nil
}

// ended says why nothing can be added.
func (s *fileSegment) ended() error {
	if s.readOnly || s.sealed.Load() {
		return fmt.Errorf("%w: %s", ErrSealed, s.f.Name())
	}
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// undo takes back a write that failed half way.
func (s *fileSegment) undo(pos, written int64, err error) error {
	if !errors.Is(err, vfs.ErrNoSpace) {
		return s.fail(err)
	}
	if written == 0 {
		return err
	}
	if back := s.f.Truncate(pos); back != nil {
		return s.fail(errors.Join(err, back))
	}
	s.length.Store(pos)
	return err
}

// trim cuts off everything past Size. Nobody holds an Extent there.
func (s *fileSegment) trim() error {
	size := s.size.Load()
	if s.length.Load() > size {
		if err := s.f.Truncate(size); err != nil {
			return s.fail(err)
		}
		s.length.Store(size)
	}
	s.stale = false
	return nil
}

// fail makes err, or the error that came before it, the end of all writing.
func (s *fileSegment) fail(err error) error {
	err = fmt.Errorf("segment: failed for good: %w", err)
	s.failed.CompareAndSwap(nil, &err)
	return *s.failed.Load()
}

// Extent ignores ctx: nothing of a file is ever waited for here.
func (s *fileSegment) Extent(_ context.Context, pos, n int64) (Extent, error) {
	held, err := s.hold(pos, n)
	if held == 0 {
		return Extent{}, err
	}
	return FileExtent(s.f, pos, held, &s.pin, pos+held), nil
}

// ReadAt implements [Segment].
func (s *fileSegment) ReadAt(p []byte, pos int64) (int, error) {
	held, err := s.hold(pos, int64(len(p)))
	if err != nil {
		return 0, err
	}
	n := 0
	if held > 0 {
		n, err = s.f.ReadAt(p[:held], pos)
		s.pin.Release(pos + held)
	}
	switch {
	case errors.Is(err, io.EOF) && int64(n) < held:
		// The file is shorter than Size: somebody else has cut it.
		return n, io.ErrUnexpectedEOF
	case err != nil && !errors.Is(err, io.EOF):
		return n, err
	case n < len(p):
		return n, io.EOF
	}
	return n, nil
}

// Size implements [Segment].
func (s *fileSegment) Size() int64 { return s.size.Load() }

// Sync implements [Segment].
func (s *fileSegment) Sync() error {
	if err := s.beginSync(); err != nil {
		return err
	}
	defer s.endSync()
	return s.sync(s.size.Load())
}

// beginSync waits until the caller is the one that syncs; it ends with endSync. It
// fails if there is nothing to be hoped for from a sync any more.
func (s *fileSegment) beginSync() error {
	if err := s.enter(); err != nil {
		return err
	}
	s.syncing <- struct{}{}
	if err := s.failed.Load(); err != nil {
		s.endSync()
		return *err
	}
	return nil
}

func (s *fileSegment) endSync() {
	<-s.syncing
	s.pin.Release(0)
}

// sync makes the bytes below size durable, and with them all that is in the file,
// and gives back the room of a sealed segment. The caller holds syncing.
func (s *fileSegment) sync(size int64) error {
	if s.sealed.Load() {
		if err := s.trim(); err != nil {
			return err
		}
	}
	if err := s.f.Sync(); err != nil {
		return s.fail(err)
	}
	s.hard = size
	return nil
}

// Seal implements [Segment].
func (s *fileSegment) Seal() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.pin.Release(0)
	if s.readOnly {
		return fmt.Errorf("%w: %s", ErrSealed, s.f.Name())
	}
	s.sealed.Store(true)
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Truncate implements [Segment].
func (s *fileSegment) Truncate(size int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.pin.Release(0)
	if s.readOnly {
		return fmt.Errorf("%w: %s", ErrSealed, s.f.Name())
	}
	if err := s.failed.Load(); err != nil {
		return *err
	}
	if err := s.cut(size); err != nil {
		return err
	}
	s.syncing <- struct{}{}
	defer func() { <-s.syncing }()
	s.sealed.Store(false)
	s.hard = -1 // the shorter length has to become durable, too
	return s.trim()
}

// Close implements [Segment].
func (s *fileSegment) Close() error { return s.pin.Close(s.closeFile) }

// closeFile gives the file back, without the room that was reserved for appends
// that never came. What was found past Size when it was opened stays as it is, unless
// the segment was sealed.
func (s *fileSegment) closeFile() error {
	var err error
	if !s.readOnly && (!s.stale || s.sealed.Load()) && s.failed.Load() == nil {
		err = s.trim()
	}
	return errors.Join(err, s.f.Close())
}
