package protocol

import (
	"slices"
	"strings"

	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
)

// DescribeTopicPartitions, version 0: topics in the order of their names, page by
// page. No topics stand for all. A page ends after so many partitions, with a
// cursor to where the next one starts.
//
// The arrays of eligible leader replicas are empty and not null, which the Java
// admin client would fail on.

// maxDescribedPartitions bounds a page (max.request.partition.size.limit).
const maxDescribedPartitions = 2000

func (s *Server) describeTopicPartitions(_ *request, q *wire.DescribeTopicPartitionsRequest) *wire.DescribeTopicPartitionsResponse {
	a := new(wire.DescribeTopicPartitionsResponse)
	a.Default()
	if !cursorFits(q) {
		for i := range q.Topics {
			t := wire.Append(&a.Topics)
			t.ErrorCode, t.Name = codeInvalidRequest, &q.Topics[i].Name
		}
		return a
	}
	m := s.node.Image()
	left := min(max(int(q.ResponsePartitionLimit), 1), maxDescribedPartitions)
	for _, name := range describedTopics(m, q) {
		if q.Cursor != nil && name < q.Cursor.TopicName {
			continue
		}
		t := m.TopicByName(name)
		if t != nil && left == 0 {
			a.NextCursor = &wire.DescribeTopicPartitionsResponseCursor{TopicName: name}
			return a
		}
		out := wire.Append(&a.Topics)
		out.Name, out.IsInternal, out.TopicAuthorizedOperations = &name, isInternal(name), allTopicOperations
		if t == nil {
			out.ErrorCode = codeUnknownTopicOrPartition
			if err := replication.CheckTopicName(name); err != nil {
				out.ErrorCode = codeOf(err)
			}
			continue
		}
		out.TopicId = t.ID
		first := 0
		if q.Cursor != nil && name == q.Cursor.TopicName {
			first = min(int(q.Cursor.PartitionIndex), len(t.Partitions))
		}
		end := min(first+left, len(t.Partitions))
		for i := first; i < end; i++ {
			s.describePartition(t, int32(i), wire.Append(&out.Partitions))
		}
		if left -= end - first; end < len(t.Partitions) {
			a.NextCursor = &wire.DescribeTopicPartitionsResponseCursor{TopicName: name, PartitionIndex: int32(end)}
			return a
		}
	}
	return a
}

// cursorFits reports whether the place to go on from can be one of an answer to
// this request: of a topic that it names, if it names any.
func cursorFits(q *wire.DescribeTopicPartitionsRequest) bool {
	if q.Cursor == nil {
		return true
	}
	named := slices.ContainsFunc(q.Topics, func(t wire.DescribeTopicPartitionsRequestTopicRequest) bool {
		return t.Name == q.Cursor.TopicName
	})
	return q.Cursor.PartitionIndex >= 0 && (named || len(q.Topics) == 0)
}

// describedTopics are the names that a request is about, sorted and each once.
func describedTopics(m *replication.Image, q *wire.DescribeTopicPartitionsRequest) []string {
	var names []string
	for i := range q.Topics {
		names = append(names, q.Topics[i].Name)
	}
	if len(names) == 0 {
		for t := range m.Topics() {
			names = append(names, t.Name)
		}
		return names
	}
	slices.SortFunc(names, strings.Compare)
	return slices.Compact(names)
}

func (s *Server) describePartition(t *replication.Topic, id int32, out *wire.DescribeTopicPartitionsResponsePartition) {
	p := &t.Partitions[id]
	out.PartitionIndex, out.LeaderId, out.LeaderEpoch = id, p.Leader, p.Epoch
	out.ReplicaNodes, out.IsrNodes = p.Replicas, p.ISR
	out.EligibleLeaderReplicas, out.LastKnownElr = []int32{}, []int32{}
	if s.isOffline(t, id) {
		out.ErrorCode, out.LeaderId = codeLeaderNotAvailable, -1
		out.OfflineReplicas = []int32{s.node.ID()}
	}
}
