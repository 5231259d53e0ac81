package controller

import (
	"bytes"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Image is the metadata at one moment. It never changes once it was handed out,
// so it may be read without a lock and kept; nothing in it may be written to.
type Image struct {
	// Offset is the log offset of the last command in it, 0 if none.
	Offset int64
	// ClusterID is empty until the first command sets it.
	ClusterID string
	// ControllerID is the broker that decides, as this broker knows it; it is no
	// part of the state that is agreed on.
	ControllerID int32
	// Brokers are sorted by id.
	Brokers []Broker
	// BrokerConfigs are what was set for brokers while they run.
	BrokerConfigs BrokerConfigs
	// NextProducerID is the first producer id that was not handed out.
	NextProducerID int64

	// Invariant: both hold the same topics.
	byName, byID Sorted[*Topic]
	// collisions are the names with a '.' or a '_', sorted by what they are with
	// every '.' replaced by '_'.
	collisions Sorted[claimedName]
	// deleted are topics whose directories brokers may still have.
	deleted map[[16]byte]struct{}
}

// claimedName is a name that another one must not be like.
type claimedName struct{ unified, name string }

// Broker is a node that holds partitions.
type Broker struct {
	ID        int32
	Rack      string // "": none
	Endpoints []Endpoint
}

// Endpoint is where clients reach a broker.
type Endpoint struct {
	Name string // of the listener, such as PLAINTEXT
	Host string
	Port int32
}

// BrokerConfigs are configs by the id of the broker that has them, AllBrokers among
// them. Who has none is not in it.
type BrokerConfigs map[int32]map[string]string

// AllBrokers stands for the id of every broker: what is set for it holds where a
// broker has nothing of its own.
const AllBrokers int32 = -1

// with is a copy in which a broker has the configs, in place of all that it had.
func (b BrokerConfigs) with(broker int32, configs map[string]string) BrokerConfigs {
	next := BrokerConfigs{}
	maps.Copy(next, b)
	if next[broker] = configs; len(configs) == 0 {
		delete(next, broker)
	}
	return next
}

// Topic is a named set of partitions.
type Topic struct {
	// ID is random, and what tells a topic from an earlier one of its name.
	ID   [16]byte
	Name string
	// Partitions are indexed by their number.
	Partitions []Partition
	// Configs are what was set for this topic, by Kafka's names; the rest is
	// the broker's default.
	Configs map[string]string
}

// Partition says who holds a partition.
type Partition struct {
	Leader   int32 // -1: none
	Epoch    int32 // of the leader, grows with each change
	Replicas []int32
	ISR      []int32 // those of the replicas that are in sync
}

func newImage() *Image {
	return &Image{deleted: map[[16]byte]struct{}{}}
}

// TopicByName returns a topic, or nil.
func (m *Image) TopicByName(name string) *Topic {
	t, _ := m.byName.Find(namedAs(name))
	return t
}

// TopicByID returns a topic, or nil.
func (m *Image) TopicByID(id [16]byte) *Topic {
	t, _ := m.byID.Find(withID(id))
	return t
}

func namedAs(name string) func(*Topic) int {
	return func(t *Topic) int { return strings.Compare(t.Name, name) }
}

func withID(id [16]byte) func(*Topic) int {
	return func(t *Topic) int { return compareIDs(t.ID, id) }
}

func unifiedTo(name string) func(claimedName) int {
	return func(c claimedName) int { return strings.Compare(c.unified, name) }
}

// Topics yields all topics sorted by name.
func (m *Image) Topics() iter.Seq[*Topic] { return m.byName.All() }

// ChangedSince yields the topics that differ from an earlier image: as they were,
// nil for a new one, and as they are, nil for one that is gone. What did not
// change costs next to nothing.
func (m *Image) ChangedSince(before *Image) iter.Seq2[*Topic, *Topic] {
	return Changes(before.byID, m.byID, func(a, b *Topic) int { return compareIDs(a.ID, b.ID) })
}

// Len is the number of topics.
func (m *Image) Len() int { return m.byName.Len() }

// Broker returns a broker by its id.
func (m *Image) Broker(id int32) (Broker, bool) {
	i, ok := slices.BinarySearchFunc(m.Brokers, id, func(b Broker, id int32) int { return int(b.ID) - int(id) })
	if !ok {
		return Broker{}, false
	}
	return m.Brokers[i], true
}

// Deleted reports whether a topic was deleted whose directories may still be
// there.
func (m *Image) Deleted(id [16]byte) bool {
	_, ok := m.deleted[id]
	return ok
}

// DeletedTopics returns the ids for which Deleted is true, sorted.
func (m *Image) DeletedTopics() [][16]byte {
	return slices.SortedFunc(maps.Keys(m.deleted), compareIDs)
}

func compareIDs(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) }

// hasCollisionChars tells of names that Kafka's metrics cannot tell apart.
func hasCollisionChars(name string) bool { return strings.ContainsAny(name, "._") }

func unifyCollisionChars(name string) string { return strings.ReplaceAll(name, ".", "_") }
