package protocol

import (
	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
)

// OffsetForLeaderEpoch, versions 2 to 4 (4 is flexible): where a leader epoch
// ended, by which a consumer finds out that the log it read was truncated.
//
//	epochs {0: [0, 10), 2: [10, 30)}
//	asked for 0 → 0, 10    for 1 → 0, 10    for 2 → 2, 30    for 3 → -1, -1

func (s *Server) offsetForLeaderEpoch(_ *request, q *wire.OffsetForLeaderEpochRequest) *wire.OffsetForLeaderEpochResponse {
	a := new(wire.OffsetForLeaderEpochResponse)
	a.Default()
	for i := range q.Topics {
		t := &q.Topics[i]
		topic := wire.Append(&a.Topics)
		topic.Topic = t.Topic
		for j := range t.Partitions {
			s.describeEpoch(t.Topic, &t.Partitions[j], wire.Append(&topic.Partitions))
		}
	}
	return a
}

func (s *Server) describeEpoch(topic string, q *wire.OffsetForLeaderEpochRequestOffsetForLeaderPartition, out *wire.OffsetForLeaderEpochResponseEpochEndOffset) {
	out.Partition = q.Partition
	p, err := s.node.Partition(topic, q.Partition)
	if err == nil {
		err = p.CheckEpoch(q.CurrentLeaderEpoch)
	}
	if err == nil {
		out.LeaderEpoch, out.EndOffset, err = epochEnd(p, q.LeaderEpoch)
	}
	if err != nil {
		out.ErrorCode = codeOf(err)
	}
}

// epochEnd returns the largest epoch up to the given one and the offset after
// its last record; -1 and -1 if there is none, or if the given one is newer than
// the leader's.
func epochEnd(p *replication.Partition, epoch int32) (largest int32, end int64, err error) {
	log, err := p.Log()
	if err != nil {
		return -1, -1, err
	}
	switch leader := p.LeaderEpoch(); {
	case epoch < 0 || epoch > leader:
		return -1, -1, nil
	case epoch == leader:
		// Also before anything was appended in it.
		return leader, log.Marks().End, nil
	}
	largest, end = log.EpochEnd(epoch)
	return largest, end, nil
}
