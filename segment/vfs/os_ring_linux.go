package vfs

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is an io_uring by raw system calls: two queues in memory that is shared
// with the kernel. Requests go into the submission queue, one io_uring_enter
// hands them over and waits for their answers in the completion queue.
//
//	ring memory   sq head│tail│mask│…  cq head│tail│mask│…  cqes[]  sq array[]
//	sqes          one request of 64 bytes for each entry
//
// It serves one caller at a time, who waits: nothing is in flight between two
// calls, so that no answer has to be matched with its request but by order, and
// closing needs to wait for nobody. Every [ringFile] has its own, of ringEntries
// requests: two descriptors and some 8 KiB of the kernel's memory for a segment
// that is being written, none for others. The way not taken is one ring for the
// process: its submissions need a lock, its completions somebody who hands them
// out, and the few goroutines that sync would still wait for one each.
type ring struct {
	fd   int
	mem  []byte // the queues
	sqes []byte

	sqHead, sqTail, sqMask *uint32
	cqHead, cqTail, cqMask *uint32
	sqArray, cqes          unsafe.Pointer

	queued     uint32 // requests put into the queue and not handed over yet
	registered []byte // memory that the kernel holds on to as buffer 0
}

// ringEntries is more than a file ever has in flight: a write and its sync.
const ringEntries = 4

// What golang.org/x/sys does not name, from linux/io_uring.h.
const (
	ringOffSqes         = 0x10000000
	ringFeatRwCurPos    = 1 << 3
	ringEnterGetEvents  = 1 << 0
	ringRegisterBuffers = 0
	ringForgetBuffers   = 1
	ringOpFsync         = 3
	ringOpWriteFixed    = 5
	ringOpWrite         = 23
	ringLink            = 1 << 2 // the next request begins when this one has succeeded
	ringFsyncData       = 1 << 0
)

// ringParams is struct io_uring_params.
type ringParams struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFd uint32
	_                                                                      [3]uint32
	sq                                                                     struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

// ringRequest is struct io_uring_sqe.
type ringRequest struct {
	op, flags uint8
	_         uint16
	fd        int32
	off       uint64
	addr      uint64
	len       uint32
	opFlags   uint32
	userData  uint64
	bufIndex  uint16
	_         uint16
	_         int32
	_         [2]uint64
}

// ringAnswer is struct io_uring_cqe.
type ringAnswer struct {
	userData uint64
	res      int32
	flags    uint32
}

func newRing() (*ring, error) {
	var p ringParams
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, ringEntries, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		if errno == unix.ENOSYS || errno == unix.EPERM {
			return nil, unsupportedError{"this kernel or container refuses io_uring (see the sysctl kernel.io_uring_disabled and seccomp, or choose the segment design direct)", errno}
		}
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	r := &ring{fd: int(fd)}
	if p.features&ringFeatRwCurPos == 0 { // came with the requests that are used here
		return nil, errors.Join(unsupportedError{"io_uring of a kernel before 5.6 (choose the segment design direct)", unix.ENOSYS}, r.close())
	}
	if err := r.mapQueues(&p); err != nil {
		return nil, errors.Join(fmt.Errorf("mapping an io_uring: %w", err), r.close())
	}
	return r, nil
}

// mapQueues maps both queues, which lie in one piece, and the requests.
func (r *ring) mapQueues(p *ringParams) error {
	size := max(uintptr(p.sq.array)+uintptr(p.sqEntries)*4, uintptr(p.cq.cqes)+uintptr(p.cqEntries)*unsafe.Sizeof(ringAnswer{}))
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	var err error
	if r.mem, err = unix.Mmap(r.fd, 0, int(size), prot, flags); err != nil {
		return err
	}
	if r.sqes, err = unix.Mmap(r.fd, ringOffSqes, int(uintptr(p.sqEntries)*unsafe.Sizeof(ringRequest{})), prot, flags); err != nil {
		return err
	}
	at := func(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.mem[off])) }
	r.sqHead, r.sqTail, r.sqMask = at(p.sq.head), at(p.sq.tail), at(p.sq.mask)
	r.cqHead, r.cqTail, r.cqMask = at(p.cq.head), at(p.cq.tail), at(p.cq.mask)
	r.sqArray, r.cqes = unsafe.Pointer(&r.mem[p.sq.array]), unsafe.Pointer(&r.mem[p.cq.cqes])
	return nil
}

// put adds a request to those of the next submit.
func (r *ring) put(req ringRequest) {
	tail := *r.sqTail // ours alone to write
	i := tail & *r.sqMask
	*(*ringRequest)(unsafe.Pointer(&r.sqes[uintptr(i)*unsafe.Sizeof(req)])) = req
	*(*uint32)(unsafe.Add(r.sqArray, uintptr(i)*4)) = i
	atomic.StoreUint32(r.sqTail, tail+1) // the kernel sees the request before the tail
	r.queued++
}

// submit hands over what was put and waits until all of it is answered. The
// results are in order, as system calls return them: negative is an errno.
func (r *ring) submit(results []int32) error {
	want := uint32(len(results))
	for {
		ready := atomic.LoadUint32(r.cqTail) - *r.cqHead
		if r.queued == 0 && ready >= want {
			break
		}
		n, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.queued), uintptr(want), ringEnterGetEvents, 0, 0)
		if errno != 0 && errno != unix.EINTR && errno != unix.EAGAIN {
			return fmt.Errorf("io_uring_enter: %w", errno)
		}
		if errno == 0 {
			r.queued -= uint32(n)
		}
	}
	head := *r.cqHead
	for range want {
		a := *(*ringAnswer)(unsafe.Add(r.cqes, uintptr(head&*r.cqMask)*unsafe.Sizeof(ringAnswer{})))
		results[a.userData] = a.res
		head++
	}
	atomic.StoreUint32(r.cqHead, head) // the kernel may have the places again
	return nil
}

// register lets the kernel keep hold of b's pages, in place of those before, so
// that it need not look them up for each write. Where it may not, for want of
// RLIMIT_MEMLOCK, writes do without.
func (r *ring) register(b []byte) {
	if r.registered != nil {
		_, _, _ = unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), ringForgetBuffers, 0, 0, 0, 0)
		r.registered = nil
	}
	iov := unix.Iovec{Base: unsafe.SliceData(b), Len: uint64(len(b))}
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), ringRegisterBuffers, uintptr(unsafe.Pointer(&iov)), 1, 0, 0)
	if errno == 0 {
		r.registered = b
	}
}

// holds reports whether b lies in the registered memory.
func (r *ring) holds(b []byte) bool {
	if len(r.registered) == 0 || len(b) == 0 {
		return false
	}
	from, at := uintptr(unsafe.Pointer(&r.registered[0])), uintptr(unsafe.Pointer(&b[0]))
	return at >= from && at+uintptr(len(b)) <= from+uintptr(len(r.registered))
}

func (r *ring) close() error {
	var err error
	for _, m := range [][]byte{r.mem, r.sqes} {
		if m != nil {
			err = errors.Join(err, unix.Munmap(m))
		}
	}
	return errors.Join(err, unix.Close(r.fd))
}

// ringFile is a [DirectFile] whose syncs go through a [ring], with the write
// before them. A write alone is a plain call: by a ring it was up to seven times
// slower, for the kernel leaves writes into blocks that were never written to a
// thread of its own.
type ringFile struct {
	osDirect
	ring *ring
}

func (f *ringFile) Buffer(n int) []byte {
	b := Aligned(n)
	f.ring.register(b)
	return b
}

// WriteSync links the sync to the write of the last buffer.
func (f *ringFile) WriteSync(bufs [][]byte, off int64) (written int64, err error) {
	if err := checkDirect(bufs, off); err != nil {
		return 0, opError(OpWrite, f.name, err)
	}
	var b []byte
	if last := len(bufs) - 1; last >= 0 {
		if written, err = f.WriteAt(bufs[:last], off); err != nil {
			return written, err
		}
		b = bufs[last]
	}
	for len(b) > 0 {
		n, synced, err := f.writeSync(b, off+written)
		written += int64(n)
		if synced || err != nil {
			return written, err
		}
		b = b[n:]
	}
	return written, f.sync()
}

// writeSync is one write and a sync linked to it. A short write breaks the link:
// then nothing was synced.
func (f *ringFile) writeSync(b []byte, off int64) (n int, synced bool, err error) {
	req := ringRequest{
		op: ringOpWrite, flags: ringLink, fd: int32(f.file.Fd()), off: uint64(off),
		addr: uint64(uintptr(unsafe.Pointer(&b[0]))), len: uint32(min(len(b), 1<<30)),
	}
	if f.ring.holds(b) {
		req.op = ringOpWriteFixed
	}
	f.ring.put(req)
	f.ring.put(f.syncRequest(1))
	var results [2]int32
	err = f.ring.submit(results[:])
	runtime.KeepAlive(b) // a request has its address as a number
	if err != nil {
		return 0, false, opError(OpWrite, f.name, err)
	}
	switch n = int(results[0]); {
	case n == -int(unix.EINTR) || n == -int(unix.EAGAIN):
		return 0, false, nil // nothing was done: again
	case n < 0:
		return 0, false, opError(OpWrite, f.name, unix.Errno(-n))
	case n == 0:
		return 0, false, opError(OpWrite, f.name, io.ErrShortWrite)
	case n < len(b):
		return n, false, nil
	}
	return n, true, f.syncResult(results[1])
}

func (f *ringFile) syncRequest(userData uint64) ringRequest {
	return ringRequest{op: ringOpFsync, fd: int32(f.file.Fd()), opFlags: ringFsyncData, userData: userData}
}

func (f *ringFile) sync() error {
	var results [1]int32
	f.ring.put(f.syncRequest(0))
	if err := f.ring.submit(results[:]); err != nil {
		return opError(OpSync, f.name, err)
	}
	return f.syncResult(results[0])
}

func (f *ringFile) syncResult(res int32) error {
	if res < 0 {
		return opError(OpSync, f.name, unix.Errno(-res))
	}
	return nil
}

func (f *ringFile) Close() error {
	return errors.Join(opError(OpClose, f.name, f.ring.close()), f.osDirect.Close())
}
