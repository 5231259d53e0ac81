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

// keepHouse does what is due every RetentionCheck, and every CleanerBackoff, until
// the context ends.
func (n *Node) keepHouse(ctx context.Context) {
	t, room := time.NewTicker(n.o.RetentionCheck), time.NewTicker(roomCheck)
	cool := time.NewTicker(coolEvery)
	defer t.Stop()
	defer room.Stop()
	defer cool.Stop()
	var clean <-chan time.Time
	if n.o.CleanerBackoff > 0 {
		cleaner := time.NewTicker(n.o.CleanerBackoff)
		defer cleaner.Stop()
		clean = cleaner.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			n.reserve.refill()
			n.tick(ctx)
		case <-room.C:
			n.findRoom()
		case <-cool.C:
			n.coolIdle(ctx)
		case <-clean:
			n.store.StartCompacting()
		}
	}
}

// roomCheck is how often partitions that found a full disk are tried again.
const roomCheck = 2 * time.Second

// findRoom opens the partitions that could not be opened on a full disk.
func (n *Node) findRoom() {
	if !n.roomless.Load() {
		return
	}
	if u, err := n.Usage(); err == nil && u.Free < reserveStep {
		return
	}
	n.roomless.Store(false)
	for p := range n.table.Load().all() {
		if errors.Is(p.offline(), engine.ErrNoSpace) {
			_, _ = p.use() // which says what went wrong
		}
	}
}

// tick is one round of housekeeping.
func (n *Node) tick(ctx context.Context) {
	n.store.Tick(n.o.Now())
	n.lookAtCold(ctx)
	select {
	case <-n.changes:
	case <-ctx.Done():
		return
	}
	defer func() { n.changes <- struct{}{} }()
	n.reconcile(nil) // after a command that outlived its client's patience
	if err := n.writeHighWatermarks(); err != nil {
		n.log.Warn("high watermarks not written", "err", err)
	}
	n.purgeDeleted(ctx)
}

// writeHighWatermarks replaces the file by the table's marks. Only the holder of
// the token calls it, or Close.
func (n *Node) writeHighWatermarks() error {
	for _, p := range n.warm.list() {
		if hw := p.HighWatermark(); p.mark.Swap(hw) != hw {
			n.marksChanged.Store(true)
		}
	}
	if !n.marksChanged.Swap(false) {
		return nil
	}
	c := engine.Checkpoint{}
	for p := range n.table.Load().all() {
		c[p.name()] = p.mark.Load() // which says so, where a log is gone
	}
	if err := engine.WriteCheckpoint(n.o.FS, n.o.Dir, highWatermarks, c); err != nil {
		n.marksChanged.Store(true)
		return fmt.Errorf("%s: %w", highWatermarks, err)
	}
	return nil
}

// readHighWatermarks reads the marks of the last run. A partition that had records
// then and has no log now is not given an empty one: it would be served as the
// truth.
func (n *Node) readHighWatermarks(image *Image) (engine.Checkpoint, error) {
	marks, err := engine.ReadCheckpoint(n.o.FS, n.o.Dir, highWatermarks)
	if err != nil {
		n.log.Warn("high watermarks of the last run are not known", "err", err)
		return nil, nil
	}
	had := len(marks)
	// Marks of a topic that is no more must not speak for one of its name.
	maps.DeleteFunc(marks, func(name string, _ int64) bool { return !hosts(image, name) })
	if len(marks) == had {
		return marks, nil
	}
	err = engine.WriteCheckpoint(n.o.FS, n.o.Dir, highWatermarks, marks)
	if errors.Is(err, engine.ErrNoSpace) && n.reserve.spend() {
		err = engine.WriteCheckpoint(n.o.FS, n.o.Dir, highWatermarks, marks)
	}
	return marks, err
}
