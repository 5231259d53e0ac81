// Package segment keeps runs of bytes on a medium. A segment grows at its end,
// is read anywhere, and ends its life sealed, truncated or deleted; it knows
// nothing of offsets, batches or Kafka.
//
// How the bytes lie is a design: see [Designs]. A new one is one file with an
// implementation of [Segment], and one line in the table.
package segment

import (
	"context"
	"errors"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Segment is one run of bytes.
//
// One goroutine at a time calls Append, Seal, Truncate; every other method may
// run beside them and beside each other. Bytes below Size never change while an
// Extent pins them. After an error from Append or Sync the segment must only be
// read or closed, except that an Append that failed with [vfs.ErrNoSpace] or
// [ErrBusy] left Size as it was and may be tried again.
type Segment interface {
	// Append adds the buffers, one after the other, at the end. It returns the
	// position of the first byte. Either all is added or Size stays as it was.
	Append(bufs [][]byte) (pos int64, err error)
	// Extent pins the bytes [pos, pos+n). It may return fewer, never none of
	// them, when n > 0 and pos < Size. The caller must Release it.
	Extent(ctx context.Context, pos, n int64) (Extent, error)
	// ReadAt copies bytes from pos; it returns io.EOF when fewer than len(p)
	// are there.
	ReadAt(p []byte, pos int64) (int, error)
	// Pinned reports whether an Extent is out that was not released.
	Pinned() bool
	// Size is the number of bytes that were added and not truncated.
	Size() int64
	// Sync makes the bytes below Size, as it was when Sync was called, survive
	// a loss of power. It does not cover the directory entry.
	Sync() error
	// Seal says that nothing is appended any more, unless the segment is truncated
	// first. It waits for nothing: what was reserved past Size is given back by the
	// next Sync, or by Close.
	Seal() error
	// Truncate drops the bytes from size on. It first waits until no Extent that
	// reaches past size is pinned; others may stay. Size is lowered before the
	// wait, so that new Extents cannot prolong it: it lasts as long as the
	// longest-lived Extent there was. The drop is durable after Sync.
	Truncate(size int64) error
	// Close waits for no pin: the medium is given back when the last Extent is
	// released. It syncs nothing.
	Close() error
}

// Hardener is a Segment that can make its tail durable by one write that is durable
// when it returns, in place of a Sync. It may be used where Sync may be, and means
// the same.
type Hardener interface {
	Harden() error
}

// WriteBehind is a Segment whose Append never waits for the medium: what is appended
// stays in the process until a Flush, a Sync or Close, and goes with it if it is
// killed before. There is a bound to that: see [ErrBusy].
type WriteBehind interface {
	// Flush hands the bytes below Size, as it was when Flush was called, to the
	// system: they outlive the process. It waits for a write that is under way, and
	// fails as Sync does.
	Flush() error
	// Held is how many bytes only the process has.
	Held() int64
}

// Options say how a segment is opened.
type Options struct {
	// Create makes a new segment and fails with [fs.ErrExist] if one is there;
	// otherwise the segment must exist.
	Create bool
	// Size is how many bytes of an existing segment count, or -1 for all that
	// the medium has. Bytes past it are dropped by the first Append or Seal.
	Size int64
	// PreallocBytes, if positive, is reserved on the medium when the segment is
	// created, by designs that can.
	PreallocBytes int64
	// ReadOnly opens for reading alone.
	ReadOnly bool
}

// Design is one way to lay a segment's bytes out.
type Design struct {
	Name string
	// Durable says whether Sync means anything: whether bytes outlive the
	// process.
	Durable bool
	// Keeps says whether what was appended can be read back at all.
	Keeps bool
	// Behind says whether the design's segments are WriteBehind.
	Behind bool
	// Open opens a segment. Where the system lacks what the design is made of,
	// creating one fails with [errors.ErrUnsupported].
	Open func(fs vfs.FS, path string, o Options) (Segment, error)
}

// Designs lists every segment design. The first is the default.
var Designs = []Design{
	{Name: "file", Durable: true, Keeps: true, Open: openFile},
	{Name: "mmap", Durable: true, Keeps: true, Open: openMmap},
	{Name: "direct", Durable: true, Keeps: true, Behind: true, Open: openDirect},
	{Name: "uring", Durable: true, Keeps: true, Behind: true, Open: openUring},
	{Name: "memory", Durable: false, Keeps: true, Open: openMemory},
	{Name: "null", Durable: false, Keeps: false, Open: openNull},
}

var (
	// ErrClosed is returned by every method of a segment after Close.
	ErrClosed = errors.New("segment: closed")
	// ErrBusy is returned by Append of a [WriteBehind] that would have to wait: for
	// memory, or for room on the medium while a write is under way. Nothing was
	// added. It may be tried again after a Flush.
	ErrBusy = errors.New("segment: appends wait for the medium")
	// ErrSealed says that a segment was sealed, or opened for reading alone.
	ErrSealed = errors.New("segment: sealed")
	// ErrShort says that a medium has fewer bytes than Options.Size counts on.
	ErrShort = errors.New("segment: shorter than expected")
	// ErrDropped is met by reading from a design that does not keep what is
	// appended; see Design.Keeps.
	ErrDropped = errors.New("segment: this design drops what is appended")
)
