package protocol

import (
	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
)

// IncrementalAlterConfigs, versions 0 and 1 (1 is flexible): single keys are set,
// put back to their default, or changed as lists. Adding to a list that was never
// set starts from its default.

func (s *Server) incrementalAlterConfigs(r *request, q *wire.IncrementalAlterConfigsRequest) *wire.IncrementalAlterConfigsResponse {
	a := new(wire.IncrementalAlterConfigsResponse)
	a.Default()
	resources := make([]alteration, len(q.Resources))
	for i := range q.Resources {
		res := &q.Resources[i]
		resources[i] = alteration{kind: res.ResourceType, name: res.ResourceName}
		for j := range res.Configs {
			c := &res.Configs[j]
			resources[i].ops = append(resources[i].ops,
				replication.ConfigOp{Name: c.Name, Op: replication.Op(c.ConfigOperation), Value: c.Value})
		}
	}
	for i, err := range s.alter(r, resources, q.ValidateOnly) {
		out := wire.Append(&a.Responses)
		out.ResourceType, out.ResourceName = resources[i].kind, resources[i].name
		out.ErrorCode, out.ErrorMessage = codeOf(err), reason(err)
	}
	return a
}
