package index_test

import (
	"testing"
	"testing/synctest"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A log adds to its indexes and seals them under its lock: whatever time a device
// takes over a Sync, nobody else waits for it.
func TestNobodyWaitsForSync(t *testing.T) {
	for _, d := range index.Designs {
		for _, k := range []index.Kind{index.Offsets, index.Times} {
			t.Run("design="+d.Name+"/kind="+kindName(k), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { syncSlowly(t, subject{Design: d, kind: k, dir: "/"}) })
			})
		}
	}
}

func syncSlowly(t *testing.T, s subject) {
	device := make(chan struct{})
	s.fs = vfs.NewInject(vfs.NewMem(), vfs.Rules(vfs.Rule{
		Kinds: []vfs.Kind{vfs.OpSync, vfs.OpFlush}, Wait: func(vfs.Op) { <-device },
	}))
	x := s.open(t, s.options())
	defer x.Close()
	es := s.entries(5000) // more than the file has room for at first
	add(t, x, es[:10]...)
	synced, sealed := make(chan error, 1), make(chan error, 1)
	go func() { synced <- x.Sync() }()
	synctest.Wait()
	if s.OnDisk && len(synced) > 0 {
		t.Fatal("Sync did not go to the device")
	}
	go func() {
		add(t, x, es[10:]...)
		if s.Keeps {
			holds(t, x, es)
		}
		sealed <- x.Seal()
	}()
	synctest.Wait()
	if len(sealed) == 0 {
		t.Error("Add or Seal waits for a Sync")
	}
	close(device)
	for _, done := range []chan error{synced, sealed} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
