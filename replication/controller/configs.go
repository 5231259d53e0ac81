package controller

import (
	"maps"
	"slices"
	"strings"
)

// Op is what an incremental change does to one config; the numbers are the wire's.
type Op int8

const (
	OpSet      Op = 0 // replaces the value
	OpDelete   Op = 1 // back to the default
	OpAppend   Op = 2 // adds to a list, starting from the default if none is set
	OpSubtract Op = 3 // takes out of a list
)

func (o Op) String() string {
	names := []string{"SET", "DELETE", "APPEND", "SUBTRACT"}
	if int(o) < len(names) && o >= 0 {
		return names[o]
	}
	return "UNKNOWN"
}

// ConfigChange asks for other configs of a topic.
type ConfigChange struct {
	Topic string
	// Replace sets all configs anew: Ops are OpSet, and what is not among them
	// goes back to its default (AlterConfigs).
	Replace bool
	Ops     []ConfigOp
}

// ConfigOp changes one config.
type ConfigOp struct {
	Name  string
	Op    Op
	Value *string // nil only with OpDelete
}

// AlterConfigs decides on the changes, one at a time and each as a whole. The
// results are in their order.
func (c *Controller) AlterConfigs(changes []ConfigChange, validateOnly bool) ([][]byte, []TopicResult) {
	m := c.Image()
	twice := duplicates(changes, func(s ConfigChange) string { return s.Topic })
	results := make([]TopicResult, len(changes))
	var rs []record
	for i, s := range changes {
		results[i] = TopicResult{Name: s.Topic}
		if twice[s.Topic] {
			results[i].Err = fault(ErrInvalidRequest, "Each resource must appear at most once.")
			continue
		}
		t, configs, err := c.changed(m, s)
		if err != nil {
			results[i].Err = err
			continue
		}
		results[i].ID, results[i].Configs = t.ID, configs
		if !maps.Equal(configs, t.Configs) {
			rs = append(rs, configsRecord{ID: t.ID, Configs: configs})
		}
	}
	if validateOnly {
		return nil, results
	}
	return encodeAll(rs), results
}

func (c *Controller) changed(m *Image, s ConfigChange) (*Topic, map[string]string, error) {
	if s.Topic == "" {
		return nil, nil, fault(ErrInvalidRequest, "Default topic resources are not allowed.")
	}
	if err := CheckTopicName(s.Topic); err != nil {
		return nil, nil, err
	}
	t := m.TopicByName(s.Topic)
	if t == nil {
		return nil, nil, fault(ErrUnknownTopic, "The topic '%s' does not exist.", s.Topic)
	}
	configs, err := edited(t.Configs, s.Replace, s.Ops, c.o.ListConfig)
	if err != nil {
		return nil, nil, err
	}
	before := t.Configs
	if before == nil {
		before = map[string]string{}
	}
	return t, configs, c.checkConfigs(before, configs)
}

// BrokerConfigChange asks for other configs of a broker, or of AllBrokers. Replace
// and Ops are as in ConfigChange.
type BrokerConfigChange struct {
	Broker  int32
	Replace bool
	Ops     []ConfigOp
}

// AlterBrokerConfigs decides on the changes, one after the other and each as a
// whole: what is wrong with the second may be so because of the first. The errors,
// nil or an *Error, are in their order.
func (c *Controller) AlterBrokerConfigs(changes []BrokerConfigChange, validateOnly bool) ([][]byte, []error) {
	m := c.Image()
	next := m.BrokerConfigs
	twice := duplicates(changes, func(s BrokerConfigChange) int32 { return s.Broker })
	errs := make([]error, len(changes))
	var rs []record
	for i, s := range changes {
		if twice[s.Broker] {
			errs[i] = fault(ErrInvalidRequest, "Each resource must appear at most once.")
			continue
		}
		configs, err := edited(m.BrokerConfigs[s.Broker], s.Replace, s.Ops, c.o.ListBrokerConfig)
		if err == nil {
			err = c.checkBrokerConfigs(m, next.with(s.Broker, configs))
		}
		if errs[i] = err; err == nil && !maps.Equal(configs, m.BrokerConfigs[s.Broker]) {
			next = next.with(s.Broker, configs)
			rs = append(rs, brokerConfigsRecord{s.Broker, configs})
		}
	}
	if validateOnly {
		return nil, errs
	}
	return encodeAll(rs), errs
}

// checkBrokerConfigs refuses what Options.CheckBrokerConfigs does, as Kafka does: a
// value that a broker cannot have is an invalid request, where one that a topic
// cannot have is an invalid config.
func (c *Controller) checkBrokerConfigs(m *Image, configs BrokerConfigs) error {
	if c.o.CheckBrokerConfigs == nil {
		return nil
	}
	if err := c.o.CheckBrokerConfigs(m, configs); err != nil {
		return fault(ErrInvalidRequest, "%s", err)
	}
	return nil
}

// edited is a resource's configs after the ops; list is as Options.ListConfig.
func edited(configs map[string]string, replace bool, ops []ConfigOp, list func(string) (string, bool)) (map[string]string, error) {
	if twice := duplicates(ops, func(o ConfigOp) string { return o.Name }); len(twice) > 0 {
		names := slices.Sorted(maps.Keys(twice))
		return nil, fault(ErrInvalidRequest, "Error due to duplicate config keys: %s", strings.Join(names, ","))
	}
	next := map[string]string{}
	if !replace {
		maps.Copy(next, configs)
	}
	for _, o := range ops {
		if err := o.apply(next, list); err != nil {
			return nil, err
		}
	}
	return next, nil
}

func (o ConfigOp) apply(configs map[string]string, list func(string) (string, bool)) error {
	if o.Op < OpSet || o.Op > OpSubtract {
		return fault(ErrInvalidRequest, "Unknown operation type %d.", o.Op)
	}
	if o.Op == OpDelete {
		delete(configs, o.Name)
		return nil
	}
	if o.Value == nil {
		return fault(ErrInvalidRequest, "Null value not supported for : %s", o.Name)
	}
	if o.Op == OpSet {
		configs[o.Name] = *o.Value
		return nil
	}
	value, isList := "", false
	if list != nil {
		value, isList = list(o.Name)
	}
	if !isList {
		return fault(ErrInvalidConfig, "Can't %s to key %s because its type is not LIST.", o.Op, o.Name)
	}
	if set, ok := configs[o.Name]; ok {
		value = set
	}
	parts := slices.DeleteFunc(strings.Split(value, ","), func(p string) bool { return p == "" })
	for _, p := range strings.Split(*o.Value, ",") {
		i := slices.Index(parts, p)
		switch {
		case o.Op == OpAppend && i < 0:
			parts = append(parts, p)
		case o.Op == OpSubtract && i >= 0:
			parts = slices.Delete(parts, i, i+1)
		}
	}
	configs[o.Name] = strings.Join(parts, ",")
	return nil
}
