package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// sectorSize is what a disk writes whole or not at all.
const sectorSize = 512

// disk is a disk with a volatile cache.
//
// Written sectors are in the cache until a flush writes all of them to the backing file. A loss of power writes some,
// each by the fall of a die: order counts for nothing, and of the eight sectors of a page of a file system any may be
// the old ones. Without power everything fails with EIO, and so does a flush that was under way: it has flushed nothing
// that anybody may rely on.
//
// Not modelled: a disk that says that it has flushed and has not, and bytes that rot.
type disk struct {
	backing *os.File
	size    int64
	mu      struct {
		sync.Mutex
		cache     map[int64]*[sectorSize]byte // by the sector's number
		off       bool
		flushFail syscall.Errno
		readFail  syscall.Errno
		delay     time.Duration
		flushes   int
	}
}

func newDisk(backing *os.File, size int64) *disk {
	d := &disk{backing: backing, size: size}
	d.mu.cache = map[int64]*[sectorSize]byte{}
	return d
}

// read fills p with what the disk has from off on, the cache before the backing file.
func (d *disk) read(p []byte, off int64) (int, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if fail := d.mu.readFail; fail != 0 || d.mu.off {
		return 0, max(fail, eio(d.mu.off))
	}
	n, err := d.backing.ReadAt(p[:max(0, min(int64(len(p)), d.size-off))], off)
	if err != nil && n == 0 && off < d.size {
		return 0, syscall.EIO
	}
	for sector := off / sectorSize; sector*sectorSize < off+int64(n); sector++ {
		data, ok := d.mu.cache[sector]
		if !ok {
			continue
		}
		from := max(0, off-sector*sectorSize)
		copy(p[max(0, sector*sectorSize-off):n], data[from:])
	}
	return n, 0
}

func eio(failed bool) syscall.Errno {
	if failed {
		return syscall.EIO
	}
	return 0
}

// write puts p into the cache. A loop device writes whole sectors.
func (d *disk) write(p []byte, off int64) syscall.Errno {
	if off%sectorSize != 0 || len(p)%sectorSize != 0 || off+int64(len(p)) > d.size {
		return syscall.EINVAL
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.off {
		return syscall.EIO
	}
	for i := 0; i < len(p); i += sectorSize {
		data := [sectorSize]byte(p[i:])
		d.mu.cache[(off+int64(i))/sectorSize] = &data
	}
	return 0
}

// flush makes what was written durable, after the delay there may be.
func (d *disk) flush() syscall.Errno {
	d.mu.Lock()
	delay := d.mu.delay
	d.mu.Unlock()
	time.Sleep(delay)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.flushes++
	if fail := d.mu.flushFail; fail != 0 || d.mu.off {
		return max(fail, eio(d.mu.off))
	}
	return d.settle(func() bool { return true })
}

// settle empties the cache; what stays goes to the backing file.
func (d *disk) settle(stays func() bool) syscall.Errno {
	for _, sector := range slices.Sorted(maps.Keys(d.mu.cache)) {
		if !stays() {
			continue
		}
		if _, err := d.backing.WriteAt(d.mu.cache[sector][:], sector*sectorSize); err != nil {
			return syscall.EIO
		}
	}
	clear(d.mu.cache)
	return 0
}

// cut is a loss of power.
func (d *disk) cut(seed uint64, keepPercent int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.off = true
	rng := rand.New(rand.NewPCG(seed, 0))
	if e := d.settle(func() bool { return rng.IntN(100) < keepPercent }); e != 0 {
		return e
	}
	return nil
}

// power brings the power back, and all orders to fail are forgotten.
func (d *disk) power() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.off, d.mu.flushFail, d.mu.readFail, d.mu.delay = false, 0, 0, 0
}

func (d *disk) failFlush(e syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.flushFail = e
}

func (d *disk) failRead(e syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.readFail = e
}

func (d *disk) slow(delay time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.delay = delay
}

func (d *disk) status() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Sprintf("%d bytes in the cache, %d flushes", len(d.mu.cache)*sectorSize, d.mu.flushes)
}
