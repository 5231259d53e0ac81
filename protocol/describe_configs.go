package protocol

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
)

// DescribeConfigs, versions 1 to 4.
//
//	1  synonyms: what a value would be without each setting, and the source
//	3  types and documentation
//	4  flexible
//
// A topic shows all keys that a topic has; a broker its own configuration, and
// the defaults of topics. The configuration of a broker that has no name is what all
// brokers were set to while they run.

// Kinds of resources that have a configuration.
const (
	resourceTopic        int8 = 2
	resourceBroker       int8 = 4
	resourceBrokerLogger int8 = 8
)

func (s *Server) describeConfigs(_ *request, q *wire.DescribeConfigsRequest) *wire.DescribeConfigsResponse {
	a := new(wire.DescribeConfigsResponse)
	a.Default()
	for i := range q.Resources {
		r := &q.Resources[i]
		out := wire.Append(&a.Results)
		out.ResourceType, out.ResourceName = r.ResourceType, r.ResourceName
		entries, err := s.configOf(r.ResourceType, r.ResourceName)
		if err != nil {
			out.ErrorCode, out.ErrorMessage = codeOf(err), reason(err)
			continue
		}
		out.ErrorMessage = new(string) // empty, not null, as in Kafka
		for j := range entries {
			// No keys stand for all of them, whether the list is null or empty.
			if len(r.ConfigurationKeys) == 0 || slices.Contains(r.ConfigurationKeys, entries[j].name) {
				entries[j].describe(q, wire.Append(&out.Configs))
			}
		}
	}
	return a
}

// configOf is the configuration of a resource.
func (s *Server) configOf(kind int8, name string) ([]configEntry, error) {
	switch kind {
	case resourceTopic:
		if err := replication.CheckTopicName(name); err != nil {
			return nil, err
		}
		t := s.node.Image().TopicByName(name)
		if t == nil {
			return nil, fmt.Errorf("%w: %q", replication.ErrUnknownTopic, name)
		}
		return s.topicEntries(t.Configs), nil
	case resourceBroker:
		broker, err := s.brokerNamed(name)
		switch {
		case err != nil:
			return nil, err
		case broker == replication.AllBrokers:
			return s.sharedEntries(), nil
		}
		return s.brokerEntries(), nil
	}
	return nil, badRequest("Unsupported resource type: %d", kind)
}

// brokerNamed is the broker that a resource's name stands for: this one, or all of
// them where it is empty. Others are asked themselves.
func (s *Server) brokerNamed(name string) (int32, error) {
	if name == "" {
		return replication.AllBrokers, nil
	}
	id, err := strconv.ParseInt(name, 10, 32)
	switch {
	case err != nil:
		return 0, badRequest("Node id must be an integer, but it is: %s", name)
	case int32(id) != s.node.ID():
		return 0, badRequest("Unexpected broker id, expected %d, but received %d", s.node.ID(), id)
	}
	return s.node.ID(), nil
}

func badRequest(format string, args ...any) error {
	return &replication.CommandError{Err: replication.ErrInvalidRequest, Reason: fmt.Sprintf(format, args...)}
}

func (e *configEntry) describe(q *wire.DescribeConfigsRequest, out *wire.DescribeConfigsResponseDescribeConfigsResourceResult) {
	out.Name, out.ConfigSource, out.ReadOnly, out.IsSensitive = e.name, int8(e.source), e.readOnly, e.sensitive
	if !e.sensitive && !e.unset {
		out.Value = &e.value
	}
	out.ConfigType = int8(e.kind)
	if q.IncludeDocumentation {
		out.Documentation = &e.doc
	}
	if !q.IncludeSynonyms {
		return
	}
	for i := range e.synonyms {
		synonym := wire.Append(&out.Synonyms)
		synonym.Name, synonym.Source = e.synonyms[i].name, int8(e.synonyms[i].source)
		if !e.sensitive {
			synonym.Value = &e.synonyms[i].value
		}
	}
}
