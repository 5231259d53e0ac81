package segment

import (
	"io"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Extent is a pinned run of a log's bytes: a range of a file, to be sent by
// sendfile, or resident memory, to be sent by writev. It is a value; copies
// share one pin. The zero Extent is empty and needs no Release.
type Extent struct {
	file vfs.File
	off  int64
	mem  []byte // nil for a range of a file
	n    int64
	pin  *Pin
	// end is what pin was acquired with; Trim leaves it alone.
	end int64
}

// FileExtent returns the n bytes of f at off, kept in place by pin (nil: needs
// none), which the caller acquired up to end.
func FileExtent(f vfs.File, off, n int64, pin *Pin, end int64) Extent {
	return Extent{file: f, off: off, n: n, pin: pin, end: end}
}

// MemoryExtent returns mem, kept in place by pin (nil: needs none), which the
// caller acquired up to end.
func MemoryExtent(mem []byte, pin *Pin, end int64) Extent {
	return Extent{mem: mem, n: int64(len(mem)), pin: pin, end: end}
}

// Len is the number of bytes.
func (e Extent) Len() int64 { return e.n }

// Memory returns the bytes themselves if they are resident memory.
func (e Extent) Memory() ([]byte, bool) { return e.mem, e.file == nil }

// File returns the descriptor and the position of the bytes in its file, if
// they are a range of a file that the operating system knows.
func (e Extent) File() (fd uintptr, off int64, ok bool) {
	if e.file == nil {
		return 0, 0, false
	}
	fd, ok = e.file.Fd()
	return fd, e.off, ok
}

// ReadAt copies from the Extent's byte pos on, wherever the bytes are.
func (e Extent) ReadAt(p []byte, pos int64) (int, error) {
	if pos >= e.n {
		return 0, io.EOF
	}
	short := int64(len(p)) > e.n-pos
	if short {
		p = p[:e.n-pos]
	}
	n := 0
	var err error
	if e.file == nil {
		n = copy(p, e.mem[pos:])
	} else {
		n, err = e.file.ReadAt(p, e.off+pos)
	}
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

// Cached is how many of the bytes [pos, pos+n) can be read without waiting for a
// device, as far as the system tells.
func (e Extent) Cached(pos, n int64) int64 {
	n = max(0, min(n, e.n-pos))
	if e.file == nil {
		return n
	}
	return e.file.Cached(e.off+pos, n)
}

// Prefetch begins to bring the bytes [pos, pos+n) into memory and does not wait for
// them. n may reach past the Extent's end. It does nothing for resident memory.
func (e Extent) Prefetch(pos, n int64) {
	if e.file != nil {
		e.file.Prefetch(e.off+pos, n)
	}
}

// Trim returns the first n bytes, under the same pin. Only one of the two may
// be released.
func (e Extent) Trim(n int64) Extent {
	if n < e.n {
		e.n = n
		if e.file == nil {
			e.mem = e.mem[:n]
		}
	}
	return e
}

// Release gives the bytes back. It is called exactly once for each Extent that
// was handed out.
func (e Extent) Release() {
	if e.pin != nil {
		e.pin.Release(e.end)
	}
}
