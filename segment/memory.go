package segment

import (
	"context"
	"fmt"
	"io"
	"io/fs"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// memorySegment keeps its bytes in memory and loses them with the process. It
// shows what the disk costs, and holds logs that need not survive. An Extent ends
// with its chunk; see [chunkList].
type memorySegment struct {
	span
	chunks chunkList
	// sealed is owned by the appender.
	sealed bool
}

func openMemory(_ vfs.FS, path string, o Options) (Segment, error) {
	if !o.Create {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("memory segments end with the process: %w", fs.ErrNotExist)}
	}
	if o.ReadOnly {
		return nil, fmt.Errorf("segment: %s: cannot be created for reading alone", path)
	}
	return &memorySegment{}, nil
}

// Append implements [Segment].
func (s *memorySegment) Append(bufs [][]byte) (int64, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.pin.Release(0)
	if s.sealed {
		return 0, ErrSealed
	}
	n := int(sum(bufs))
	pos := s.size.Load()
	if n == 0 {
		return pos, nil
	}
	room := s.chunks.room(pos, n)
	for _, b := range bufs {
		room = room[copy(room, b):]
	}
	// Published after the copy: whoever sees the size can read the bytes.
	s.size.Store(pos + int64(n))
	return pos, nil
}

// Extent implements [Segment].
func (s *memorySegment) Extent(_ context.Context, pos, n int64) (Extent, error) {
	held, err := s.hold(pos, n)
	if held == 0 {
		return Extent{}, err
	}
	return MemoryExtent(at(s.chunks.load(), pos, held), &s.pin, pos+held), nil
}

// ReadAt implements [Segment].
func (s *memorySegment) ReadAt(p []byte, pos int64) (int, error) {
	held, err := s.hold(pos, int64(len(p)))
	if err != nil {
		return 0, err
	}
	if held > 0 {
		copyOf(p[:held], s.chunks.load(), pos)
		s.pin.Release(pos + held)
	}
	if held < int64(len(p)) {
		err = io.EOF
	}
	return int(held), err
}

// Size implements [Segment].
func (s *memorySegment) Size() int64 { return s.size.Load() }

// Sync promises nothing: see Design.Durable.
func (s *memorySegment) Sync() error { return s.enterOnce() }

// Seal gives back the unused room of the last chunk, by moving what is used.
func (s *memorySegment) Seal() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.pin.Release(0)
	if s.sealed {
		return nil
	}
	s.sealed = true
	s.chunks.clip(s.size.Load())
	return nil
}

// Truncate implements [Segment].
func (s *memorySegment) Truncate(size int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.pin.Release(0)
	if err := s.cut(size); err != nil {
		return err
	}
	s.sealed = false
	s.chunks.cut(size)
	return nil
}

// Close drops the list; Extents that are still out keep their own chunks.
func (s *memorySegment) Close() error {
	return s.pin.Close(func() error {
		s.chunks.cut(0)
		return nil
	})
}
