package index

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync"
	"sync/atomic"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// mmapIndex keeps its entries in a mapped file, as [layout] says.
//
// While entries are added the file is longer than they are, with its blocks
// reserved: a store into a mapping cannot report a full disk, it kills the
// process. It starts at minReserveBytes and doubles up to MaxBytes; Seal cuts it
// to its entries. (Kafka makes it MaxBytes long at once, but sparse. Reserving
// that much would cost 20 MiB of disk for each idle partition.)
//
// A sealed index that is opened costs nothing until it is asked: a broker opens
// thousands and asks few. The first question maps and checks it; if it cannot
// be an index it has no entries from then on, which sends the reader to the
// segment itself, and Err says why.
//
// # Lookups beside Add
//
// Floor, Last and Len do not wait for Add, nor Add for them, but when the file
// grows:
//
//   - Add stores an entry's bytes and only then count, by an atomic store. A
//     reader loads count first, so all bytes below it were stored before.
//   - The bytes below count are changed by Truncate alone, and the memory is
//     taken away by grow, Seal and Close alone. Each does it holding mu, which
//     every reader holds shared from before it loads count to after its last
//     look.
//   - Add writes only past count, where no reader looks, and runs beside none
//     of the four.
type mmapIndex struct {
	layout
	fs   vfs.FS
	path string

	// count is the number of entries. Changed by the one writer, and by the
	// first use of a sealed index.
	count atomic.Int64

	mu struct {
		sync.RWMutex
		state state
		// mem is the mapped file; nil unless state is adding or sealed.
		mem []byte
		// err is why the state is broken.
		err error
	}

	// busy is held by whoever changes file or mapping. It is a channel because it
	// is held across I/O, which may wait in virtual time; mu is held across none.
	// An Add that needs room and a Seal wait for it, and so it is not held by the
	// Sync of an index that is added to: they are called where nobody may wait for
	// a device. What keeps the file open for that is syncing, which comes first.
	busy    chan struct{}
	syncing chan struct{}
	file    vfs.File    // nil if nothing is left to be written or synced
	mapping vfs.Mapping // nil if there is none, or of no bytes

	// Owned by the writer.
	room   []byte // mem while state is adding, else nil
	limit  int    // how long room may become, in bytes: whole entries
	noRoom bool   // the disk was full when room should have grown
	last   Entry  // the last entry, if count > 0
}

// minReserveBytes is what an index takes from the disk at least while entries
// are added: enough for 8 MB of log in an index of Offsets.
const minReserveBytes = 16 << 10

// state is what a mmapIndex can do.
type state int

const (
	adding state = iota // mapped as long as the file
	unread              // sealed; to be mapped when asked
	sealed              // mapped as long as its entries
	broken              // found to be no index when asked
	closed
)

func openMmap(fsys vfs.FS, path string, o Options) (Index, error) {
	x := &mmapIndex{
		layout: layout{kind: o.Kind, base: o.Base},
		fs:     fsys,
		path:   path,
		limit:  int(max(o.MaxBytes, 0)),
		busy:   make(chan struct{}, 1),

		syncing: make(chan struct{}, 1),
	}
	x.limit -= x.limit % x.size()
	if o.Sealed && !o.Reset {
		x.mu.state = unread
		return x, nil
	}
	if err := x.openAdding(o); err != nil {
		return nil, err
	}
	return x, nil
}

// Add implements [Index].
func (x *mmapIndex) Add(e Entry) error {
	if x.room == nil {
		return fmt.Errorf("%w: %s", ErrSealed, x.path)
	}
	n := int(x.count.Load())
	if n > 0 && (e.Key <= x.last.Key || e.Value < x.last.Value) {
		return fmt.Errorf("%w: {%d→%d} is not after {%d→%d}", ErrOrder, e.Key, e.Value, x.last.Key, x.last.Value)
	}
	if err := x.fits(e); err != nil {
		return err
	}
	if (n+1)*x.size() > len(x.room) {
		if err := x.grow(); err != nil {
			return err
		}
	}
	x.put(x.room, n, e)
	x.last = e
	x.count.Store(int64(n + 1))
	return nil
}

// Full implements [Index].
func (x *mmapIndex) Full() bool {
	return x.room == nil || x.noRoom || (int(x.count.Load())+1+x.spare())*x.size() > x.limit
}

// enter takes mu shared, after a sealed index was read that was not yet. It
// returns the mapped entries.
func (x *mmapIndex) enter() []byte {
	x.mu.RLock()
	for x.mu.state == unread {
		x.mu.RUnlock()
		x.load()
		x.mu.RLock()
	}
	if x.mu.mem == nil {
		return nil
	}
	return x.mu.mem[:int(x.count.Load())*x.size()]
}

// Floor implements [Index].
func (x *mmapIndex) Floor(key int64) (Entry, bool) {
	mem := x.enter()
	defer x.mu.RUnlock()
	i := x.floor(mem, len(mem)/x.size(), key)
	if i < 0 {
		return Entry{}, false
	}
	return x.entry(mem, i), true
}

// Last implements [Index].
func (x *mmapIndex) Last() (Entry, bool) {
	mem := x.enter()
	defer x.mu.RUnlock()
	if len(mem) == 0 {
		return Entry{}, false
	}
	return x.entry(mem, len(mem)/x.size()-1), true
}

// Len implements [Index].
func (x *mmapIndex) Len() int {
	defer x.mu.RUnlock()
	return len(x.enter()) / x.size()
}

// All takes the lock anew for every entry: yield may do what it likes.
func (x *mmapIndex) All(yield func(Entry) bool) {
	for i := 0; ; i++ {
		mem := x.enter()
		if i >= len(mem)/x.size() {
			x.mu.RUnlock()
			return
		}
		e := x.entry(mem, i)
		x.mu.RUnlock()
		if !yield(e) {
			return
		}
	}
}

// Err implements [Index].
func (x *mmapIndex) Err() error {
	x.enter()
	defer x.mu.RUnlock()
	return x.mu.err
}

// Truncate makes what it drops go durably: it would otherwise come back after a
// crash, and point at what was written in its place.
func (x *mmapIndex) Truncate(key int64) error {
	mem := x.enter()
	state, err := x.mu.state, x.mu.err
	n := 0
	if key > math.MinInt64 {
		n = x.floor(mem, len(mem)/x.size(), key-1) + 1
	}
	kept := n * x.size()
	if n > 0 {
		x.last = x.entry(mem, n-1)
	}
	x.mu.RUnlock()
	switch {
	case state == closed:
		return fmt.Errorf("index: %s: %w", x.path, fs.ErrClosed)
	case err != nil:
		return err
	case state == sealed:
		x.busy <- struct{}{}
		defer func() { <-x.busy }()
		return x.unseal(n)
	case kept == len(mem):
		return nil
	}
	x.busy <- struct{}{}
	defer func() { <-x.busy }()
	x.mu.Lock()
	x.count.Store(int64(n))
	clear(mem[kept:])
	x.mu.Unlock()
	return x.mapping.Flush()
}

// Seal implements [Index].
func (x *mmapIndex) Seal() error {
	if x.room == nil {
		return nil
	}
	x.busy <- struct{}{}
	defer func() { <-x.busy }()
	x.room = nil
	return x.trim(int(x.count.Load()), sealed)
}

// Sync may run beside everything. It is fdatasync and not msync: that writes the same
// pages, and needs no mapping to hold still while the index grows or is sealed.
func (x *mmapIndex) Sync() error {
	x.syncing <- struct{}{}
	defer func() { <-x.syncing }()
	x.busy <- struct{}{}
	f := x.file
	if f == nil {
		<-x.busy
		return nil // nothing was written
	}
	x.mu.RLock()
	state := x.mu.state
	x.mu.RUnlock()
	if state == adding {
		mapped := x.mapping != nil
		<-x.busy
		if !mapped {
			return nil
		}
		return f.Sync()
	}
	defer func() { <-x.busy }()
	if err := f.Sync(); err != nil {
		return err
	}
	// Nothing is left to write; a sealed index needs no descriptor.
	x.file = nil
	return f.Close()
}

// Close implements [Index].
func (x *mmapIndex) Close() error {
	x.syncing <- struct{}{}
	defer func() { <-x.syncing }()
	x.busy <- struct{}{}
	defer func() { <-x.busy }()
	n, adding := x.count.Load(), x.room != nil
	x.room = nil
	err := x.unmap(closed)
	if x.file == nil {
		return err
	}
	if adding && err == nil {
		err = x.file.Truncate(n * int64(x.size()))
	}
	err = errors.Join(err, x.file.Close())
	x.file = nil
	return err
}
