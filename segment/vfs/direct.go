package vfs

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"
)

// DirectFile is a file opened for writing around the page cache. What is written
// lies on the device, or in the device's own cache, when a write returns; other
// openings of the file then see it. It is durable after a sync like any other.
//
// Every buffer has to begin at an address, have a length, and go to a position
// that is a multiple of [DirectAlign]: EINVAL if not. One call at a time.
type DirectFile interface {
	// Buffer returns n bytes of aligned memory from which writing is cheapest,
	// for the life of the file or until the next call.
	Buffer(n int) []byte
	// WriteAt writes the buffers one after the other from off. See File.WriteAt.
	WriteAt(bufs [][]byte, off int64) (written int64, err error)
	// WriteSync is WriteAt and, if all was written, a sync of the whole file, in
	// one call to the system where there is a way. Without buffers it syncs.
	WriteSync(bufs [][]byte, off int64) (written int64, err error)
	Close() error
	// Name returns the path that the file was opened by.
	Name() string
}

// Via is a way for a [DirectFile]'s writes to reach the system.
type Via uint8

const (
	// ViaCalls is a pwrite, and an fdatasync after it.
	ViaCalls Via = iota
	// ViaRing is an io_uring of the file's own: a write and the sync linked
	// behind it are one call.
	ViaRing
)

// DirectAlign is what the addresses, lengths and positions of direct writes are
// multiples of, in bytes: no device in use asks for more.
const DirectAlign = 4096

// Aligned returns n bytes of memory at an address that is a multiple of
// [DirectAlign], for direct writes to any file. The collector moves nothing.
func Aligned(n int) []byte {
	b := make([]byte, n+DirectAlign)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % DirectAlign
	return b[skip : skip+uintptr(n) : skip+uintptr(n)]
}

// checkDirect refuses what a device could not be given.
func checkDirect(bufs [][]byte, off int64) error {
	if off%DirectAlign != 0 {
		return fmt.Errorf("direct write at %d, not at a multiple of %d: %w", off, DirectAlign, syscall.EINVAL)
	}
	for _, b := range bufs {
		if len(b)%DirectAlign != 0 || uintptr(unsafe.Pointer(unsafe.SliceData(b)))%DirectAlign != 0 {
			return fmt.Errorf("direct write of %d bytes at address %p, not multiples of %d: %w", len(b), b, DirectAlign, syscall.EINVAL)
		}
	}
	return nil
}

// unsupportedError says what the system refuses, and what to do. It is
// [errors.ErrUnsupported] to errors.Is.
type unsupportedError struct {
	what  string
	cause error
}

func (e unsupportedError) Error() string   { return e.what + ": " + e.cause.Error() }
func (e unsupportedError) Unwrap() []error { return []error{errors.ErrUnsupported, e.cause} }
