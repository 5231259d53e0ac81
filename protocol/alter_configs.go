package protocol

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
)

// AlterConfigs, versions 0 to 2 (2 is flexible): the configuration that a topic
// is to have, in place of all that was set before. Clients that can use
// IncrementalAlterConfigs.

func (s *Server) alterConfigs(r *request, q *wire.AlterConfigsRequest) *wire.AlterConfigsResponse {
	a := new(wire.AlterConfigsResponse)
	a.Default()
	resources := make([]alteration, len(q.Resources))
	for i := range q.Resources {
		res := &q.Resources[i]
		resources[i] = alteration{kind: res.ResourceType, name: res.ResourceName, replace: true}
		for j := range res.Configs {
			resources[i].ops = append(resources[i].ops, replication.ConfigOp{Name: res.Configs[j].Name, Value: res.Configs[j].Value})
		}
	}
	for i, err := range s.alter(r, resources, q.ValidateOnly) {
		out := wire.Append(&a.Responses)
		out.ResourceType, out.ResourceName = resources[i].kind, resources[i].name
		out.ErrorCode, out.ErrorMessage = codeOf(err), reason(err)
	}
	return a
}

// alteration is what a request wants to change of one resource.
type alteration struct {
	kind    int8
	name    string
	replace bool
	ops     []replication.ConfigOp
}

// alter changes resources, each as a whole or not at all, and returns an error
// or nil for each.
func (s *Server) alter(r *request, resources []alteration, validateOnly bool) []error {
	errs := make([]error, len(resources))
	var changes []replication.ConfigChange
	var of []int // resources by changes
	for i, res := range resources {
		switch res.kind {
		case resourceTopic:
			changes = append(changes, replication.ConfigChange{Topic: res.name, Replace: res.replace, Ops: res.ops})
			of = append(of, i)
		case resourceBroker:
			errs[i] = s.alterBroker(&res)
		default:
			errs[i] = badRequest("Unsupported resource type: %d", res.kind)
		}
	}
	if len(changes) == 0 {
		return errs
	}
	results, err := s.node.AlterConfigs(r.ctx, changes, validateOnly)
	for i := range changes {
		if errs[of[i]] = err; err == nil {
			errs[of[i]] = results[i].Err
		}
	}
	return errs
}

// alterBroker refuses: a broker has its configuration from where it is started.
func (s *Server) alterBroker(res *alteration) error {
	if res.name != "" {
		if err := s.checkBrokerName(res.name); err != nil {
			return err
		}
	}
	if len(res.ops) == 0 {
		return nil
	}
	var names []string
	for _, o := range res.ops {
		names = append(names, o.Name)
	}
	slices.Sort(names)
	return badRequest("Cannot update these configs dynamically: %s", fmt.Sprintf("[%s]", strings.Join(names, ", ")))
}
