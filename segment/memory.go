package segment

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Chunks start small, for the many logs that stay small, and double up to a
// size at which the copying of the list of chunks no longer counts.
const (
	minChunkBytes = 4 << 10
	maxChunkBytes = 1 << 20
)

// memorySegment keeps its bytes in memory and loses them with the process. It
// shows what the disk costs, and holds logs that need not survive.
//
// The bytes lie in chunks. All of one Append lies in one chunk, which is made
// as large as that needs, so that an Extent that starts at an Append has all of
// it; what it skips at the end of the chunk before is lost room. An Extent ends
// with its chunk. Memory goes back to the collector when neither the list of
// chunks nor an Extent refers to it.
type memorySegment struct {
	span

	// chunks is the list of all chunks, in order and without gaps. A list is
	// never changed once stored, except past its length or past size, where no
	// reader looks: they pin a range below size first, and then load the list,
	// which was stored before that size was.
	chunks atomic.Pointer[[]chunk]
	// sealed is owned by the appender.
	sealed bool
}

// chunk is a piece of the segment.
type chunk struct {
	pos int64 // of the chunk's first byte in the segment
	// mem is the whole room. How much of it is used follows from the next
	// chunk's pos, or from size for the last one.
	mem []byte
}

func openMemory(_ vfs.FS, path string, o Options) (Segment, error) {
	if !o.Create {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("memory segments end with the process: %w", fs.ErrNotExist)}
	}
	if o.ReadOnly {
		return nil, fmt.Errorf("segment: %s: cannot be created for reading alone", path)
	}
	s := &memorySegment{}
	s.chunks.Store(&[]chunk{})
	return s, nil
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
	room := s.room(pos, n)
	for _, b := range bufs {
		room = room[copy(room, b):]
	}
	// Published after the copy: whoever sees the size can read the bytes.
	s.size.Store(pos + int64(n))
	return pos, nil
}

// room returns n free bytes or more for the position pos, the end.
func (s *memorySegment) room(pos int64, n int) []byte {
	chunks := *s.chunks.Load()
	next := minChunkBytes
	if len(chunks) > 0 {
		last := chunks[len(chunks)-1]
		if free := last.mem[pos-last.pos:]; len(free) >= n {
			return free
		}
		next = min(2*len(last.mem), maxChunkBytes)
	}
	c := chunk{pos: pos, mem: make([]byte, max(next, n))}
	// Clip: readers go over the old list beside this, and a list that was cut
	// by Truncate may share its array with one that they still hold.
	longer := append(slices.Clip(chunks), c)
	s.chunks.Store(&longer)
	return c.mem
}

// at returns the bytes from pos to the end of their chunk, but at most n. The
// caller holds them.
func (s *memorySegment) at(pos, n int64) []byte {
	chunks := *s.chunks.Load()
	i := sort.Search(len(chunks), func(i int) bool { return chunks[i].pos > pos }) - 1
	c := chunks[i]
	end := c.pos + int64(len(c.mem))
	if i+1 < len(chunks) {
		end = chunks[i+1].pos
	}
	n = min(n, end-pos)
	from := pos - c.pos
	return c.mem[from : from+n : from+n]
}

// Extent implements [Segment].
func (s *memorySegment) Extent(_ context.Context, pos, n int64) (Extent, error) {
	held, err := s.hold(pos, n)
	if held == 0 {
		return Extent{}, err
	}
	return MemoryExtent(s.at(pos, held), &s.pin, pos+held), nil
}

// ReadAt implements [Segment].
func (s *memorySegment) ReadAt(p []byte, pos int64) (int, error) {
	held, err := s.hold(pos, int64(len(p)))
	if err != nil {
		return 0, err
	}
	n := 0
	for n < int(held) {
		n += copy(p[n:], s.at(pos+int64(n), held-int64(n)))
	}
	if held > 0 {
		s.pin.Release(pos + held)
	}
	if n < len(p) {
		err = io.EOF
	}
	return n, err
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
	chunks := slices.Clone(*s.chunks.Load())
	if len(chunks) == 0 {
		return nil
	}
	last := &chunks[len(chunks)-1]
	last.mem = slices.Clone(last.mem[:s.size.Load()-last.pos])
	s.chunks.Store(&chunks)
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
	chunks := *s.chunks.Load()
	i := sort.Search(len(chunks), func(i int) bool { return chunks[i].pos >= size })
	kept := slices.Clone(chunks[:i])
	s.chunks.Store(&kept)
	return nil
}

// Close drops the list; Extents that are still out keep their own chunks.
func (s *memorySegment) Close() error {
	return s.pin.Close(func() error {
		s.chunks.Store(&[]chunk{})
		return nil
	})
}
