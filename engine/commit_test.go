package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// An append that nobody waits for becomes durable, and visible, by Flush or by
// a Wait that was given up before it began.
func TestFlushWithoutWaiting(t *testing.T) {
	for name, ask := range map[string]func(*engine.Log) error{
		"flush": func(l *engine.Log) error { l.Flush(); return nil },
		"wait": func(l *engine.Log) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := l.Wait(ctx, 1); !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openStore(t, vfs.NewMem(), "/data")
				l := create(t, s, "t-0", engine.DefaultConfig())
				defer closeStore(t, s, l)
				changed := l.Changed()
				a, err := appendSpec(l, records(1, "x", 1))
				if err != nil {
					t.Fatal(err)
				}
				if l.Acked(a.Next) {
					t.Fatal("acknowledged before anybody asked for a sync")
				}
				if err := ask(l); err != nil {
					t.Fatal(err)
				}
				<-changed
				if !l.Acked(a.Next) {
					t.Error("not durable after the change")
				}
			})
		})
	}
}

// Those who wait while somebody syncs are served by one sync after it.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		syncs, gate := 0, make(chan struct{})
		fs := vfs.NewInject(vfs.NewMem(), func(op vfs.Op) error {
			if op.Kind == vfs.OpSync && op.Path == "/data/t-0/00000000000000000000.log" {
				syncs++
				<-gate
			}
			return nil
		})
		s := openStore(t, fs, "/data")
		l := create(t, s, "t-0", engine.DefaultConfig())
		const writers = 20
		done := make(chan error, writers)
		for range writers {
			go func() {
				a, err := appendSpec(l, records(1, "x", 1))
				if err == nil {
					err = l.Wait(context.Background(), a.Next)
				}
				done <- err
			}()
			synctest.Wait()
		}
		close(gate)
		for range writers {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if syncs != 2 {
			t.Errorf("%d syncs for one writer and %d who came while it synced, want 2", syncs, writers-1)
		}
		closeStore(t, s, l)
	})
}
