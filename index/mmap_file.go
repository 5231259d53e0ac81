package index

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// This half of mmapIndex opens, lengthens, cuts and maps the file.

// openAdding opens or makes the file, with room for more.
func (x *mmapIndex) openAdding(o Options) (err error) {
	f, err := x.fs.Open(x.path)
	made := errors.Is(err, fs.ErrNotExist)
	if made {
		f, err = x.fs.Create(x.path)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
			if made {
				err = errors.Join(err, x.fs.Remove(x.path))
			}
		}
	}()
	if o.Reset && !made {
		if err := reset(f); err != nil {
			return err
		}
	}
	length, err := f.Size()
	if err != nil {
		return err
	}
	if err := x.whole(length); err != nil {
		return err
	}
	// Also when it is long enough: a file that Kafka left has holes.
	length = max(length, int64(x.step(0)))
	if length > 0 {
		if err := f.Preallocate(length); err != nil {
			return err
		}
	}
	m, mem, n, err := x.read(f, length)
	if err != nil {
		return err
	}
	x.file, x.mapping, x.mu.mem = f, m, mem
	x.count.Store(int64(n))
	x.room = mem[:min(len(mem), x.limit)]
	if n > 0 {
		x.last = x.entry(mem, n-1)
	}
	return nil
}

// step is the length that follows on length, in bytes.
func (x *mmapIndex) step(length int) int {
	next := min(x.limit, max(minReserveBytes, 2*length))
	return next / x.size() * x.size()
}

// reset empties a file, durably: after a crash, blocks of what it held must not
// come back between the new entries, where they could look right.
func reset(f vfs.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	return f.Sync()
}

// whole checks a file's length.
func (x *mmapIndex) whole(length int64) error {
	if over := length % int64(x.size()); over != 0 {
		return fmt.Errorf("%w: %s: %d bytes is no multiple of %d", ErrCorrupt, x.path, length, x.size())
	}
	return nil
}

// read maps the file, and counts and checks the entries in it.
func (x *mmapIndex) read(f vfs.File, length int64) (m vfs.Mapping, mem []byte, n int, err error) {
	if length == 0 {
		// An empty file is a valid index, and cannot be mapped.
		return nil, []byte{}, 0, nil
	}
	if m, err = f.Map(length); err != nil {
		return nil, nil, 0, err
	}
	mem = m.Bytes()
	n = x.layout.count(mem)
	if err := x.check(mem, n); err != nil {
		err = fmt.Errorf("%w: %s: %w", ErrCorrupt, x.path, err)
		return nil, nil, 0, errors.Join(err, m.Unmap())
	}
	return m, mem, n, nil
}

// grow makes the file, and room, longer. That the disk is full is ErrFull, too:
// the next step, to roll, meets the full disk again where that is handled.
func (x *mmapIndex) grow() error {
	length := x.step(len(x.room))
	if length <= len(x.room) {
		return ErrFull
	}
	x.busy <- struct{}{}
	defer func() { <-x.busy }()
	if err := x.file.Preallocate(int64(length)); err != nil {
		x.noRoom = true
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	x.noRoom = false
	// Readers that come meanwhile find the index unread, and wait in load. If
	// this fails they read it as a sealed one, and so it stays.
	x.room = nil
	if err := x.unmap(unread); err != nil {
		return err
	}
	m, err := x.file.Map(int64(length))
	if err != nil {
		return err
	}
	x.mapping, x.room = m, m.Bytes()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.mu.mem, x.mu.state = x.room, adding
	return nil
}

// load maps and checks a sealed index.
func (x *mmapIndex) load() {
	x.busy <- struct{}{}
	defer func() { <-x.busy }()
	x.mu.RLock()
	state := x.mu.state
	x.mu.RUnlock()
	if state != unread {
		return // somebody else was first
	}
	m, mem, n, err := x.loadFile()
	x.mapping = m
	x.mu.Lock()
	defer x.mu.Unlock()
	x.mu.mem, x.mu.err = mem, err
	x.mu.state = sealed
	if err != nil {
		x.mu.state = broken
	}
	x.count.Store(int64(n))
}

func (x *mmapIndex) loadFile() (m vfs.Mapping, mem []byte, n int, err error) {
	f := x.file
	if f == nil {
		if f, err = x.fs.OpenRead(x.path); err != nil {
			return nil, nil, 0, err
		}
		// A mapping outlives its descriptor, of which there may be too few.
		defer func() { err = errors.Join(err, f.Close()) }()
	}
	length, err := f.Size()
	if err != nil {
		return nil, nil, 0, err
	}
	if err := x.whole(length); err != nil {
		return nil, nil, 0, err
	}
	return x.read(f, length)
}

// trim cuts the file to n entries, maps them and leaves the index in state to.
// Readers that come meanwhile find it unread, and wait in load until it is done.
// The caller holds busy.
func (x *mmapIndex) trim(n int, to state) error {
	if err := x.unmap(unread); err != nil {
		return err
	}
	if x.file == nil {
		f, err := x.fs.Open(x.path)
		if err != nil {
			return err
		}
		x.file = f
	}
	length := int64(n) * int64(x.size())
	if err := x.file.Truncate(length); err != nil {
		return err
	}
	m, mem, _, err := x.read(x.file, length)
	if err != nil {
		return err
	}
	x.mapping = m
	x.mu.Lock()
	defer x.mu.Unlock()
	x.mu.mem, x.mu.state = mem, to
	x.count.Store(int64(n))
	return nil
}

// unseal cuts a sealed index to n entries and leaves it open for adding, with
// no room yet: the first Add grows it. The caller holds busy.
func (x *mmapIndex) unseal(n int) error {
	if err := x.trim(n, adding); err != nil {
		return err
	}
	x.room = x.mu.mem[:min(len(x.mu.mem), x.limit)]
	return x.file.Sync()
}

// unmap takes the memory away from readers, and leaves the index in state to.
func (x *mmapIndex) unmap(to state) error {
	x.mu.Lock()
	x.mu.mem, x.mu.state = nil, to
	x.mu.Unlock()
	m := x.mapping
	x.mapping = nil
	if m == nil {
		return nil
	}
	return m.Unmap()
}
