package protocol

import (
	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
)

// CreatePartitions, versions 0 to 3.
//
//	2  flexible
//	3  THROTTLING_QUOTA_EXCEEDED

func (s *Server) createPartitions(r *request, q *wire.CreatePartitionsRequest) *wire.CreatePartitionsResponse {
	a := new(wire.CreatePartitionsResponse)
	a.Default()
	specs := make([]replication.PartitionsSpec, len(q.Topics))
	for i := range q.Topics {
		t := &q.Topics[i]
		specs[i] = replication.PartitionsSpec{Topic: t.Name, Count: t.Count}
		if t.Assignments != nil {
			specs[i].Assignments = make([][]int32, len(t.Assignments))
		}
		for j := range t.Assignments {
			specs[i].Assignments[j] = t.Assignments[j].BrokerIds
		}
	}
	ctx, cancel := r.timeout(q.TimeoutMs)
	defer cancel()
	results, err := s.node.CreatePartitions(ctx, specs, q.ValidateOnly)
	reported := map[string]bool{}
	for i := range specs {
		if reported[specs[i].Topic] {
			continue
		}
		reported[specs[i].Topic] = true
		failed := err
		if err == nil {
			failed = results[i].Err
		}
		out := wire.Append(&a.Results)
		out.Name, out.ErrorCode, out.ErrorMessage = specs[i].Topic, codeOf(failed), reason(failed)
	}
	return a
}
