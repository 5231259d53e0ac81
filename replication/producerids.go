package replication

import (
	"context"
	"fmt"

	"github.com/bobbin-log/bobbin/replication/controller"
	"github.com/bobbin-log/bobbin/replication/quorum"
)

// producerIDs is the block of producer ids that this broker hands out from. The
// rest of a block is lost with the process, so no id is ever handed out twice.
type producerIDs struct {
	// turn has one token, which guards the rest; a channel, since a new block is
	// waited for under it.
	turn       chan struct{}
	next, last int64 // [next, last) are left
}

// NextProducerID returns a producer id that no one had before, in any run.
// Errors: ErrNotController, ErrTimeout.
func (n *Node) NextProducerID(ctx context.Context) (int64, error) {
	p := &n.producerIDs
	select {
	case <-p.turn:
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", quorum.ErrTimeout, context.Cause(ctx))
	}
	defer func() { p.turn <- struct{}{} }()
	if p.next == p.last {
		var first int64
		err := n.raft.Propose(ctx, func() (records [][]byte, err error) {
			records, first, err = n.controller.AllocateProducerIDs()
			return records, err
		})
		if err != nil {
			return 0, fmt.Errorf("no producer id: %w", err)
		}
		p.next, p.last = first, first+controller.ProducerIDBlock
	}
	p.next++
	return p.next - 1, nil
}
