// Package quorum makes one log agree on several nodes. [Single] is the quorum of
// a partition with one replica. [Raft] runs a deterministic [Machine] over a
// log of our own engine by hashicorp/raft.
//
// The package imports the engine, and nothing imports hashicorp/raft but it.
package quorum

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/bobbin-log/bobbin/engine"
)

// Acks is how many replicas a producer wants to have a batch before it is
// answered: the field of a Produce request.
type Acks int16

const (
	// All asks for every replica in sync, and at least min.insync.replicas.
	All Acks = -1
	// None asks for no answer at all.
	None Acks = 0
	// Leader asks for the leader alone.
	Leader Acks = 1
)

// Valid reports whether a is one of None, Leader and All.
func (a Acks) Valid() bool { return a >= All && a <= Leader }

// String is what Kafka's clients call it.
func (a Acks) String() string {
	if a == All {
		return "all"
	}
	return fmt.Sprint(int16(a))
}

// Pending is an append that was made and may not be acknowledged yet. Whoever
// has it calls Wait, or Flush. It is a value and costs no allocation; the zero
// Pending has nothing to wait for.
type Pending struct {
	engine.Appended
	log  *engine.Log
	upTo int64 // Wait returns once the quorum holds all below; 0: at once
}

// Wait returns once what the producer asked for is true: at once for acks 0,
// else when the log's sync policy keeps its promise for the appended records. It
// fails with the log's error or the context's; then the records may or may not
// survive.
func (p Pending) Wait(ctx context.Context) error {
	if p.upTo == 0 {
		return nil
	}
	return p.log.Wait(ctx, p.upTo)
}

// Flush starts what Wait waits for. It is for whoever will not wait, or not soon.
func (p Pending) Flush() {
	if !p.Done() {
		p.log.Flush()
	}
}

// Done reports whether Wait would return nil at once.
func (p Pending) Done() bool { return p.upTo == 0 || p.log.Acked(p.upTo) }

// Machine is state that follows from a log alone: two machines that applied the
// same records are equal. It has no clock, no goroutine and no I/O, so commands
// bring everything of that kind along as arguments.
//
// A command is decided on the leader into records, against the state that all
// earlier ones left, and takes effect only when they are applied, here and on
// every other node.
type Machine interface {
	// Apply takes the records of one command. Observers see all of them or none.
	// An error says that a record cannot be understood, for instance because a
	// newer release wrote it: the node must stop, since its state is no longer
	// that of the others.
	Apply(offset int64, records [][]byte) error
	// Snapshot writes the whole state. It is not called beside Apply.
	Snapshot(w io.Writer) error
	// Restore replaces the state by what Snapshot wrote.
	Restore(r io.Reader) error
}

var (
	// ErrNotLeader says that another node decides at present, or none; nothing
	// was written.
	ErrNotLeader = errors.New("not the leader")
	// ErrTimeout says that the context ended before the answer was known: the
	// command may still take effect.
	ErrTimeout = errors.New("timed out, and may or may not take effect")
	// ErrTooLarge says that a command has more bytes than one may; nothing was
	// written.
	ErrTooLarge = errors.New("the command is too large")
	// ErrStopped says that the node is closing or failed.
	ErrStopped = errors.New("the metadata log has stopped")
	// ErrAcks says that a producer asked for acks other than 0, 1 and -1.
	ErrAcks = errors.New("acks must be 0, 1 or -1 (all)")
)
