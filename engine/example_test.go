package engine_test

import (
	"context"
	"fmt"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A log of a design that is chosen by name, in memory: on a disk it is vfs.OS{}.
// What was appended is durable once Wait returns, for the policy "always" says so.
func ExampleStore() {
	if err := keepTwo(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// offsets 0 to 1, durable below 2
	// 0 a=1
	// 1 b=2
}

func keepTwo(ctx context.Context) error {
	store, err := engine.OpenStore(engine.StoreOptions{FS: vfs.NewMem(), Dir: "/data", NodeID: 1})
	if err != nil {
		return err
	}
	defer store.Close()
	config, err := engine.DefaultConfig().With(map[string]string{"bobbin.design": "file+mmap+always+keep"})
	if err != nil {
		return err
	}
	log, err := store.Create("orders-0", engine.LogOptions{Config: config})
	if err != nil {
		return err
	}

	wire := batch.Of(
		batch.Record{Key: []byte("a"), Value: []byte("1")},
		batch.Record{Key: []byte("b"), Value: []byte("2")},
	).Bytes()
	set, err := batch.Parse(wire)
	if err != nil {
		return err
	}
	at, err := log.Append(set, 0) // of leader epoch 0
	if err != nil {
		return err
	}
	if err := log.Wait(ctx, at.Next); err != nil {
		return err
	}
	fmt.Printf("offsets %d to %d, durable below %d\n", at.Base, at.Next-1, log.Marks().Durable)

	extent, err := log.Read(ctx, engine.Read{From: at.Base, UpTo: at.Next, MaxBytes: 1 << 20})
	if err != nil {
		return err
	}
	defer extent.Release()
	kept := make([]byte, extent.Len())
	if _, err := extent.ReadAt(kept, 0); err != nil {
		return err
	}
	for r, err := range batch.Batch(kept).Records(0) {
		if err != nil {
			return err
		}
		fmt.Printf("%d %s=%s\n", r.Offset, r.Key, r.Value)
	}
	return nil
}
