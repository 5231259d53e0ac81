package protocol

import (
	"strings"

	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
)

// AlterConfigs, versions 0 to 2 (2 is flexible): the configuration that a topic or
// a broker is to have, in place of all that was set before. Clients that can use
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
// or nil for each: first those of topics, in one command, then those of brokers.
func (s *Server) alter(r *request, resources []alteration, validateOnly bool) []error {
	errs := make([]error, len(resources))
	var topics []replication.ConfigChange
	var brokers []replication.BrokerConfigChange
	var ofTopics, ofBrokers []int // resources by changes
	for i, res := range resources {
		switch res.kind {
		case resourceTopic:
			topics = append(topics, replication.ConfigChange{Topic: res.name, Replace: res.replace, Ops: res.ops})
			ofTopics = append(ofTopics, i)
		case resourceBroker:
			broker, err := s.brokerNamed(res.name)
			if err == nil {
				err = s.checkUpdateModes(&res)
			}
			if errs[i] = err; err == nil {
				brokers = append(brokers, replication.BrokerConfigChange{Broker: broker, Replace: res.replace, Ops: res.ops})
				ofBrokers = append(ofBrokers, i)
			}
		default:
			errs[i] = badRequest("Unsupported resource type: %d", res.kind)
		}
	}
	if len(topics) > 0 {
		results, err := s.node.AlterConfigs(r.ctx, topics, validateOnly)
		for i, of := range ofTopics {
			if errs[of] = err; err == nil {
				errs[of] = results[i].Err
			}
		}
	}
	if len(brokers) > 0 {
		results, err := s.node.AlterBrokerConfigs(r.ctx, brokers, validateOnly)
		for i, of := range ofBrokers {
			if errs[of] = err; err == nil {
				errs[of] = results[i]
			}
		}
	}
	return errs
}

// checkUpdateModes refuses keys of brokers that cannot be changed while they run, or
// not for all of them. What cannot have been set can be deleted, as in Kafka.
func (s *Server) checkUpdateModes(res *alteration) error {
	var fixed, single []string
	for _, o := range res.ops {
		switch mode, known := s.updateMode(o.Name); {
		case !known || o.Op == replication.OpDelete:
		case mode == ReadOnly:
			fixed = append(fixed, o.Name)
		case mode == PerBroker && res.name == "":
			single = append(single, o.Name)
		}
	}
	if fixed != nil {
		return badRequest("Cannot update these configs dynamically: [%s]", strings.Join(fixed, ", "))
	}
	if single != nil {
		return badRequest("Cannot update these configs at default cluster level, broker id must be specified: [%s]", strings.Join(single, ", "))
	}
	return nil
}
