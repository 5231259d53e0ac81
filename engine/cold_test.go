package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// evictedFS is a file system that has nothing in memory, and counts what is
// fetched.
type evictedFS struct {
	vfs.FS
	fetches atomic.Int64
}

type evictedFile struct {
	vfs.File
	fs *evictedFS
}

func (e *evictedFS) Create(name string) (vfs.File, error) {
	f, err := e.FS.Create(name)
	return &evictedFile{f, e}, err
}

func (f *evictedFile) Cached(int64, int64) int64 { return 0 }

func (f *evictedFile) Prefetch(int64, int64) { f.fs.fetches.Add(1) }

// TestReadColdBesideSyncs: a read of what is not in memory is paced after a sync,
// unless the store is told not to care.
func TestReadColdBesideSyncs(t *testing.T) {
	for _, c := range []struct {
		share float64
		sync  string
		paced bool
	}{{0, "always", true}, {0, "journal", true}, {1, "always", false}, {0, "none", false}} {
		// No time passes between the sync and the read.
		synctest.Test(t, func(t *testing.T) {
			fs := &evictedFS{FS: vfs.NewMem()}
			s, err := engine.OpenStore(engine.StoreOptions{FS: fs, Dir: "/data", NodeID: 1, ColdShare: c.share})
			if err != nil {
				t.Fatal(err)
			}
			config := engine.DefaultConfig()
			config.Design.Sync = c.sync
			l := create(t, s, "t-0", config)
			a := mustAppend(t, l, records(3, "x", 1))
			e, err := l.Read(context.Background(), engine.Read{From: 0, UpTo: a.Next, MaxBytes: 1 << 20, AtLeastOne: true})
			if err != nil {
				t.Fatal(err)
			}
			e.Release()
			if n := fs.fetches.Load(); n > 0 != c.paced {
				t.Errorf("share %v, sync %s: %d fetches, want some: %v", c.share, c.sync, n, c.paced)
			}
			closeStore(t, s, l)
		})
	}
}
