package replication

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/bobbin-log/bobbin/engine"
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
	// partitions are by their number; those that cannot be used have an error
	// instead.
	partitions []replica
}

type replica struct {
	*Partition
	err error // nil or an ErrOffline
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

// all yields the partitions that can be used.
func (t *table) all() iter.Seq[*Partition] {
	return func(yield func(*Partition) bool) {
		for _, h := range t.byID {
			for _, r := range h.partitions {
				if r.err == nil && !yield(r.Partition) {
					return
				}
			}
		}
	}
}

// lacksRoom reports whether a partition could not be opened on a full disk.
func (t *table) lacksRoom() bool {
	for _, h := range t.byID {
		if h.lacksRoom() {
			return true
		}
	}
	return false
}

func (h *hosted) lacksRoom() bool {
	return slices.ContainsFunc(h.partitions, func(r replica) bool { return errors.Is(r.err, engine.ErrNoSpace) })
}

func (h *hosted) partition(id int32) (*Partition, error) {
	if id < 0 || int(id) >= len(h.partitions) {
		return nil, fmt.Errorf("%s-%d: the topic has %d partitions: %w", h.topic.Name, id, len(h.partitions), ErrUnknownTopic)
	}
	r := h.partitions[id]
	return r.Partition, r.err
}

// Partition finds a partition by its topic's name. Errors: ErrUnknownTopic, also
// for a partition that the topic does not have, and ErrOffline.
func (n *Node) Partition(topic string, id int32) (*Partition, error) {
	h := n.table.Load().byName[topic]
	if h == nil {
		return nil, fmt.Errorf("%s-%d: %w", topic, id, ErrUnknownTopic)
	}
	return h.partition(id)
}

// PartitionByID finds a partition by its topic's id. Errors: ErrUnknownTopicID,
// ErrUnknownTopic for a partition that the topic does not have, and ErrOffline.
func (n *Node) PartitionByID(topic [16]byte, id int32) (*Partition, error) {
	h := n.table.Load().byID[topic]
	if h == nil {
		return nil, fmt.Errorf("topic %x: %w", topic, ErrUnknownTopicID)
	}
	return h.partition(id)
}
