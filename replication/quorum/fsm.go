package quorum

import (
	"bytes"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// fsm hands raft's committed entries to a machine. Raft calls it from one
// goroutine.
type fsm struct {
	machine Machine
	fail    func(error)
	// failed is why nothing more is applied: a machine that missed an entry must
	// not go on, and must not be the source of a snapshot.
	failed error
}

// Apply returns nil, or the error that Propose returns.
func (f *fsm) Apply(l *raft.Log) any {
	if f.failed != nil {
		return f.failed
	}
	term, records, err := decodeCommand(l.Data)
	if err == nil && term != l.Term {
		return ErrNotLeader
	}
	if err == nil {
		err = f.machine.Apply(int64(l.Index), records)
	}
	if err != nil {
		f.failed = fmt.Errorf("metadata entry %d cannot be applied: %w", l.Index, err)
		f.fail(f.failed)
		return f.failed
	}
	return nil
}

// Snapshot takes the state as it is now; raft stores it beside the next entries.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if f.failed != nil {
		return nil, f.failed
	}
	var s fsmSnapshot
	if err := f.machine.Snapshot(&s.state); err != nil {
		return nil, err
	}
	return &s, nil
}

// Restore replaces the state.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	if err := f.machine.Restore(r); err != nil {
		return err
	}
	f.failed = nil
	return nil
}

// fsmSnapshot is a state in memory.
type fsmSnapshot struct{ state bytes.Buffer }

// Persist writes the state. Raft closes or cancels the sink.
func (s *fsmSnapshot) Persist(sink raft.SnapshotSink) error {
	_, err := s.state.WriteTo(sink)
	return err
}

// Release has nothing to give back.
func (s *fsmSnapshot) Release() {}
