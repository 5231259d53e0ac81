package protocol

import (
	"context"
	"time"

	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
)

// CreateTopics, versions 2 to 7.
//
//	4  -1 for the default number of partitions and replicas
//	5  flexible; the topic's shape and configuration in the response
//	6  THROTTLING_QUOTA_EXCEEDED
//	7  the topic's id in the response
//
// A topic is created as a whole or not at all, and can be used when the answer
// comes.

func (s *Server) createTopics(r *request, q *wire.CreateTopicsRequest) *wire.CreateTopicsResponse {
	a := new(wire.CreateTopicsResponse)
	a.Default()
	specs := make([]replication.TopicSpec, len(q.Topics))
	for i := range q.Topics {
		specs[i] = topicSpec(&q.Topics[i])
	}
	ctx, cancel := r.timeout(q.TimeoutMs)
	defer cancel()
	results, err := s.node.CreateTopics(ctx, specs, q.ValidateOnly)
	reported := map[string]bool{}
	for i := range specs {
		// A name that was given twice is answered once.
		if reported[specs[i].Name] {
			continue
		}
		reported[specs[i].Name] = true
		out := wire.Append(&a.Topics)
		out.Name = specs[i].Name
		failed := err
		if failed == nil {
			failed = results[i].Err
		}
		if failed != nil {
			out.ErrorCode, out.ErrorMessage = codeOf(failed), reason(failed)
			continue
		}
		out.TopicId = results[i].ID
		out.NumPartitions, out.ReplicationFactor = results[i].Partitions, results[i].Replication
		out.Configs = s.createdConfigs(results[i].Configs)
	}
	return a
}

// topicSpec is what one element of the request asks for.
func topicSpec(t *wire.CreateTopicsRequestCreatableTopic) replication.TopicSpec {
	spec := replication.TopicSpec{Name: t.Name, Partitions: t.NumPartitions, Replication: t.ReplicationFactor}
	for i := range t.Assignments {
		spec.Assignments = append(spec.Assignments, replication.Assignment{
			Partition: t.Assignments[i].PartitionIndex,
			Brokers:   t.Assignments[i].BrokerIds,
		})
	}
	for i := range t.Configs {
		spec.Configs = append(spec.Configs, replication.Config{Name: t.Configs[i].Name, Value: t.Configs[i].Value})
	}
	return spec
}

// createdConfigs is the whole configuration of a topic that was created with
// the given settings.
func (s *Server) createdConfigs(set map[string]string) []wire.CreateTopicsResponseCreatableTopicConfigs {
	all := s.topicEntries(set)
	out := make([]wire.CreateTopicsResponseCreatableTopicConfigs, 0, len(all))
	for i := range all {
		c := wire.Append(&out)
		c.Name, c.Value, c.ConfigSource = all[i].name, &all[i].value, int8(all[i].source)
	}
	return out
}

// timeout is the request's context with the time that its client gives it, at
// most maxTimeout.
func (r *request) timeout(ms int32) (context.Context, context.CancelFunc) {
	d := time.Duration(max(ms, 0)) * time.Millisecond
	return context.WithTimeout(r.ctx, min(d, maxTimeout))
}

// maxTimeout bounds how long a request may occupy its connection.
const maxTimeout = 10 * time.Minute
