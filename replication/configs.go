package replication

import (
	"errors"
	"fmt"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication/controller"
)

// A topic's configuration lies in layers, and of each key the uppermost counts that
// has it:
//
//	the topic           AlterConfigs of the topic
//	this broker         AlterConfigs of broker 1, while it runs
//	all brokers         AlterConfigs of the broker without a name, while they run
//	the broker's start  Options.Defaults: flags, environment, server.properties
//
// The upper three are metadata: they outlive the process, and are changed while
// appends and reads go on. Whenever the metadata says something else, reconcile
// computes what is in force anew, from all layers; nothing is ever patched.

// layered is a configuration with the settings of each layer over those before it.
// What cannot be in force is left out, and told of: a newer release has set it, or
// the broker was started anew with what contradicts it.
func layered(c engine.Config, layers ...map[string]string) (engine.Config, error) {
	var errs []error
	for _, settings := range layers {
		next, err := c.With(settings)
		if err == nil {
			c = next
			continue
		}
		for _, k := range engine.Keys {
			value, ok := settings[k.Name]
			if !ok {
				continue
			}
			if next, err = c.With(map[string]string{k.Name: value}); err == nil {
				c = next
			} else {
				errs = append(errs, err)
			}
		}
		for name := range settings {
			if _, ok := engine.FindKey(name); !ok {
				errs = append(errs, fmt.Errorf("configuration %s is not known", name))
			}
		}
	}
	return c, errors.Join(errs...)
}

// brokerLayers are the two layers of a broker, the upper one last.
func brokerLayers(configs controller.BrokerConfigs, broker int32) (all, one map[string]string) {
	return engine.TopicDefaults(configs[AllBrokers]), engine.TopicDefaults(configs[broker])
}

// defaults are the configuration of topics that have nothing of their own. The
// error tells what is not in force.
func (n *Node) defaults(image *Image) (engine.Config, error) {
	all, one := brokerLayers(image.BrokerConfigs, n.o.NodeID)
	return layered(n.o.Defaults, all, one)
}

// sayBrokerConfigs tells what counts before what the broker was started with: whoever
// starts it would else look for it in vain.
func (n *Node) sayBrokerConfigs(image *Image, notInForce error) {
	if all, one := brokerLayers(image.BrokerConfigs, n.o.NodeID); len(all)+len(one) > 0 {
		n.log.Info("set for brokers while they ran: it counts before what this one was started with", "all", all, "this", one)
	}
	if notInForce != nil {
		n.log.Warn("what was set for brokers is not all in force", "err", notInForce)
	}
}

// topicConfig is a topic's effective configuration. Configs that this release
// refuses are left out with a warning: the data must be reachable.
func (n *Node) topicConfig(t *Topic, defaults engine.Config) engine.Config {
	c, err := layered(defaults, t.Configs)
	if err != nil {
		n.log.Warn("a topic's config is not in force", "topic", t.Name, "err", err)
	}
	return c
}

// TopicConfig is the effective configuration of a topic with these configs set. The
// error tells what of them is not in force.
func (n *Node) TopicConfig(configs map[string]string) (engine.Config, error) {
	return layered(n.table.Load().defaults, configs)
}

// Defaults are the topics' configuration where nothing is set, for them or for
// brokers: the lowest layer.
func (n *Node) Defaults() engine.Config { return n.o.Defaults }

// checkConfigs says why a topic cannot have the configs, or cannot get them in
// place of those that it has; these are nil for a new topic.
func (n *Node) checkConfigs(before, configs map[string]string) error {
	defaults, _ := n.defaults(n.Image()) // which reconcile tells of
	next, err := defaults.With(configs)
	if err != nil || before == nil {
		return err
	}
	was, err := defaults.With(before)
	if err != nil {
		return nil // of another release: whatever it was, the log is not open as it
	}
	if err := was.Design.CanBecome(next.Design); err != nil {
		return &engine.KeyError{Key: designKey, Value: configs[designKey], Why: err.Error()}
	}
	return nil
}

// designKey is the topic's key that says how its logs lie.
const designKey = "bobbin.design"

// checkBrokerConfigs says why brokers cannot get the configs in place of those that
// the image has: a value is wrong, or contradicts another one, of a layer below or
// of a topic above.
func (n *Node) checkBrokerConfigs(image *Image, configs controller.BrokerConfigs) error {
	all, one := brokerLayers(configs, n.o.NodeID)
	next, err := n.o.Defaults.With(all)
	if err == nil {
		next, err = next.With(one)
	}
	var wrong *engine.KeyError
	if errors.As(err, &wrong) {
		k, _ := engine.FindKey(wrong.Key)
		return &engine.KeyError{Key: k.Broker, Value: wrong.Value, Why: wrong.Why}
	}
	now, _ := n.defaults(image) // which reconcile tells of
	for t := range image.Topics() {
		if _, err := next.With(t.Configs); err != nil {
			if _, was := now.With(t.Configs); was == nil {
				return fmt.Errorf("topic %s could not have what is set for it: %w", t.Name, err)
			}
		}
	}
	return nil
}

// listConfig tells the controller which configs are lists, and what they are
// where a topic does not say.
func (n *Node) listConfig(name string) (string, bool) {
	k, ok := engine.FindKey(name)
	if !ok || k.Type != engine.List {
		return "", false
	}
	defaults, _ := n.defaults(n.Image()) // which reconcile tells of
	return k.Value(defaults), true
}

// listBrokerConfig tells the same of a broker's configs, by which a list begins with
// the key's own default, as in Kafka.
func listBrokerConfig(name string) (string, bool) {
	k, ok := engine.FindBrokerKey(name)
	return k.Default, ok && k.Type == engine.List
}
