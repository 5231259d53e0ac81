package protocol

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication"
)

// configSource says where a configuration's value comes from, by Kafka's
// numbers.
type configSource int8

const (
	sourceTopic        configSource = 1 // set for the topic
	sourceDynamic      configSource = 2 // set for the broker while it runs
	sourceDynamicOfAll configSource = 3 // set for all brokers while they run
	sourceBroker       configSource = 4 // set in the broker's own configuration
	sourceDefault      configSource = 5
)

// UpdateMode says how a key of the broker's can be changed, in Kafka's words.
type UpdateMode int8

const (
	// ReadOnly keys change by a restart.
	ReadOnly UpdateMode = iota
	// PerBroker keys change while the broker runs, each broker's for itself.
	PerBroker
	// ClusterWide keys change for one broker or for all while they run.
	ClusterWide
)

// updateMode is how a key of the broker's can be changed; ok is false for a key that
// nobody knows. Such a one may be changed, as in Kafka, where it is a plug-in's.
func (s *Server) updateMode(name string) (mode UpdateMode, ok bool) {
	k, isDefault := engine.FindBrokerKey(name)
	switch {
	case isDefault && !k.ReadOnly:
		return ClusterWide, true
	case isDefault, name == "node.id", name == "broker.id", strings.HasPrefix(name, "listener.name."):
		return ReadOnly, true
	}
	mode, ok = s.updateModes[name]
	return mode, ok
}

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

// brokerLayer is what was set for brokers while they run, for this one or for all.
type brokerLayer struct {
	source configSource
	set    map[string]string
}

// brokerLayers are both of them, the one that counts first.
func (s *Server) brokerLayers() []brokerLayer {
	configs := s.node.Image().BrokerConfigs
	return []brokerLayer{{sourceDynamic, configs[s.node.ID()]}, {sourceDynamicOfAll, configs[replication.AllBrokers]}}
}

// synonyms are what a key of the broker's was set to and is by default, the value in
// force first. There are none of a key that has no value, but by a coarser key.
func (b *BrokerConfig) synonyms(layers []brokerLayer) []configSynonym {
	var all []configSynonym
	for _, l := range layers {
		if v, ok := l.set[b.Name]; ok {
			all = append(all, configSynonym{b.Name, v, l.source})
		}
	}
	if b.Set {
		all = append(all, configSynonym{b.Name, b.Value, sourceBroker})
	}
	coarse, isFine := coarser(b.Name)
	switch {
	case !isFine && (b.Value != "" || b.Set):
		all = append(all, configSynonym{b.Name, b.Default, sourceDefault})
	case isFine && len(all) > 0:
		all = append(all, coarse)
	}
	return all
}

// coarser is the default of a key that has none itself: that of the same key in
// hours.
func coarser(name string) (configSynonym, bool) {
	switch name {
	case "log.retention.ms":
		return configSynonym{"log.retention.hours", "168", sourceDefault}, true
	case "log.roll.ms":
		return configSynonym{"log.roll.hours", "168", sourceDefault}, true
	case "log.roll.jitter.ms":
		return configSynonym{"log.roll.jitter.hours", "0", sourceDefault}, true
	}
	return configSynonym{}, false
}

// brokerEntries is the broker's configuration: the keys that set the topics'
// defaults, its own, and what else was set while it runs, sorted by name.
func (s *Server) brokerEntries() []configEntry {
	layers := s.brokerLayers()
	byName := map[string]configEntry{}
	add := func(b BrokerConfig) {
		e := configEntry{name: b.Name, kind: b.Kind, doc: b.Doc, sensitive: b.Sensitive, source: sourceDefault, synonyms: b.synonyms(layers)}
		if e.unset = len(e.synonyms) == 0; !e.unset {
			e.value, e.source = e.synonyms[0].value, e.synonyms[0].source
		}
		mode, known := s.updateMode(b.Name)
		e.readOnly = !known || mode == ReadOnly
		byName[b.Name] = e
	}
	for _, l := range layers {
		for name := range l.set {
			_, known := s.updateMode(name)
			add(BrokerConfig{Name: name, Sensitive: !known}) // unless it is one of those below
		}
	}
	for _, k := range engine.Keys {
		if k.Broker != "" {
			add(s.topicDefault(k))
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

// sharedEntries is what all brokers were set to while they run.
func (s *Server) sharedEntries() []configEntry {
	var shared []configEntry
	for _, e := range s.brokerEntries() {
		i := slices.IndexFunc(e.synonyms, func(c configSynonym) bool { return c.source == sourceDynamicOfAll })
		if i >= 0 {
			e.synonyms = e.synonyms[i : i+1]
			e.value, e.source = e.synonyms[0].value, sourceDynamicOfAll
			shared = append(shared, e)
		}
	}
	return shared
}

// topicDefault is the key of the broker's that sets the default of a topic key, as
// the broker was started.
func (s *Server) topicDefault(k engine.Key) BrokerConfig {
	b := BrokerConfig{Name: k.Broker, Value: k.Value(s.node.Defaults()), Default: k.Default, Doc: k.Doc, Kind: k.Type}
	b.Set = b.Value != k.Default
	return b
}

// topicEntries is the configuration of a topic with the given settings, sorted
// by name.
func (s *Server) topicEntries(set map[string]string) []configEntry {
	entries := make([]configEntry, 0, len(engine.Keys))
	layers := s.brokerLayers()
	config, _ := s.node.TopicConfig(set) // what cannot be in force is of a newer release; the rest is right
	for _, k := range engine.Keys {
		e := configEntry{name: k.Name, kind: k.Type, doc: k.Doc, value: k.Value(config), source: sourceDefault}
		verbatim := k.Ignored || k.Type == engine.List // a list in the order in which it was given
		if v, ok := set[k.Name]; ok {
			if !verbatim {
				v = e.value
			}
			e.synonyms = append(e.synonyms, configSynonym{k.Name, v, sourceTopic})
		}
		if k.Broker != "" {
			b := s.topicDefault(k)
			e.synonyms = append(e.synonyms, b.synonyms(layers)...)
		}
		if len(e.synonyms) > 0 {
			e.source = e.synonyms[0].source
			if verbatim {
				e.value = e.synonyms[0].value
			}
		}
		entries = append(entries, e)
	}
	return entries
}
