package protocol

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/segment"
)

const (
	// sendfileFrom is the size from which a range of a file is sent by sendfile.
	// Below it reading the bytes and sending them together with what surrounds
	// them is faster: see BenchmarkSend.
	sendfileFrom = 128 << 10
	// gatherBelow is the size up to which bytes are copied next to those that
	// are sent with them, which costs less than another element of a writev.
	gatherBelow = 4 << 10
	// largestScratch bounds the memory that small ranges of files are read into.
	largestScratch = smallestBuffer << 2
	// maxVector is how many pieces one writev may have (IOV_MAX).
	maxVector = 1024
)

// sender moves the bytes of answers to a connection; it is the only place that
// does. What a [wire.Writer] encoded and what resident memory holds leaves by
// writev, a large range of a file by sendfile with an explicit offset, a small
// one by a read and the writev of its neighbours. A sender is used by one
// goroutine at a time.
//
// Go's own sendfile in package net uses the file's position, which all readers
// of a segment share: concurrent consumers would get each other's bytes.
type sender struct {
	conn net.Conn
	raw  syscall.RawConn // nil: not a TCP socket of ours
	pool *buffers
	meter

	// sendfile is the size from which to use sendfile: sendfileFrom, except in
	// benchmarks.
	sendfile int64

	// vec is what is to be sent next. Where its last element lies at the end of
	// the used part of scratch it can grow in place.
	vec     [][]byte
	scratch *buffer
	used    int
	growing bool

	// The rest is for the methods that the poller calls, made once.
	more       bool
	file       uintptr
	off, left  int64
	err        error
	onWritable func(fd uintptr) bool
	onFile     func(fd uintptr) bool
}

func newSender(c net.Conn, pool *buffers) *sender {
	s := &sender{conn: c, raw: rawSocket(c), pool: pool, sendfile: sendfileFrom}
	s.onWritable, s.onFile = s.writable, s.fileWritable
	return s
}

// send sends what w holds, with extents in place of its holes: a hole's ID is
// the index of its extent. It releases nothing.
func (s *sender) send(w *wire.Writer, extents []segment.Extent) error {
	err := s.pieces(w, extents)
	s.done()
	clear(s.vec)
	s.vec, s.growing = s.vec[:0], false
	if s.scratch != nil {
		s.pool.give(s.scratch)
		s.scratch, s.used = nil, 0
	}
	return err
}

func (s *sender) pieces(w *wire.Writer, extents []segment.Extent) error {
	bytes, at := w.Bytes(), 0
	for _, h := range w.Holes() {
		e := extents[h.ID]
		if e.Len() != h.Size {
			return fmt.Errorf("hole of %d bytes for an extent of %d", h.Size, e.Len())
		}
		if err := s.gather(bytes[at:h.At]); err != nil {
			return err
		}
		at = h.At
		if err := s.extent(e); err != nil {
			return err
		}
	}
	if err := s.gather(bytes[at:]); err != nil {
		return err
	}
	return s.flush(false)
}

// gather adds bytes to what is sent next. They must stay as they are until then.
func (s *sender) gather(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if s.growing && len(b) <= gatherBelow && len(b) <= len(s.scratch.bytes)-s.used {
		copy(s.scratch.bytes[s.used:], b)
		s.grow(len(b))
		return nil
	}
	if len(s.vec) == maxVector {
		if err := s.flush(true); err != nil {
			return err
		}
	}
	s.vec, s.growing = append(s.vec, b), false
	return nil
}

// grow makes the last element of vec n bytes longer.
func (s *sender) grow(n int) {
	last := &s.vec[len(s.vec)-1]
	*last = s.scratch.bytes[s.used-len(*last) : s.used+n]
	s.used += n
}

func (s *sender) extent(e segment.Extent) error {
	if mem, ok := e.Memory(); ok {
		return s.gather(mem)
	}
	if fd, off, ok := e.File(); ok && s.raw != nil && e.Len() >= s.sendfile {
		// Without MSG_MORE: the peer then reads what comes before the range while
		// this side is still sending it, which was an eighth faster on loopback.
		if err := s.flush(false); err != nil {
			return err
		}
		s.file, s.off, s.left, s.err = fd, off, e.Len(), nil
		if err := s.raw.Write(s.onFile); err != nil {
			return err
		}
		return s.err
	}
	return s.copied(e)
}

// copied reads an extent into scratch, and sends it as often as that is full.
func (s *sender) copied(e segment.Extent) error {
	if s.scratch == nil {
		s.scratch = s.pool.try(int(min(e.Len()+gatherBelow, largestScratch)))
		if s.scratch == nil {
			// An answer can't wait for the budget: its request holds a part of
			// that until the answer has left.
			s.scratch = s.pool.beyond()
		}
	}
	for pos := int64(0); pos < e.Len(); {
		if s.used == len(s.scratch.bytes) || !s.growing && len(s.vec) == maxVector {
			if err := s.flush(true); err != nil {
				return err
			}
		}
		room := s.scratch.bytes[s.used:]
		room = room[:min(int64(len(room)), e.Len()-pos)]
		n, err := e.ReadAt(room, pos)
		if n < len(room) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("reading %d bytes of a log to send: %w", len(room), err)
		}
		pos += int64(n)
		if !s.growing {
			s.vec, s.growing = append(s.vec, s.scratch.bytes[s.used:s.used]), true
		}
		s.grow(n)
	}
	return nil
}

// flush sends what was gathered. more says that other bytes follow at once.
func (s *sender) flush(more bool) error {
	if len(s.vec) == 0 {
		return nil
	}
	if s.raw == nil {
		s.stall()
		for _, b := range s.vec {
			n, err := s.conn.Write(b)
			s.pass(n)
			if err != nil {
				return err
			}
		}
	} else {
		s.more, s.err = more, nil
		pending := s.vec
		if err := s.raw.Write(s.onWritable); err != nil {
			return err
		}
		if s.vec = pending; s.err != nil {
			return s.err
		}
	}
	clear(s.vec)
	s.vec, s.growing, s.used = s.vec[:0], false, 0
	return nil
}

// writable sends from vec until all is sent, or returns false to be called
// again when the socket takes more.
func (s *sender) writable(fd uintptr) bool {
	for len(s.vec) > 0 {
		n, again, err := transmit(fd, s.vec, s.more)
		if again {
			s.stall()
			return false
		}
		if err != nil {
			s.err = err
			return true
		}
		s.pass(n)
		for n > 0 && n >= len(s.vec[0]) {
			n -= len(s.vec[0])
			s.vec = s.vec[1:]
		}
		if n > 0 {
			s.vec[0] = s.vec[0][n:]
		}
	}
	return true
}

// fileWritable does the same with the range of a file.
func (s *sender) fileWritable(fd uintptr) bool {
	for s.left > 0 {
		n, again, err := transmitFile(fd, s.file, s.off, s.left)
		if again {
			s.stall()
			return false
		}
		if err == nil && n == 0 {
			err = fmt.Errorf("sending a log's bytes: %w", io.ErrUnexpectedEOF)
		}
		if err != nil {
			s.err = err
			return true
		}
		s.pass(n)
		s.off, s.left = s.off+int64(n), s.left-int64(n)
	}
	return true
}
