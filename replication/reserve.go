package replication

import (
	"errors"
	"io/fs"
	"log/slog"
	"path"
	"sync"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// reserve is room on the disk that is kept for the metadata, in the blocks of a
// file that is never read. A disk that producers have filled to its last block
// would otherwise keep a broker from starting, which takes a vote and two
// entries, and so from serving what it has; and it would keep topics from being
// deleted, which is how there is room again.
//
// The file needs not be durable: where a crash takes it, its blocks are free.
type reserve struct {
	fs  vfs.FS
	dir string
	log *slog.Logger
	mu  struct {
		sync.Mutex
		held int64 // bytes that the file has
	}
}

const (
	reserveName = ".reserve"
	// reserveBytes is enough for some hundred starts on a full disk, or for a
	// few thousand entries of metadata.
	reserveBytes = 1 << 20
	// reserveLeast is what it is measured in: a block of most file systems.
	reserveLeast = 4 << 10
	// reserveStep is what is given back at once.
	reserveStep = 64 << 10
	// reservePart is which part of the free room the reserve may be at most,
	// where it is not the first to come.
	reservePart = 8
)

// release gives everything back, also what an earlier run has kept. It reports
// whether there was something.
func (r *reserve) release() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.remove()
}

// remove is release with mu held.
func (r *reserve) remove() bool {
	r.mu.held = 0
	err := r.fs.Remove(r.name())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.log.Warn("room kept for the metadata is not given back", "err", err)
	}
	return err == nil
}

// spend gives a part back. It is false if nothing is left.
func (r *reserve) spend() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.held < reserveLeast+reserveStep {
		return r.remove()
	}
	f, err := r.fs.Open(r.name())
	if err == nil {
		err = errors.Join(f.Truncate(r.mu.held-reserveStep), f.Close())
	}
	if err != nil {
		r.log.Warn("room kept for the metadata is not given back", "err", err)
		return false
	}
	r.mu.held -= reserveStep
	return true
}

// take keeps as much as there is, up to reserveBytes: before anybody else wants
// it.
func (r *reserve) take() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.held == reserveBytes {
		return
	}
	f, err := r.fs.Open(r.name())
	if errors.Is(err, fs.ErrNotExist) {
		f, err = r.fs.Create(r.name())
	}
	if err != nil {
		r.log.Debug("no room is kept for the metadata", "err", err)
		return
	}
	for more := int64(reserveBytes); more >= reserveLeast; more /= 2 {
		if r.mu.held+more > reserveBytes {
			continue
		}
		if err = f.Preallocate(r.mu.held + more); err == nil {
			r.mu.held += more
		}
	}
	held := r.mu.held
	if closing := f.Close(); held == 0 || closing != nil {
		r.remove()
	}
	if held < reserveBytes {
		r.log.Debug("less room is kept for the metadata than should be", "bytes", held, "err", err)
	}
}

// halve gives half of it back.
func (r *reserve) halve() {
	for range reserveBytes / reserveStep / 2 {
		r.spend()
	}
}

// refill is take where there is plenty of room, for others want it as well.
func (r *reserve) refill() {
	if u, err := r.fs.Usage(r.dir); err == nil && u.Free >= reserveBytes*reservePart {
		r.take()
	}
}

func (r *reserve) name() string { return path.Join(r.dir, reserveName) }
