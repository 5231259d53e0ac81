package replication

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication/controller"
	"github.com/bobbin-log/bobbin/replication/kraft"
)

// adopt takes over the topics of the Apache Kafka broker whose data directory
// this is: their names, ids, partitions and configs, as Kafka's own metadata
// beside the logs has them, and what was set for the broker while it ran. It
// happens once, in one command, before this node's metadata begin; from then on
// ours count, and Kafka's stay as they are.
//
// What a topic had set is kept as it is; where this release has no such config it
// is not in force, and says so. Leader epochs go on above Kafka's. A topic that
// has a partition on other nodes alone is left out: its directories are not
// touched.
func (n *Node) adopt(ctx context.Context) error {
	if n.Image().ClusterID != "" {
		return nil
	}
	m, err := kraft.Read(n.o.FS, n.o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the topics of an Apache Kafka broker cannot be taken over (rename %s to start without them): %w", path.Join(n.o.Dir, kraft.LogName), err)
	}
	var topics []Topic
	partitions, others := 0, 0
	for _, k := range m.Topics() {
		t, ok := n.adopted(k)
		if !ok {
			n.log.Warn("a topic of Apache Kafka has partitions that are not on this node; it is left out", "topic", k.Name)
			continue
		}
		for _, p := range k.Partitions {
			others += len(p.Replicas) - 1
		}
		partitions += len(t.Partitions)
		topics = append(topics, t)
	}
	configs, left := n.adoptedConfigs(m.BrokerConfigs)
	err = n.raft.Propose(ctx, func() ([][]byte, error) {
		return n.controller.Adopt(topics, configs, m.NextProducerID), nil
	})
	if err != nil {
		return fmt.Errorf("take over the topics of Apache Kafka: %w", err)
	}
	n.log.Info("the directory is an Apache Kafka broker's: its topics are taken over", "topics", len(topics), "partitions", partitions)
	if others > 0 {
		n.log.Warn("partitions had replicas on other nodes; from here on they have one", "replicas", others)
	}
	if len(left) > 0 {
		n.log.Warn("configs that were set for brokers while they ran are not taken over: put them into the configuration", "configs", left)
	}
	return nil
}

// adoptedConfigs are what was set for this broker of Kafka's, and for all, of the
// defaults of topics: by them records were kept, and are kept on. The names of the
// others are returned too; their values may be secrets.
func (n *Node) adoptedConfigs(kafka map[string]map[string]string) (adopted controller.BrokerConfigs, left []string) {
	adopted = controller.BrokerConfigs{}
	for name, broker := range map[string]int32{"": AllBrokers, strconv.Itoa(int(n.o.NodeID)): n.o.NodeID} {
		configs := map[string]string{}
		for key, value := range kafka[name] {
			if k, ok := engine.FindBrokerKey(key); ok && !k.ReadOnly {
				configs[key] = value
			} else {
				left = append(left, key)
			}
		}
		if len(configs) > 0 {
			adopted[broker] = configs
		}
	}
	slices.Sort(left)
	return adopted, left
}

// adopted is Kafka's topic as ours; ok is false if it is not all on this node.
func (n *Node) adopted(k kraft.Topic) (t Topic, ok bool) {
	t = Topic{ID: k.ID, Name: k.Name, Configs: k.Configs}
	for i, p := range k.Partitions {
		if p.ID != int32(i) || !slices.Contains(p.Replicas, n.o.NodeID) {
			return Topic{}, false
		}
		self := []int32{n.o.NodeID}
		t.Partitions = append(t.Partitions, controller.Partition{Leader: n.o.NodeID, Epoch: p.Epoch + 1, Replicas: self, ISR: slices.Clone(self)})
	}
	return t, len(t.Partitions) > 0
}
