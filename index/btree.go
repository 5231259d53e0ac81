package index

import (
	"fmt"
	"io/fs"
	"math"
	"sync"

	"github.com/google/btree"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// btreeIndex keeps its entries in a B-tree in memory and writes nothing: no
// index file is reserved, grown, synced or found damaged after a crash. The
// price is paid on open, when the log reads every batch header of every segment
// to fill it again, and in memory: about 50 bytes for each entry, for nodes that
// are filled in order stay half empty.
//
// A tree is more than an index of a log needs: entries only ever come at the end,
// and a sorted slice would find them as fast. It is here as the comparator that
// everybody thinks of first, and shows what its generality costs.
//
// The bounds are those of the designs on disk, MaxBytes too, so that a log rolls
// where it would with them. One lock is enough: nobody holds it longer than a
// search takes.
type btreeIndex struct {
	layout // of which only the bounds are used
	path   string
	limit  int // entries

	mu struct {
		sync.RWMutex
		tree   *btree.BTreeG[Entry] // nil once closed
		last   Entry                // if there is any
		sealed bool
	}
}

// btreeDegree makes nodes of up to 63 entries, 1 KiB: a few lines of the cache
// for each level, and three levels for what 10 MiB of index hold.
const btreeDegree = 32

func openBtree(_ vfs.FS, path string, o Options) (Index, error) {
	x := &btreeIndex{layout: layout{kind: o.Kind, base: o.Base}, path: path}
	x.limit = int(max(o.MaxBytes, 0)) / x.size()
	x.mu.tree = btree.NewG(btreeDegree, func(a, b Entry) bool { return a.Key < b.Key })
	x.mu.sealed = o.Sealed && !o.Reset
	return x, nil
}

// Add implements [Index].
func (x *btreeIndex) Add(e Entry) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.mu.tree == nil || x.mu.sealed {
		return fmt.Errorf("%w: %s", ErrSealed, x.path)
	}
	n := x.mu.tree.Len()
	if n > 0 && (e.Key <= x.mu.last.Key || e.Value < x.mu.last.Value) {
		return fmt.Errorf("%w: {%d→%d} is not after {%d→%d}", ErrOrder, e.Key, e.Value, x.mu.last.Key, x.mu.last.Value)
	}
	if err := x.fits(e); err != nil {
		return err
	}
	if n >= x.limit {
		return ErrFull
	}
	x.mu.tree.ReplaceOrInsert(e)
	x.mu.last = e
	return nil
}

// Floor implements [Index].
func (x *btreeIndex) Floor(key int64) (e Entry, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.mu.tree == nil {
		return Entry{}, false
	}
	x.mu.tree.DescendLessOrEqual(Entry{Key: key}, func(found Entry) bool {
		e, ok = found, true
		return false
	})
	return e, ok
}

// Last implements [Index].
func (x *btreeIndex) Last() (Entry, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.mu.tree == nil || x.mu.tree.Len() == 0 {
		return Entry{}, false
	}
	return x.mu.last, true
}

// All looks the next entry up anew each time: yield may do what it likes.
func (x *btreeIndex) All(yield func(Entry) bool) {
	for from := int64(math.MinInt64); ; {
		e, ok := x.ceiling(from)
		if !ok || !yield(e) || e.Key == math.MaxInt64 {
			return
		}
		from = e.Key + 1
	}
}

// ceiling returns the entry with the least key >= key.
func (x *btreeIndex) ceiling(key int64) (e Entry, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.mu.tree == nil {
		return Entry{}, false
	}
	x.mu.tree.AscendGreaterOrEqual(Entry{Key: key}, func(found Entry) bool {
		e, ok = found, true
		return false
	})
	return e, ok
}

// Truncate implements [Index].
func (x *btreeIndex) Truncate(key int64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.mu.tree == nil {
		return fmt.Errorf("index: %s: %w", x.path, fs.ErrClosed)
	}
	x.mu.sealed = false
	for x.mu.tree.Len() > 0 && x.mu.last.Key >= key {
		x.mu.tree.DeleteMax()
		x.mu.last, _ = x.mu.tree.Max()
	}
	return nil
}

// Len implements [Index].
func (x *btreeIndex) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.mu.tree == nil {
		return 0
	}
	return x.mu.tree.Len()
}

// Full implements [Index].
func (x *btreeIndex) Full() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.mu.tree == nil || x.mu.sealed || x.mu.tree.Len()+1+x.spare() > x.limit
}

// Err is nil: there is no file that could be damaged.
func (x *btreeIndex) Err() error { return nil }

// Sync has nothing to sync.
func (x *btreeIndex) Sync() error { return nil }

// Seal implements [Index].
func (x *btreeIndex) Seal() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.mu.sealed = true
	return nil
}

// Close implements [Index].
func (x *btreeIndex) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.mu.tree = nil
	return nil
}
