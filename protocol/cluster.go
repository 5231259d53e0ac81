package protocol

import (
	"math"

	"github.com/bobbin-log/bobbin/replication"
)

// notAsked is what authorized operations are when nobody asked for them.
const notAsked int32 = math.MinInt32

// Everybody may do everything until there are ACLs: the bits of all operations
// that a topic and the cluster know, as Kafka answers without an authorizer.
const (
	// allTopicOperations: read, write, create, delete, alter, describe, describe
	// configs, alter configs.
	allTopicOperations int32 = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
	// allClusterOperations: create, alter, describe, cluster action, describe
	// configs, alter configs, idempotent write.
	allClusterOperations int32 = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12
)

// operations is the answer to whether operations were asked for.
func operations(asked bool, all int32) int32 {
	if asked {
		return all
	}
	return notAsked
}

// address is where clients reach a broker by the listener that they came by.
type address struct {
	id   int32
	host string
	port int32
	rack *string
}

// addressOf picks a broker's endpoint for a listener: the one of the same name,
// or the first if the listener has none.
func addressOf(b *replication.Broker, listener string) (address, bool) {
	for i := range b.Endpoints {
		if e := &b.Endpoints[i]; listener == "" || e.Name == listener {
			a := address{id: b.ID, host: e.Host, port: e.Port}
			if b.Rack != "" {
				a.rack = &b.Rack
			}
			return a, true
		}
	}
	return address{}, false
}

// addresses are those of all brokers.
func addresses(m *replication.Image, listener string) []address {
	all := make([]address, 0, len(m.Brokers))
	for i := range m.Brokers {
		if a, ok := addressOf(&m.Brokers[i], listener); ok {
			all = append(all, a)
		}
	}
	return all
}

// broker returns a broker's address.
func (s *Server) broker(id int32, listener string) (address, bool) {
	b, ok := s.node.Image().Broker(id)
	if !ok {
		return address{}, false
	}
	return addressOf(&b, listener)
}

// leaderOf returns the broker that leads a partition, or -1.
func (s *Server) leaderOf(p *replication.Partition) int32 {
	t := s.node.Image().TopicByID(p.TopicID())
	if t == nil || int(p.ID()) >= len(t.Partitions) {
		return -1
	}
	return t.Partitions[p.ID()].Leader
}

// isInternal reports whether a topic is the broker's own.
func isInternal(name string) bool {
	return name == "__consumer_offsets" || name == "__transaction_state" || name == "__share_group_state"
}
