package quorum

import (
	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// Single is the quorum of one replica: what its log acknowledges is committed.
// All methods may be called concurrently.
type Single struct{ log *engine.Log }

// NewSingle makes l a quorum of its own.
func NewSingle(l *engine.Log) *Single { return &Single{log: l} }

// Append adds a set as the leader of epoch, in the order of the calls, and never
// waits for the disk. One replica is all there are, so Leader and All both wait
// until the log's sync policy keeps its promise; min.insync.replicas cannot ask
// for more replicas than a partition has. Errors are ErrAcks and those of
// [engine.Log.Append].
func (s *Single) Append(set batch.Set, epoch int32, acks Acks) (Pending, error) {
	if !acks.Valid() {
		return Pending{}, ErrAcks
	}
	a, err := s.log.Append(set, epoch)
	if err != nil {
		return Pending{}, err
	}
	p := Pending{Appended: a, log: s.log}
	if acks == None {
		s.log.Flush()
	} else {
		p.upTo = a.Next
	}
	return p, nil
}

// Committed is the high watermark: consumers see the records below it.
func (s *Single) Committed() int64 { return s.log.Marks().Acked }
