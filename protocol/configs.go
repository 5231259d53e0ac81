package protocol

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/bobbin-log/bobbin/engine"
)

// configSource says where a configuration's value comes from, by Kafka's
// numbers.
type configSource int8

const (
	sourceTopic   configSource = 1 // set for the topic
	sourceBroker  configSource = 4 // set in the broker's own configuration
	sourceDefault configSource = 5
)

// configEntry is one key of a resource's configuration as clients see it.
type configEntry struct {
	name, value string
	source      configSource
	kind        engine.KeyType
	doc         string
	readOnly    bool
	sensitive   bool // value is withheld
	unset       bool // there is no value, which shows as null
	// synonyms are what the value would be without the setting before, in order;
	// the first is the value itself. There are none where nothing was set and no
	// key of the broker has a default.
	synonyms []configSynonym
}

type configSynonym struct {
	name, value string
	source      configSource
}

// BrokerConfig is one key of the broker's own configuration, to be shown by
// DescribeConfigs.
type BrokerConfig struct {
	// Value and Default are empty where there is none.
	Name, Value, Default, Doc string
	Kind                      engine.KeyType
	// Set says that the value was given and isn't the default.
	Set bool
	// Sensitive withholds the value.
	Sensitive bool
}

// brokerEntries is the broker's configuration: its own keys, and those that set
// the topics' defaults, sorted by name.
func (s *Server) brokerEntries() []configEntry {
	byName := map[string]configEntry{}
	add := func(b BrokerConfig) {
		e := configEntry{
			name: b.Name, value: b.Value, kind: b.Kind, doc: b.Doc, source: sourceDefault,
			readOnly: true, sensitive: b.Sensitive, unset: b.Value == "" && !b.Set,
		}
		if e.unset {
			byName[b.Name] = e
			return
		}
		if b.Set {
			e.source = sourceBroker
			e.synonyms = append(e.synonyms, configSynonym{b.Name, b.Value, sourceBroker})
		}
		if !unsetByDefault(b.Name) {
			e.synonyms = append(e.synonyms, configSynonym{b.Name, b.Default, sourceDefault})
		}
		byName[b.Name] = e
	}
	for _, k := range engine.Keys {
		if k.Broker != "" {
			b := BrokerConfig{Name: k.Broker, Value: k.Value(s.defaults), Default: k.Default, Doc: k.Doc, Kind: k.Type}
			if b.Set = b.Value != k.Default; !b.Set && unsetByDefault(k.Broker) {
				b.Value = ""
			}
			add(b)
		}
	}
	id := strconv.Itoa(int(s.node.ID()))
	for _, name := range []string{"node.id", "broker.id"} {
		add(BrokerConfig{Name: name, Value: id, Default: id, Kind: engine.Int, Doc: "The id of this broker.", Set: true})
	}
	for _, b := range s.brokerConfigs {
		add(b)
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b configEntry) int { return strings.Compare(a.name, b.name) })
}

// topicEntries is the configuration of a topic with the given settings, sorted
// by name.
func (s *Server) topicEntries(set map[string]string) []configEntry {
	entries := make([]configEntry, 0, len(engine.Keys))
	config, err := s.defaults.With(set)
	if err != nil {
		config = s.defaults // of a newer release; the rest is still right
	}
	for _, k := range engine.Keys {
		e := configEntry{name: k.Name, kind: k.Type, doc: k.Doc, value: k.Value(config), source: sourceDefault}
		if v, ok := set[k.Name]; ok {
			if k.Ignored || k.Type == engine.List {
				e.value = v // a list in the order in which it was given
			}
			e.synonyms = append(e.synonyms, configSynonym{k.Name, e.value, sourceTopic})
		}
		if v := k.Value(s.defaults); k.Broker != "" && v != k.Default {
			e.synonyms = append(e.synonyms, configSynonym{k.Broker, v, sourceBroker})
		}
		if k.Broker != "" && !unsetByDefault(k.Broker) {
			e.synonyms = append(e.synonyms, configSynonym{k.Broker, k.Default, sourceDefault})
		}
		if len(e.synonyms) > 0 {
			e.source = e.synonyms[0].source
		}
		entries = append(entries, e)
	}
	return entries
}

// unsetByDefault reports whether a key of the broker has no value unless it is
// given: the same key in hours has one.
func unsetByDefault(broker string) bool {
	switch broker {
	case "log.retention.ms", "log.roll.ms", "log.roll.jitter.ms":
		return true
	}
	return false
}
