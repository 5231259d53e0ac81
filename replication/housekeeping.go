package replication

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/bobbin-log/bobbin/engine"
)

// highWatermarks is Kafka's name for the file with the partitions' high
// watermarks, in the format of engine.WriteCheckpoint.
const highWatermarks = "replication-offset-checkpoint"

// keepHouse does what is due every RetentionCheck until the context ends.
func (n *Node) keepHouse(ctx context.Context) {
	t, room := time.NewTicker(n.o.RetentionCheck), time.NewTicker(roomCheck)
	defer t.Stop()
	defer room.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			n.reserve.refill()
			n.tick(ctx)
		case <-room.C:
			n.findRoom(ctx)
		}
	}
}

// roomCheck is how often partitions that found a full disk are tried again.
const roomCheck = 2 * time.Second

// findRoom opens the partitions that could not be opened on a full disk.
func (n *Node) findRoom(ctx context.Context) {
	if !n.table.Load().lacksRoom() {
		return
	}
	if u, err := n.Usage(); err == nil && u.Free < reserveStep {
		return
	}
	select {
	case <-n.changes:
		n.reconcile()
		n.changes <- struct{}{}
	case <-ctx.Done():
	}
}

// tick is one round of housekeeping.
func (n *Node) tick(ctx context.Context) {
	n.store.Tick(n.o.Now())
	select {
	case <-n.changes:
	case <-ctx.Done():
		return
	}
	defer func() { n.changes <- struct{}{} }()
	n.reconcile() // after a command that outlived its client's patience
	if err := n.writeHighWatermarks(); err != nil {
		n.log.Warn("high watermarks not written", "err", err)
	}
	n.purgeDeleted(ctx)
}

// writeHighWatermarks replaces the file by the table's marks. Only the holder of
// the token calls it, or Close.
func (n *Node) writeHighWatermarks() error {
	c := engine.Checkpoint{}
	for p := range n.table.Load().all() {
		c[p.log.Name()] = p.HighWatermark()
	}
	// A partition whose log is gone keeps the mark that says so.
	for name, mark := range n.lost {
		c[name] = mark
	}
	if err := engine.WriteCheckpoint(n.o.FS, n.o.Dir, highWatermarks, c); err != nil {
		return fmt.Errorf("%s: %w", highWatermarks, err)
	}
	return nil
}

// findLost reads the marks of the last run and notes the partitions that had
// records then and have no log now. Such a log is not made again: an empty one
// in its place would be served as the truth.
func (n *Node) findLost(image *Image) error {
	marks, err := engine.ReadCheckpoint(n.o.FS, n.o.Dir, highWatermarks)
	if err != nil {
		n.log.Warn("high watermarks of the last run are not known", "err", err)
		return nil
	}
	stale := false
	for name, mark := range marks {
		if !hosts(image, name) {
			stale = true
			continue
		}
		if _, err := n.store.TopicID(name); mark > 0 && errors.Is(err, engine.ErrNotFound) {
			n.lost[name] = mark
		}
	}
	if !stale {
		return nil
	}
	// Marks of a topic that is no more must not speak for one of its name.
	maps.DeleteFunc(marks, func(name string, _ int64) bool { return !hosts(image, name) })
	err = engine.WriteCheckpoint(n.o.FS, n.o.Dir, highWatermarks, marks)
	if errors.Is(err, engine.ErrNoSpace) && n.reserve.spend() {
		err = engine.WriteCheckpoint(n.o.FS, n.o.Dir, highWatermarks, marks)
	}
	return err
}
