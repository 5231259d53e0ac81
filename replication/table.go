package replication

import (
	"fmt"
	"iter"
	"maps"
)

// table is the partitions of this broker at one moment. It never changes once it
// was published.
type table struct {
	// image is the metadata that the table was made from.
	image  *Image
	byName map[string]*hosted
	byID   map[[16]byte]*hosted
}

// hosted is a topic of which this broker has replicas.
type hosted struct {
	topic *Topic
	// partitions are by their number.
	partitions []*Partition
}

func newTable() *table {
	return &table{image: &Image{}, byName: map[string]*hosted{}, byID: map[[16]byte]*hosted{}}
}

func (t *table) clone(image *Image) *table {
	return &table{image: image, byName: maps.Clone(t.byName), byID: maps.Clone(t.byID)}
}

func (t *table) put(h *hosted) {
	t.byName[h.topic.Name], t.byID[h.topic.ID] = h, h
}

// remove takes a topic out, unless a newer one has its name.
func (t *table) remove(h *hosted) {
	delete(t.byID, h.topic.ID)
	if t.byName[h.topic.Name] == h {
		delete(t.byName, h.topic.Name)
	}
}

// all yields the partitions, also those that cannot be used.
func (t *table) all() iter.Seq[*Partition] {
	return func(yield func(*Partition) bool) {
		for _, h := range t.byID {
			for _, p := range h.partitions {
				if !yield(p) {
					return
				}
			}
		}
	}
}

func (h *hosted) partition(id int32) (*Partition, error) {
	if id < 0 || int(id) >= len(h.partitions) {
		return nil, fmt.Errorf("%s-%d: the topic has %d partitions: %w", h.topic.Name, id, len(h.partitions), ErrUnknownTopic)
	}
	p := h.partitions[id]
	if _, err := p.use(); err != nil {
		return nil, p.explain(err)
	}
	return p, nil
}

// Partition finds a partition by its topic's name, and opens its log. Errors:
// ErrUnknownTopic, also for a partition that the topic does not have, and
// ErrOffline.
func (n *Node) Partition(topic string, id int32) (*Partition, error) {
	h := n.table.Load().byName[topic]
	if h == nil {
		return nil, fmt.Errorf("%s-%d: %w", topic, id, ErrUnknownTopic)
	}
	return h.partition(id)
}

// PartitionByID finds a partition by its topic's id, and opens its log. Errors:
// ErrUnknownTopicID, ErrUnknownTopic for a partition that the topic does not have,
// and ErrOffline.
func (n *Node) PartitionByID(topic [16]byte, id int32) (*Partition, error) {
	h := n.table.Load().byID[topic]
	if h == nil {
		return nil, fmt.Errorf("topic %x: %w", topic, ErrUnknownTopicID)
	}
	return h.partition(id)
}

// ColdPartition finds a partition by its topic's id and leaves its log as it is;
// nil if there is none.
func (n *Node) ColdPartition(topic [16]byte, id int32) *Partition {
	h := n.table.Load().byID[topic]
	if h == nil || id < 0 || int(id) >= len(h.partitions) {
		return nil
	}
	return h.partitions[id]
}
