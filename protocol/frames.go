package protocol

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/bobbin-log/bobbin/protocol/wire"
)

const (
	// prefixSize is the length of a frame's length prefix.
	prefixSize = 4
	// smallestFrame is the shortest request that has an API key, a version and
	// a correlation id.
	smallestFrame = 8
	// exactFrom is the size from which frames are read one by one, to their
	// last byte: what is read past the end of a large frame would have to be
	// copied to the front of the next buffer. Small frames are read as many at
	// a time as the buffer holds.
	exactFrom = 32 << 10
	// otherFrameBytes bounds requests that carry no records; the largest of them
	// are lists of topics and partitions.
	otherFrameBytes = 2 << 20
	// shrinkBelow is the size up to which a request that has to wait before it
	// is handled is copied, so that its buffer can serve others meanwhile.
	shrinkBelow = 8 << 10
	// growth is by how much a frame that is larger than largestBuffer may be
	// ahead of the bytes that arrived.
	growth = 4
)

// errFrame is wrapped by errors about a frame's length: the peer doesn't speak
// Kafka, or wants too much.
var errFrame = errors.New("bad frame")

// frames cuts what a connection sends into frames, in the buffer that it was
// read into: a frame is copied only if it was cut by the buffer's end. While
// nothing is there to be read, a TCP connection holds no buffer at all.
type frames struct {
	conn net.Conn
	raw  syscall.RawConn // nil: not a TCP socket of ours
	pool *buffers
	max  int // of a frame, in bytes, without its prefix
	// other is the same for requests that aren't Produce.
	other int
	meter

	// buf holds the unread bytes buf[r:w]; nil while there are none and none
	// are awaited. Invariant: 0 <= r <= w <= len(buf.bytes).
	buf  *buffer
	r, w int
	// last is the size of the newest frame with its prefix, which is what the
	// next one is expected to be.
	last int

	// The rest is what readable leaves behind for fill.
	want    int  // bytes that are needed from r on
	n       int  // bytes read
	starved bool // the budget had nothing left
	err     error
	// onReadable is the method value readable, made once.
	onReadable func(fd uintptr) bool
}

func newFrames(c net.Conn, pool *buffers, maxFrame int) *frames {
	f := &frames{conn: c, raw: rawSocket(c), pool: pool, max: maxFrame, other: min(maxFrame, otherFrameBytes)}
	f.onReadable = f.readable
	return f
}

// next waits for the next frame and returns it without its length prefix. It is
// good until the next call. io.EOF means that the peer closed the connection
// between two frames.
func (f *frames) next(ctx context.Context) ([]byte, error) {
	if f.r == f.w {
		f.r, f.w = 0, 0
	}
	if err := f.fill(ctx, prefixSize); err != nil {
		return nil, err
	}
	n := int(int32(binary.BigEndian.Uint32(f.buf.bytes[f.r:])))
	switch {
	case n < smallestFrame:
		return nil, fmt.Errorf("%w: length %d, the least is %d: is this a Kafka client?", errFrame, n, smallestFrame)
	case n > f.max:
		return nil, fmt.Errorf("%w: length %d, the most is %d (socket.request.max.bytes)", errFrame, n, f.max)
	}
	f.last = prefixSize + n
	if n > f.other {
		if err := f.fill(ctx, prefixSize+smallestFrame); err != nil {
			return nil, err
		}
		if key := int16(binary.BigEndian.Uint16(f.buf.bytes[f.r+prefixSize:])); key != wire.KeyProduce {
			return nil, fmt.Errorf("%w: length %d, the most is %d for requests of API key %d", errFrame, n, f.other, key)
		}
	}
	if err := f.fill(ctx, f.last); err != nil {
		return nil, err
	}
	f.done()
	frame := f.buf.bytes[f.r+prefixSize : f.r+f.last : f.r+f.last]
	f.r += f.last
	return frame, nil
}

// buffered reports whether another whole frame is there already, so that next
// will not wait.
func (f *frames) buffered() bool {
	if f.w-f.r < prefixSize {
		return false
	}
	n := int(int32(binary.BigEndian.Uint32(f.buf.bytes[f.r:])))
	return n < smallestFrame || n > f.max || f.w-f.r >= prefixSize+n
}

// shrink gives the buffer back, if what it holds is small: it copies the frame
// that next returned, and what was read after it, and returns the copy.
func (f *frames) shrink(frame []byte) []byte {
	n := len(frame) + f.w - f.r
	if !f.buf.budgeted || n > shrinkBelow {
		return frame
	}
	b := &buffer{bytes: make([]byte, n), class: -1}
	copy(b.bytes, frame)
	copy(b.bytes[len(frame):], f.buf.bytes[f.r:f.w])
	f.pool.give(f.buf)
	f.buf, f.r, f.w = b, len(frame), n
	return b.bytes[:len(frame):len(frame)]
}

// release gives the buffer back. The frames are not to be used after it.
func (f *frames) release() {
	if f.buf != nil {
		f.pool.give(f.buf)
		f.buf = nil
	}
	f.r, f.w = 0, 0
}

// fill reads until want bytes are there from r on.
func (f *frames) fill(ctx context.Context, want int) error {
	for f.w-f.r < want {
		f.want = want
		if f.buf == nil || f.r+want > len(f.buf.bytes) {
			if f.buf != nil || f.raw == nil {
				if err := f.makeRoom(ctx); err != nil {
					return err
				}
			}
		}
		if err := f.read(ctx); err != nil {
			if errors.Is(err, io.EOF) && f.w > f.r {
				return fmt.Errorf("%w: ends after %d of %d bytes", io.ErrUnexpectedEOF, f.w-f.r, want)
			}
			return err
		}
	}
	return nil
}

// size returns how large a new buffer should be for the bytes that are wanted:
// for all of them if a pooled buffer can hold them, else somewhat more than
// those that arrived, so that nobody reserves memory by announcing a length.
func (f *frames) size() int {
	n := max(f.want, min(f.last, largestBuffer))
	if n <= largestBuffer {
		return n
	}
	return min(n, max(largestBuffer, growth*(f.w-f.r)))
}

// makeRoom makes room behind the unread bytes: by moving them to the front, or
// into a larger buffer.
func (f *frames) makeRoom(ctx context.Context) error {
	if f.buf != nil {
		if f.r > 0 {
			f.w = copy(f.buf.bytes, f.buf.bytes[f.r:f.w])
			f.r = 0
		}
		fits, full := f.want <= len(f.buf.bytes), f.w == len(f.buf.bytes)
		if fits || f.want > largestBuffer && !full {
			return nil
		}
	}
	size := f.size()
	b := f.pool.try(size)
	if b == nil {
		f.stall()
		var err error
		if b, err = f.pool.take(ctx, size); err != nil {
			return err
		}
	}
	if f.buf == nil {
		f.buf = b
		return nil
	}
	f.w = copy(b.bytes, f.buf.bytes[f.r:f.w])
	f.r = 0
	f.pool.give(f.buf)
	f.buf = b
	return nil
}

// room is where to read to next.
func (f *frames) room() []byte {
	free := f.buf.bytes[f.w:]
	expected := f.r + max(f.want, f.last)
	if f.want > prefixSize {
		expected = f.r + f.want
	}
	if expected-f.r >= exactFrom && expected > f.w {
		free = free[:min(len(free), expected-f.w)]
	}
	return free
}

// read reads at least one byte.
func (f *frames) read(ctx context.Context) error {
	if f.raw == nil {
		if f.w > f.r {
			f.stall()
		}
		n, err := f.conn.Read(f.room())
		f.w += n
		f.pass(n)
		if n > 0 {
			return nil
		}
		return err
	}
	for {
		f.n, f.err, f.starved = 0, nil, false
		if err := f.raw.Read(f.onReadable); err != nil {
			return err
		}
		if f.starved {
			if err := f.makeRoom(ctx); err != nil {
				return err
			}
			continue
		}
		f.w += f.n
		f.pass(f.n)
		if f.n == 0 && f.err == nil {
			return io.EOF
		}
		return f.err
	}
}

// readable tries to read. It is called by the runtime's poller; false means to
// call it again when there is something.
func (f *frames) readable(fd uintptr) bool {
	if f.buf == nil {
		if f.buf = f.pool.try(f.size()); f.buf == nil {
			f.starved = true
			return true
		}
	}
	var again bool
	f.n, again, f.err = receive(fd, f.room())
	if !again {
		return true
	}
	if f.r == f.w {
		f.release()
	} else {
		f.stall()
	}
	return false
}
