package protocol

import (
	"fmt"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
)

// DeleteRecords, versions 0 to 2 (2 is flexible).
//
// Records before an offset are no longer there: -1 stands for all of them. An
// offset before the log's start changes nothing. A topic that only compacts
// keeps its records.

// toHighWatermark stands for the offset of everything that consumers can see.
const toHighWatermark int64 = -1

func (s *Server) deleteRecords(_ *request, q *wire.DeleteRecordsRequest) *wire.DeleteRecordsResponse {
	a := new(wire.DeleteRecordsResponse)
	a.Default()
	for i := range q.Topics {
		t := &q.Topics[i]
		topic := wire.Append(&a.Topics)
		topic.Name = t.Name
		for j := range t.Partitions {
			p := &t.Partitions[j]
			out := wire.Append(&topic.Partitions)
			out.PartitionIndex = p.PartitionIndex
			low, err := s.deleteBefore(t.Name, p.PartitionIndex, p.Offset)
			if out.LowWatermark = low; err != nil {
				out.LowWatermark, out.ErrorCode = -1, codeOf(err)
			}
		}
	}
	return a
}

// deleteBefore trims a partition's log and returns where it starts now.
func (s *Server) deleteBefore(topic string, partition int32, offset int64) (int64, error) {
	p, err := s.node.Partition(topic, partition)
	if err != nil {
		return 0, err
	}
	if c := p.Config(); c.Compact && !c.Delete {
		return 0, fmt.Errorf("%w: records of %s can't be deleted, its cleanup.policy is compact", replication.ErrPolicy, topic)
	}
	var start int64
	err = p.With(func(log *engine.Log) error {
		m, upTo := log.Marks(), offset
		if upTo == toHighWatermark {
			upTo = m.Acked
		}
		if upTo < 0 || upTo > m.Acked {
			return &engine.RangeError{Offset: upTo, Start: m.Start, End: m.Acked}
		}
		if upTo > m.Start {
			if err := log.Trim(upTo); err != nil {
				return err
			}
		}
		start = log.Marks().Start
		return nil
	})
	return start, err
}
