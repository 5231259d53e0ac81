package index

import "github.com/bobbin-log/bobbin/segment/vfs"

// noneIndex keeps nothing: every lookup scans its segment from the start. It
// shows what an index is worth, and makes a log without index files.
type noneIndex struct{}

func openNone(vfs.FS, string, Options) (Index, error) { return noneIndex{}, nil }

// Add forgets e.
func (noneIndex) Add(Entry) error { return nil }

// Floor finds nothing.
func (noneIndex) Floor(int64) (Entry, bool) { return Entry{}, false }

// Last finds nothing.
func (noneIndex) Last() (Entry, bool) { return Entry{}, false }

// All yields nothing.
func (noneIndex) All(func(Entry) bool) {}

// Truncate has nothing to drop.
func (noneIndex) Truncate(int64) error { return nil }

// Len is zero.
func (noneIndex) Len() int { return 0 }

// Full is never so.
func (noneIndex) Full() bool { return false }

// Err is nil: nothing can be damaged.
func (noneIndex) Err() error { return nil }

// Sync has nothing to sync.
func (noneIndex) Sync() error { return nil }

// Seal has nothing to give back.
func (noneIndex) Seal() error { return nil }

// Close has nothing to release.
func (noneIndex) Close() error { return nil }
