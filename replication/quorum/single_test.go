package quorum

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

func oneRecord(t testing.TB) batch.Set {
	t.Helper()
	s, err := batch.Parse(batch.Of(batch.Record{Timestamp: 1, Value: []byte("v")}).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openSingle opens a log under a sync policy, on a disk whose syncs wait for the
// returned function once hold was called.
func openSingle(t testing.TB, policy string) (s *Single, hold func() (release func())) {
	t.Helper()
	gate := make(chan chan struct{}, 1)
	gate <- nil
	fs := vfs.NewInject(vfs.NewMem(), nil)
	fs.Before = func(op vfs.Op) error {
		if op.Kind != vfs.OpSync {
			return nil
		}
		closed := <-gate
		gate <- closed
		if closed != nil {
			<-closed
		}
		return nil
	}
	store, err := engine.OpenStore(engine.StoreOptions{FS: fs, Dir: "/data", NodeID: 1})
	if err != nil {
		t.Fatal(err)
	}
	c := engine.DefaultConfig()
	c.Design.Sync = policy
	l, err := store.Create("t-0", engine.LogOptions{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return NewSingle(l), func() func() {
		closed := make(chan struct{})
		<-gate
		gate <- closed
		return func() {
			<-gate
			gate <- nil
			close(closed)
		}
	}
}

// TestSingleAcks holds what each acks means to each sync policy, while the disk
// has not synced yet.
func TestSingleAcks(t *testing.T) {
	for _, c := range []struct {
		policy string
		acks   Acks
		done   bool // before the sync
		high   int64
	}{
		{"always", None, true, 0},
		{"always", Leader, false, 0},
		{"always", All, false, 0},
		{"none", None, true, 1},
		{"none", Leader, true, 1},
		{"none", All, true, 1},
	} {
		t.Run(fmt.Sprintf("sync=%s/acks=%s", c.policy, c.acks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, hold := openSingle(t, c.policy)
				release := hold()
				p, err := s.Append(oneRecord(t), 0, c.acks)
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if p.Base != 0 || p.Next != 1 || p.Done() != c.done || s.Committed() != c.high {
					t.Errorf("[%d, %d) done %v high %d, want done %v high %d", p.Base, p.Next, p.Done(), s.Committed(), c.done, c.high)
				}
				if !c.done {
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					if err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
						t.Errorf("waited in vain: %v", err)
					}
				}
				release()
				if err := p.Wait(t.Context()); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				if !p.Done() || s.Committed() != 1 {
					t.Errorf("after the sync: done %v high %d", p.Done(), s.Committed())
				}
			})
		})
	}
}

func TestSingleRefusesAcks(t *testing.T) {
	s, _ := openSingle(t, "none")
	for _, acks := range []Acks{-2, 2, 100} {
		if _, err := s.Append(oneRecord(t), 0, acks); !errors.Is(err, ErrAcks) {
			t.Errorf("acks %d: %v, want ErrAcks", acks, err)
		}
	}
	if s.Committed() != 0 {
		t.Error("something was appended")
	}
	if !(Pending{}).Done() || (Pending{}).Wait(t.Context()) != nil {
		t.Error("the zero Pending has something to wait for")
	}
}

// TestSingleAllocatesNothing: acknowledging costs no memory.
func TestSingleAllocatesNothing(t *testing.T) {
	s, _ := openSingle(t, "none")
	set, ctx := oneRecord(t), t.Context()
	if n := testing.AllocsPerRun(100, func() {
		p, err := s.Append(set, 0, All)
		if err == nil {
			err = p.Wait(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
	}); n >= 1 {
		t.Errorf("%.1f allocations an append", n)
	}
}
