package replication

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/bobbin-log/bobbin/replication/controller"
	"github.com/bobbin-log/bobbin/replication/quorum"
)

// change runs a command that changes topics: one at a time, and when it returns
// the partitions are what it made them. If the context ends first the command
// may still take effect; its partitions follow then.
func (n *Node) change(ctx context.Context, decide func() [][]byte) error {
	select {
	case <-n.changes:
	case <-n.background.Done():
		return ErrStopped
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", quorum.ErrTimeout, context.Cause(ctx))
	}
	defer func() { n.changes <- struct{}{} }()
	err := n.raft.Propose(ctx, func() ([][]byte, error) { return decide(), nil })
	n.reconcile(nil)
	if errors.Is(err, quorum.ErrTimeout) {
		n.running.Go(n.followUp)
	}
	return err
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
// all. The partitions can be used when it returns. The error is about the whole
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
	err := n.change(ctx, func() (records [][]byte) {
		records, results = n.controller.CreateTopics(specs, validateOnly)
		return records
	})
	if err != nil {
		return nil, err
	}
	if !validateOnly {
		n.withdraw(ctx, results)
	}
	return results, nil
}

// withdraw deletes new topics again whose logs could not be made, so that the
// client's error is the truth.
func (n *Node) withdraw(ctx context.Context, results []TopicResult) {
	var refs []TopicRef
	for i, r := range results {
		if r.Err != nil {
			continue
		}
		for p := range r.Partitions {
			if _, err := n.PartitionByID(r.ID, p); errors.Is(err, ErrOffline) {
				results[i] = TopicResult{Name: r.Name, Err: err}
				refs = append(refs, TopicRef{ID: r.ID})
				break
			}
		}
	}
	if len(refs) == 0 {
		return
	}
	if _, err := n.DeleteTopics(ctx, refs); err != nil {
		n.log.Error("topics exist whose logs could not be made", "topics", len(refs), "err", err)
	}
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
	var results []TopicResult
	err := n.change(ctx, func() (records [][]byte) {
		records, results = n.controller.DeleteTopics(refs)
		return records
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// CreatePartitions adds partitions to topics. Errors and results are as in
// CreateTopics.
func (n *Node) CreatePartitions(ctx context.Context, specs []PartitionsSpec, validateOnly bool) ([]TopicResult, error) {
	var results []TopicResult
	err := n.change(ctx, func() (records [][]byte) {
		records, results = n.controller.CreatePartitions(specs, validateOnly)
		return records
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// AlterConfigs changes topics' configs; they are in force when it returns. Errors
// and results are as in CreateTopics.
func (n *Node) AlterConfigs(ctx context.Context, changes []ConfigChange, validateOnly bool) ([]TopicResult, error) {
	var results []TopicResult
	err := n.change(ctx, func() (records [][]byte) {
		records, results = n.controller.AlterConfigs(changes, validateOnly)
		return records
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}
