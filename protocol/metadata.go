package protocol

import (
	"errors"

	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
)

// Metadata, versions 0 to 13.
//
//	 0  no topics stand for all of them; from 1 on null does, and none for none
//	 1  racks, the controller, internal topics; 2 the cluster id
//	 4  says whether topics may be created; 0 to 3 always do
//	 5  offline replicas; 7 leader epochs; 8 authorized operations
//	 9  flexible
//	10  topic ids in the response; 12 also in the request
//	11  without the cluster's operations
//	13  an error of the whole response
//
// The answer is of the time before the request. A topic that is created on the
// way is there when the answer comes, and still is UNKNOWN_TOPIC_OR_PARTITION in
// it, as in Kafka: clients ask again, and those that only look whether a topic is
// gone after they deleted it are not told that it has partitions.

func (s *Server) metadata(r *request, q *wire.MetadataRequest) *wire.MetadataResponse {
	a := new(wire.MetadataResponse)
	a.Default()
	all := q.Topics == nil || r.version() == 0 && len(q.Topics) == 0
	if !all && r.version() < 12 && hasTopicIDs(q) {
		return refuseMetadata(a, q)
	}
	m := s.node.Image()
	if r.version() < 4 || q.AllowAutoTopicCreation {
		s.createMissing(r, m, q)
	}
	a.ClusterId = &m.ClusterID
	a.ControllerId = s.node.ID()
	for _, b := range addresses(m, r.conn.listener) {
		out := wire.Append(&a.Brokers)
		out.NodeId, out.Host, out.Port, out.Rack = b.id, b.host, b.port, b.rack
	}
	a.ClusterAuthorizedOperations = operations(q.IncludeClusterAuthorizedOperations, allClusterOperations)
	if all {
		a.Topics = make([]wire.MetadataResponseTopic, 0, m.Len())
		for t := range m.Topics() {
			s.describeTopic(q, t, wire.Append(&a.Topics))
		}
		return a
	}
	type ref struct {
		id   wire.UUID
		name string
	}
	described := make(map[ref]bool, len(q.Topics))
	for i := range q.Topics {
		key := ref{id: q.Topics[i].TopicId}
		if q.Topics[i].Name != nil && key.id.IsZero() {
			key.name = *q.Topics[i].Name
		}
		if !described[key] {
			described[key] = true
			s.describeRequested(m, q, &q.Topics[i], wire.Append(&a.Topics))
		}
	}
	return a
}

// hasTopicIDs reports whether a request uses what its version should not: ids,
// or no names.
func hasTopicIDs(q *wire.MetadataRequest) bool {
	for i := range q.Topics {
		if t := &q.Topics[i]; t.Name == nil || !t.TopicId.IsZero() {
			return true
		}
	}
	return false
}

func refuseMetadata(a *wire.MetadataResponse, q *wire.MetadataRequest) *wire.MetadataResponse {
	empty := ""
	for i := range q.Topics {
		t := wire.Append(&a.Topics)
		t.ErrorCode, t.TopicId, t.Name = codeInvalidRequest, q.Topics[i].TopicId, q.Topics[i].Name
		if t.Name == nil {
			t.Name = &empty
		}
	}
	return a
}

// createMissing creates the topics that a request names and that m lacks, if the
// broker is set to do so. What goes wrong shows as the topic's absence.
func (s *Server) createMissing(r *request, m *replication.Image, q *wire.MetadataRequest) {
	if !s.autoCreate {
		return
	}
	var specs []replication.TopicSpec
	named := map[string]bool{}
	for i := range q.Topics {
		name := q.Topics[i].Name
		if name == nil || named[*name] || m.TopicByName(*name) != nil || isInternal(*name) {
			continue
		}
		named[*name] = true
		specs = append(specs, replication.TopicSpec{Name: *name, Partitions: -1, Replication: -1})
	}
	if len(specs) == 0 {
		return
	}
	results, err := s.node.CreateTopics(r.ctx, specs, false)
	for _, t := range results {
		err = errors.Join(err, t.Err)
	}
	if err != nil && !errors.Is(err, replication.ErrTopicExists) && !errors.Is(err, replication.ErrInvalidTopic) {
		s.logger.Warn("topics were not created automatically", "topics", len(specs), "why", err)
	}
}

// describeRequested answers for one topic that was asked for by name or id.
func (s *Server) describeRequested(m *replication.Image, q *wire.MetadataRequest, t *wire.MetadataRequestTopic, out *wire.MetadataResponseTopic) {
	if !t.TopicId.IsZero() {
		if found := m.TopicByID(t.TopicId); found != nil {
			s.describeTopic(q, found, out)
			return
		}
		out.ErrorCode, out.TopicId = codeUnknownTopicID, t.TopicId
		return
	}
	name := ""
	if t.Name != nil {
		name = *t.Name
	}
	if found := m.TopicByName(name); found != nil {
		s.describeTopic(q, found, out)
		return
	}
	out.Name = &name
	out.TopicAuthorizedOperations = operations(q.IncludeTopicAuthorizedOperations, allTopicOperations)
	out.IsInternal = isInternal(name)
	out.ErrorCode = codeUnknownTopicOrPartition
	if err := replication.CheckTopicName(name); err != nil {
		out.ErrorCode = codeOf(err)
	}
}

func (s *Server) describeTopic(q *wire.MetadataRequest, t *replication.Topic, out *wire.MetadataResponseTopic) {
	out.Name, out.TopicId, out.IsInternal = &t.Name, t.ID, isInternal(t.Name)
	out.TopicAuthorizedOperations = operations(q.IncludeTopicAuthorizedOperations, allTopicOperations)
	out.Partitions = make([]wire.MetadataResponsePartition, 0, len(t.Partitions))
	for i := range t.Partitions {
		p := &t.Partitions[i]
		d := wire.Append(&out.Partitions)
		d.PartitionIndex = int32(i)
		d.LeaderId, d.LeaderEpoch = p.Leader, p.Epoch
		d.ReplicaNodes, d.IsrNodes = p.Replicas, p.ISR
		if s.isOffline(t, int32(i)) {
			d.ErrorCode, d.LeaderId = codeLeaderNotAvailable, -1
			d.OfflineReplicas = []int32{s.node.ID()}
		}
	}
}

// isOffline reports whether this broker leads a partition whose log it could not
// open.
func (s *Server) isOffline(t *replication.Topic, partition int32) bool {
	if t.Partitions[partition].Leader != s.node.ID() {
		return false
	}
	p := s.node.ColdPartition(t.ID, partition)
	return p != nil && p.Offline()
}
