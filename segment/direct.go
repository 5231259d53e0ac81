package segment

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// directSegment is a file like [fileSegment]'s that is written around the page
// cache: what a log has appended takes no memory from what others read, and is
// not copied by the kernel. The ways to hand it over are two designs, `direct` by
// plain calls and `uring` by an io_uring.
//
//	0        recent[0]          written        Size      length
//	├─ file ─────┼── file and memory ──┼── memory ──┼── zeros ──┤
//	                             ├─┤ stage: the block that written lies in
//
// An append is copied into chunks of memory, and that is all: it is made under a
// log's lock, where nobody may wait for a device. What has gathered reaches the file
// by one write, outside of that lock, while appends go on:
//
//   - Flush writes it, for those who promise that it outlives the process;
//   - Sync writes it, and syncs;
//   - Seal does neither. The Sync that follows on it writes what is left, gives the
//     room behind it back, and lets go of memory and descriptor: from there on the
//     segment is a file.
//
// Blocks are written whole. What is written is copied to stage, whose first block
// is the one that written lies in: it is written again, with its old bytes as they
// were and new ones behind. A torn write of it harms nothing, for the sectors that
// an older sync vouched for are given the bytes that they have.
//
// An append that would have to wait is refused with ErrBusy, and its caller flushes,
// without the lock, and comes again. It is so
//
//   - where more than behindMaxBytes would be held. That bounds the memory: a
//     device that is slower than those who append slows them down;
//   - where room has to be asked for while a write is under way, for file systems
//     have an fallocate wait for direct writes. It is rare: each write asks first
//     for room for the appends to come.
//
// Invariants:
//   - the file has every byte below written, and memory every byte from recent[0]
//     on; recent[0] ≤ written ≤ Size, or recent is empty and written = Size. A
//     Truncate may leave written past Size for as long as a write is under way;
//   - who holds writing is the only one who uses out, stage and held, who moves
//     written, and who makes the file longer or shorter;
//   - recent is changed by the appender, and once sealed by who holds syncing;
//   - blocks up to length were allocated before a byte was taken that they are
//     for, so that a write that comes later cannot find the disk full.
//
// Reads come from memory where that has them, else from a second, buffered
// descriptor; a consumer that follows the end never asks the device. The two
// descriptors agree: Linux writes dirty pages back before a direct write, and
// drops the pages of its range after it, under the lock of each page, so that a
// page that a reader brought in meanwhile goes too. A page that sendfile still
// refers to keeps its bytes, and those below Size are the same in both. Segments
// are cut, trimmed and given room by the buffered one.
//
// What it costs: an acknowledgement that the kernel has a record, which an append to
// a file gives for a copy, waits for a write of the device here. Reads of bytes that
// left memory and were not read before go to the device; and an append is copied
// twice, by us.
//
// The ways not taken. To write from the chunks themselves: they would have to begin
// at blocks, and the last block is written while the next append goes into it. To
// write within Append where somebody counts on the kernel to have the bytes: every
// append, every roll and every reader of the log's state then waits for the device
// behind the log's lock, one append at a time. To put such appends into the page
// cache instead, and drop them from it later: that is `file`. And to acknowledge
// them from memory, to be written at leisure: kill -9 would take what was
// acknowledged, which no policy allows.
type directSegment struct {
	fileSegment
	via vfs.Via

	recent  chunkList
	written atomic.Int64

	// writing admits one writer at a time. A channel, not a mutex: it is held
	// across I/O.
	writing chan struct{}
	out     vfs.DirectFile // nil until the first write
	stage   []byte
	held    int64 // bytes of the last block that are at the front of stage; -1: not known
	iov     [1][]byte
}

const (
	// behindMaxBytes is how much a segment keeps from the file at most, if that is
	// not a single append.
	behindMaxBytes = 4 << 20
	// recentBytes is how much of what the file has stays in memory as well, and
	// how large a chunk of it gets where no append is larger: a segment that is
	// written to has twice that, and a stage.
	recentBytes = 256 << 10
	// A stage grows with what is written at a time.
	minStageBytes = 16 << 10
	maxStageBytes = 1 << 20
)

func openDirect(fs vfs.FS, path string, o Options) (Segment, error) {
	return openVia(fs, path, o, vfs.ViaCalls)
}

func openVia(fs vfs.FS, path string, o Options, via vfs.Via) (Segment, error) {
	s := &directSegment{via: via, writing: make(chan struct{}, 1), held: -1}
	if err := s.open(fs, path, o); err != nil {
		return nil, err
	}
	s.recent.largest = recentBytes
	s.written.Store(s.size.Load())
	if o.Create {
		// Opened now, so that whoever chose the design learns here that the
		// system cannot do it.
		if err := s.openOut(); err != nil {
			return nil, errors.Join(err, s.f.Close(), fs.Remove(path))
		}
	}
	return s, nil
}

// openOut opens the descriptor to write by.
func (s *directSegment) openOut() error {
	out, err := s.f.Direct(s.via)
	if err != nil {
		return err
	}
	s.out = out
	return nil
}

// closeOut gives the descriptor and the memory for writing back.
func (s *directSegment) closeOut() error {
	s.stage, s.held = nil, -1
	if s.out == nil {
		return nil
	}
	out := s.out
	s.out = nil
	return out.Close()
}

// Append implements [Segment].
func (s *directSegment) Append(bufs [][]byte) (int64, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.pin.Release(0)
	if err := s.ended(); err != nil {
		return 0, err
	}
	pos, n := s.size.Load(), sum(bufs)
	if n == 0 {
		return pos, nil
	}
	end := pos + n
	if err := s.admit(end); err != nil {
		return 0, err
	}
	room := s.recent.room(pos, int(n))
	for _, b := range bufs {
		room = room[copy(room, b):]
	}
	// Published last: whoever sees the size can read the bytes.
	s.size.Store(end)
	s.recent.forget(min(s.written.Load(), end-recentBytes))
	return pos, nil
}

// admit sees to it that the bytes up to end can be taken, or says why not.
func (s *directSegment) admit(end int64) error {
	if s.Held() > 0 && end-s.written.Load() > behindMaxBytes {
		return ErrBusy
	}
	if !s.stale && blocks(end) <= s.length.Load() {
		return nil
	}
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	default:
		return ErrBusy
	}
	if s.stale {
		if err := s.trim(); err != nil {
			return err
		}
	}
	if blocks(end) > s.length.Load() {
		return s.grow(end)
	}
	return nil
}

// blocks rounds up to whole blocks.
func blocks(n int64) int64 { return (n + vfs.DirectAlign - 1) / vfs.DirectAlign * vfs.DirectAlign }

// Held implements [WriteBehind].
func (s *directSegment) Held() int64 { return max(0, s.size.Load()-s.written.Load()) }

// Flush implements [WriteBehind].
func (s *directSegment) Flush() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.pin.Release(0)
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	if err := s.failed.Load(); err != nil {
		return *err
	}
	if err := s.growAhead(); err != nil {
		return err
	}
	return s.write(s.size.Load(), false)
}

// write has the file get all bytes below end, and with sync a sync behind them. The
// caller holds writing.
func (s *directSegment) write(end int64, sync bool) error {
	for from := s.written.Load(); from < end; from = s.written.Load() {
		if err := s.writeStage(from, end, sync); err != nil {
			return s.fail(err)
		}
	}
	return nil
}

// growAhead reserves room for appends to come, if there is little left, so that they
// need not ask for it. Whether the disk is full is for them to find out. The caller
// holds writing.
func (s *directSegment) growAhead() error {
	size := s.size.Load()
	if s.Held() == 0 || s.sealed.Load() || s.length.Load() >= size+growth(size)/4 {
		return nil
	}
	target := blocks(size) + growth(size)
	err := s.f.Preallocate(target)
	switch {
	case errors.Is(err, vfs.ErrNoSpace):
		return nil
	case err != nil:
		return s.fail(err)
	}
	s.length.Store(target)
	return nil
}

// writeStage writes as many of the bytes [from, end) as one stage takes.
func (s *directSegment) writeStage(from, end int64, sync bool) error {
	if err := s.prepare(from, end); err != nil {
		return err
	}
	n := min(end-from, int64(len(s.stage))-s.held)
	copyOf(s.stage[s.held:s.held+n], s.recent.load(), from)
	total := s.held + n
	padded := blocks(total)
	clear(s.stage[total:padded])
	s.iov[0] = s.stage[:padded]
	write := s.out.WriteAt
	if sync && from+n == end {
		write = s.out.WriteSync
	}
	if _, err := write(s.iov[:], from-s.held); err != nil {
		return err
	}
	s.held = total % vfs.DirectAlign
	copy(s.stage, s.stage[total-s.held:total])
	s.written.Store(from + n)
	return nil
}

// prepare makes out and stage ready to write the bytes [from, end).
func (s *directSegment) prepare(from, end int64) error {
	if s.out == nil {
		if err := s.openOut(); err != nil {
			return err
		}
	}
	want := blocks(end - from + vfs.DirectAlign)
	if size := int64(len(s.stage)); size < min(want, maxStageBytes) {
		stage := s.out.Buffer(int(min(max(want, 2*size, minStageBytes), maxStageBytes)))
		copy(stage, s.stage[:max(0, min(s.held, size))])
		s.stage = stage
	}
	if s.held >= 0 {
		return nil
	}
	held := from % vfs.DirectAlign
	if n, err := s.f.ReadAt(s.stage[:held], from-held); int64(n) < held {
		return errors.Join(io.ErrUnexpectedEOF, err)
	}
	s.held = held
	return nil
}

// Extent ignores ctx: nothing is ever waited for here.
func (s *directSegment) Extent(_ context.Context, pos, n int64) (Extent, error) {
	held, err := s.hold(pos, n)
	if held == 0 {
		return Extent{}, err
	}
	chunks := s.recent.load()
	if len(chunks) > 0 && pos >= chunks[0].pos {
		return MemoryExtent(at(chunks, pos, held), &s.pin, pos+held), nil
	}
	// Below the first chunk all is written; past it not all need be. Loaded after
	// the chunks: what they no longer have was written before.
	n = min(held, s.written.Load()-pos)
	return FileExtent(s.f, pos, n, &s.pin, pos+held), nil
}

// ReadAt implements [Segment].
func (s *directSegment) ReadAt(p []byte, pos int64) (int, error) {
	held, err := s.hold(pos, int64(len(p)))
	if err != nil {
		return 0, err
	}
	if held == 0 {
		if len(p) > 0 {
			err = io.EOF
		}
		return 0, err
	}
	defer s.pin.Release(pos + held)
	chunks := s.recent.load()
	inFile := held
	if len(chunks) > 0 {
		inFile = max(0, min(held, chunks[0].pos-pos))
	}
	if inFile > 0 {
		if n, err := s.f.ReadAt(p[:inFile], pos); int64(n) < inFile {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // somebody else has cut the file
			}
			return n, err
		}
	}
	if inFile < held {
		copyOf(p[inFile:held], chunks, pos+inFile)
	}
	if held < int64(len(p)) {
		err = io.EOF
	}
	return int(held), err
}

// Sync implements [Segment]. A ring takes the write and the sync together; else
// appends may ask for room, and flushes go on, while the device syncs.
func (s *directSegment) Sync() error {
	if err := s.beginSync(); err != nil {
		return err
	}
	defer s.endSync()
	sealed := s.sealed.Load()
	size, synced, err := s.writeOut(sealed)
	if err != nil || synced {
		return err
	}
	if sealed {
		return s.sync(size)
	}
	if err := s.f.Sync(); err != nil {
		return s.fail(err)
	}
	return nil
}

// writeOut has the file get what Sync is about, and reports whether it was synced.
func (s *directSegment) writeOut(sealed bool) (size int64, synced bool, err error) {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	// Looked at here: a Truncate that came first has taken memory away.
	size = s.size.Load()
	if sealed {
		return size, false, s.settle(size)
	}
	if err := s.growAhead(); err != nil {
		return size, false, err
	}
	synced = s.via == vfs.ViaRing && s.written.Load() < size
	return size, synced, s.write(size, synced)
}

// settle has the file get all there is, and lets go of what was for writing it:
// from here on the segment is a file. The caller holds writing.
func (s *directSegment) settle(size int64) error {
	if s.failed.Load() != nil {
		return nil // memory may have what the file has not
	}
	if err := s.write(size, false); err != nil {
		return err
	}
	s.written.Store(size)
	s.recent.cut(0)
	if err := s.closeOut(); err != nil {
		return s.fail(err)
	}
	return nil
}

// Truncate implements [Segment].
func (s *directSegment) Truncate(size int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.pin.Release(0)
	if s.readOnly || s.failed.Load() != nil {
		return s.fileSegment.Truncate(size) // says why not
	}
	if err := s.cut(size); err != nil {
		return err
	}
	s.syncing <- struct{}{}
	defer func() { <-s.syncing }()
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	if err := s.settle(size); err != nil {
		return err
	}
	if err := s.failed.Load(); err != nil {
		return *err
	}
	s.sealed.Store(false)
	return s.trim()
}

// Close implements [Segment].
func (s *directSegment) Close() error {
	return s.pin.Close(func() error {
		return errors.Join(s.settle(s.size.Load()), s.closeOut(), s.closeFile())
	})
}
