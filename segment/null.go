package segment

import (
	"context"
	"fmt"
	"io"
	"io/fs"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// nullSegment accepts bytes, counts them, and drops them: what is left of an
// append is the cost of everything but the medium, the baseline to hold the
// other designs against.
//
// Positions and Size are those of any other design, so a log on it appends,
// rolls, trims, retains and acknowledges like another. Nothing can be read back.
// A read of bytes that were appended fails with [ErrDropped].
//
// The ways not taken: to yield zeros, which a log takes for damage and reports
// as such; and to keep the first bytes of each append, where the engine's batch
// headers lie, so that offsets could be found. Memory would grow with the log,
// and what was found could still be sent to nobody, for no checksum would hold.
type nullSegment struct {
	span
	// sealed is owned by the appender.
	sealed bool
}

func openNull(_ vfs.FS, path string, o Options) (Segment, error) {
	if !o.Create {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("null segments keep nothing: %w", fs.ErrNotExist)}
	}
	if o.ReadOnly {
		return nil, fmt.Errorf("segment: %s: cannot be created for reading alone", path)
	}
	return &nullSegment{}, nil
}

// Append implements [Segment].
func (s *nullSegment) Append(bufs [][]byte) (int64, error) {
	if err := s.enterOnce(); err != nil {
		return 0, err
	}
	if s.sealed {
		return 0, ErrSealed
	}
	pos := s.size.Load()
	s.size.Store(pos + sum(bufs))
	return pos, nil
}

// Extent fails where there is anything to pin.
func (s *nullSegment) Extent(_ context.Context, pos, n int64) (Extent, error) {
	return Extent{}, s.dropped(pos, n)
}

// ReadAt fails where there is anything to read.
func (s *nullSegment) ReadAt(p []byte, pos int64) (int, error) {
	err := s.dropped(pos, int64(len(p)))
	if err == nil && len(p) > 0 {
		err = io.EOF
	}
	return 0, err
}

// dropped is the error for a range of which some bytes were appended.
func (s *nullSegment) dropped(pos, n int64) error {
	held, err := s.hold(pos, n)
	if held == 0 {
		return err
	}
	s.pin.Release(pos + held)
	return fmt.Errorf("%w: %d bytes at %d", ErrDropped, held, pos)
}

// Size implements [Segment].
func (s *nullSegment) Size() int64 { return s.size.Load() }

// Sync promises nothing: see Design.Durable.
func (s *nullSegment) Sync() error { return s.enterOnce() }

// Seal implements [Segment].
func (s *nullSegment) Seal() error {
	if err := s.enterOnce(); err != nil {
		return err
	}
	s.sealed = true
	return nil
}

// Truncate implements [Segment].
func (s *nullSegment) Truncate(size int64) error {
	if err := s.enterOnce(); err != nil {
		return err
	}
	if err := s.cut(size); err != nil {
		return err
	}
	s.sealed = false
	return nil
}

// Close implements [Segment].
func (s *nullSegment) Close() error { return s.pin.Close(func() error { return nil }) }
