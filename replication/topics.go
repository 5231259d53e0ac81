package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/bobbin-log/bobbin/replication/controller"
	"github.com/bobbin-log/bobbin/replication/quorum"
)

// change runs a command that changes topics: one at a time, and when it returns
// the partitions are what it made them. If the context ends first the command
// may still take effect; its partitions follow then.
func (n *Node) change(ctx context.Context, decide func() ([][]byte, error)) error {
	select {
	case <-n.changes:
	case <-n.background.Done():
		return ErrStopped
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", quorum.ErrTimeout, context.Cause(ctx))
	}
	defer func() { n.changes <- struct{}{} }()
	err := n.raft.Propose(ctx, decide)
	n.reconcile(nil)
	if errors.Is(err, quorum.ErrTimeout) {
		n.running.Go(n.followUp)
	}
	return err
}

// command runs one of the controller's commands, and returns what it says of each part.
func command[R any](ctx context.Context, n *Node, decide func() ([][]byte, []R)) ([]R, error) {
	var results []R
	err := n.change(ctx, func() (records [][]byte, _ error) {
		records, results = decide()
		return records, nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// followUp waits for the command that is on its way, and brings the partitions
// in line with what it did.
func (n *Node) followUp() {
	err := n.raft.Propose(n.background, func() ([][]byte, error) { return nil, nil })
	if err != nil {
		return // the node stops, or has lost its office: housekeeping does it
	}
	select {
	case <-n.changes:
		n.reconcile(nil)
		n.changes <- struct{}{}
	case <-n.background.Done():
	}
}

// CreateTopics makes topics: each as a whole, with all its partitions, or not at
// all. The partitions can be used when it returns; their logs are made by the first
// use, see [Partition]. The error is about the whole
// command (ErrNotController, ErrTimeout, ErrTooLarge, engine.ErrNoSpace); what is
// wrong with one topic is in its result, in the order of specs. The specs' IDs
// are filled in where they are zero.
func (n *Node) CreateTopics(ctx context.Context, specs []TopicSpec, validateOnly bool) ([]TopicResult, error) {
	for i := range specs {
		if specs[i].ID == ([16]byte{}) {
			id, err := n.newTopicID()
			if err != nil {
				return nil, err
			}
			specs[i].ID = id
		}
	}
	var results []TopicResult
	err := n.change(ctx, func() (records [][]byte, _ error) {
		records, results = n.controller.CreateTopics(specs, validateOnly)
		return records, n.checkRoom(results)
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// newLogBytes is what a new log takes on the disk: its directory, the topic's id,
// and two indexes with room for their first entries.
const newLogBytes = 16 << 10

// checkRoom refuses topics whose logs would find no room: a client that is told so
// now need not find it out by producing.
func (n *Node) checkRoom(topics []TopicResult) error {
	var bytes uint64
	for _, t := range topics {
		bytes += uint64(t.Partitions) * newLogBytes
	}
	if u, err := n.Usage(); err != nil || u.Free >= bytes {
		return nil
	}
	// Usage does not count the blocks that are kept for a privileged process, which
	// this may be: trying tells.
	name := path.Join(n.o.Dir, ".room")
	if err := n.o.FS.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := n.o.FS.Create(name)
	if err == nil {
		err = errors.Join(f.Preallocate(int64(bytes)), f.Close(), n.o.FS.Remove(name))
	}
	if err != nil {
		return fmt.Errorf("the new partitions take %d bytes to begin with: %w", bytes, err)
	}
	return nil
}

// newTopicID makes a random id (version 4) that may be a topic's.
func (n *Node) newTopicID() (id [16]byte, err error) {
	for {
		if _, err := io.ReadFull(n.o.Random, id[:]); err != nil {
			return id, fmt.Errorf("no random topic id: %w", err)
		}
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
		if !controller.ReservedID(id) {
			return id, nil
		}
	}
}

// DeleteTopics deletes topics. When it returns their names can be used again, and
// their logs are gone, also after a crash. Errors and results are as in
// CreateTopics.
func (n *Node) DeleteTopics(ctx context.Context, refs []TopicRef) ([]TopicResult, error) {
	return command(ctx, n, func() ([][]byte, []TopicResult) { return n.controller.DeleteTopics(refs) })
}

// CreatePartitions adds partitions to topics. Errors and results are as in
// CreateTopics.
func (n *Node) CreatePartitions(ctx context.Context, specs []PartitionsSpec, validateOnly bool) ([]TopicResult, error) {
	return command(ctx, n, func() ([][]byte, []TopicResult) { return n.controller.CreatePartitions(specs, validateOnly) })
}

// AlterConfigs changes topics' configs; they are in force when it returns. Errors
// and results are as in CreateTopics.
func (n *Node) AlterConfigs(ctx context.Context, changes []ConfigChange, validateOnly bool) ([]TopicResult, error) {
	return command(ctx, n, func() ([][]byte, []TopicResult) { return n.controller.AlterConfigs(changes, validateOnly) })
}

// AlterBrokerConfigs changes what was set for brokers while they run. All logs, and
// those that are made later, have it when it returns. The first error is about the
// whole command, as in CreateTopics; those of the changes are in their order.
func (n *Node) AlterBrokerConfigs(ctx context.Context, changes []BrokerConfigChange, validateOnly bool) ([]error, error) {
	return command(ctx, n, func() ([][]byte, []error) { return n.controller.AlterBrokerConfigs(changes, validateOnly) })
}
