// Package index finds positions by ordered keys. An index is sparse and never
// authoritative: it may miss entries, it carries no checksum, and it can always
// be rebuilt from the segment that it belongs to.
//
// How entries are kept is a design: see [Designs]. A new one is one file with
// an implementation of [Index], and one line in the table.
package index

import (
	"errors"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Entry maps a key to a value. In an index of [Offsets] the key is the last
// offset of a batch and the value that batch's position in its segment; in an
// index of [Times] the key is a timestamp in milliseconds and the value the
// last offset of the batch that holds it.
type Entry struct{ Key, Value int64 }

// Index is an ordered map of few entries.
//
// One goroutine at a time calls Add, Truncate, Seal and Close; Floor, Last and
// Len may run beside them.
type Index interface {
	// Add adds an entry. Its key must be greater than the last one's, and its
	// value not less: otherwise nothing is added and ErrOrder is returned. It
	// returns ErrFull when the index has no room: time to roll.
	Add(e Entry) error
	// Floor returns the entry with the greatest key <= key.
	// With {10→0 20→100 30→200}: Floor(25) = {20→100}, Floor(9) = none.
	Floor(key int64) (e Entry, ok bool)
	// Last returns the entry with the greatest key.
	Last() (e Entry, ok bool)
	// All yields the entries in order; for checks and tools.
	All(yield func(Entry) bool)
	// Truncate drops the entries with key >= key.
	// With {10→0 20→100 30→200}: Truncate(20) leaves {10→0}. A sealed index can
	// be added to again afterwards, also if nothing was dropped.
	Truncate(key int64) error
	// Len is the number of entries.
	Len() int
	// Full reports that it is time to roll: that the next Add would return
	// ErrFull or, in an index of Times, the one after it. As in Kafka, the last
	// place is for the greatest timestamp of a segment that is rolled.
	Full() bool
	// Err says what is wrong with an index that was opened Sealed, and checks
	// it if nothing was asked of it yet: ErrCorrupt, [fs.ErrNotExist], or an
	// error of the disk. Until it is made anew with Reset, such an index has
	// no entries; so a caller that found none where there should be some asks.
	Err() error
	// Sync makes the entries durable, for designs that keep them on disk. It waits
	// for a device, and neither Add nor Seal nor a lookup waits for it.
	Sync() error
	// Seal gives back what was reserved past the entries. Nothing is added
	// after.
	Seal() error
	// Close releases memory and handles. It seals an index that is still open
	// for adding.
	Close() error
}

// Kind says what an index maps, and so how an entry is laid out on disk.
type Kind int

const (
	// Offsets are Kafka's .index files: 8 bytes, (last offset - base) i32 and
	// position i32.
	Offsets Kind = iota
	// Times are Kafka's .timeindex files: 12 bytes, timestamp i64 and
	// (last offset - base) i32.
	Times
)

// Options say how an index is opened.
type Options struct {
	Kind Kind
	// Base is the base offset of the segment; offsets are stored relative to it.
	Base int64
	// MaxBytes bounds the index on disk; it is reserved while entries are
	// added.
	MaxBytes int64
	// Reset drops whatever the index held, to rebuild it. Sealed is ignored
	// then.
	Reset bool
	// Sealed opens an index that nothing will be added to. Open returns at once
	// and makes no file: the index is read and checked by its first use, and
	// what that finds is told by Err.
	Sealed bool
}

// Design is one way to keep an index.
type Design struct {
	Name string
	// OnDisk says whether entries outlive the process; others start empty and
	// are rebuilt on open.
	OnDisk bool
	// Keeps says whether entries are kept at all while the index is open.
	Keeps bool
	// Dense asks for an entry for every batch, not only once in so many bytes.
	Dense bool
	// Format names how the entries lie in files. Designs of one format can take
	// each other's place; empty: there are no files.
	Format string
	// Open opens the index at path, making it if absent; syncing the directory
	// is the caller's. It checks what it finds: a file that cannot be an index
	// of this kind (length, order, zero padding) is ErrCorrupt, and the caller
	// opens again with Reset.
	Open func(fs vfs.FS, path string, o Options) (Index, error)
}

// Designs lists every index design. The first is the default.
var Designs = []Design{
	{Name: "mmap", OnDisk: true, Keeps: true, Format: "kafka", Open: openMmap},
	{Name: "dense", OnDisk: true, Keeps: true, Dense: true, Format: "kafka", Open: openDense},
	{Name: "btree", Keeps: true, Open: openBtree},
	{Name: "none", Open: openNone},
}

var (
	// ErrFull says that an index has reached its MaxBytes.
	ErrFull = errors.New("index: full")
	// ErrOrder says that an entry is not after the last one.
	ErrOrder = errors.New("index: entry out of order")
	// ErrSealed says that nothing can be added to an index any more.
	ErrSealed = errors.New("index: sealed")
	// ErrCorrupt says that a file is no valid index and must be rebuilt.
	ErrCorrupt = errors.New("index: corrupt")
)
