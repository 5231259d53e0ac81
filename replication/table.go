package replication

import (
	"bytes"
	"fmt"
	"iter"
	"strings"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication/controller"
)

// table is the partitions of this broker at one moment. It never changes once it
// was published.
type table struct {
	// image is the metadata that the table was made from.
	image *Image
	// defaults are what topics had then where they have nothing of their own: all
	// partitions are configured by them.
	defaults engine.Config
	byName   controller.Sorted[*hosted]
	byID     controller.Sorted[*hosted]
}

// hosted is a topic of which this broker has replicas.
type hosted struct {
	topic *Topic
	// partitions are by their number.
	partitions []*Partition
}

func newTable() *table {
	return &table{image: &Image{}}
}

// edit is a copy that can be changed, of the given image and defaults.
func (t *table) edit(image *Image, defaults engine.Config) *table {
	next := &table{image: image, defaults: defaults, byName: t.byName, byID: t.byID}
	next.byName.Edit()
	next.byID.Edit()
	return next
}

func (t *table) put(h *hosted) {
	t.byName.Put(h, hostedAs(h.topic.Name))
	t.byID.Put(h, hostedWithID(h.topic.ID))
}

// remove takes a topic out, unless a newer one has its name.
func (t *table) remove(h *hosted) {
	t.byID.Remove(hostedWithID(h.topic.ID))
	if t.named(h.topic.Name) == h {
		t.byName.Remove(hostedAs(h.topic.Name))
	}
}

// named is the topic of that name, nil if there is none; withID likewise.
func (t *table) named(name string) *hosted {
	h, _ := t.byName.Find(hostedAs(name))
	return h
}

func (t *table) withID(id [16]byte) *hosted {
	h, _ := t.byID.Find(hostedWithID(id))
	return h
}

func hostedAs(name string) func(*hosted) int {
	return func(h *hosted) int { return strings.Compare(h.topic.Name, name) }
}

func hostedWithID(id [16]byte) func(*hosted) int {
	return func(h *hosted) int { return bytes.Compare(h.topic.ID[:], id[:]) }
}

// all yields the partitions, also those that cannot be used.
func (t *table) all() iter.Seq[*Partition] {
	return func(yield func(*Partition) bool) {
		for h := range t.byID.All() {
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
	h := n.table.Load().named(topic)
	if h == nil {
		return nil, fmt.Errorf("%s-%d: %w", topic, id, ErrUnknownTopic)
	}
	return h.partition(id)
}

// PartitionByID finds a partition by its topic's id, and opens its log. Errors:
// ErrUnknownTopicID, ErrUnknownTopic for a partition that the topic does not have,
// and ErrOffline.
func (n *Node) PartitionByID(topic [16]byte, id int32) (*Partition, error) {
	h := n.table.Load().withID(topic)
	if h == nil {
		return nil, fmt.Errorf("topic %x: %w", topic, ErrUnknownTopicID)
	}
	return h.partition(id)
}

// ColdPartition finds a partition by its topic's id and leaves its log as it is;
// nil if there is none.
func (n *Node) ColdPartition(topic [16]byte, id int32) *Partition {
	return n.table.Load().withID(topic).cold(id)
}

// ColdPartitionNamed is ColdPartition by the topic's name.
func (n *Node) ColdPartitionNamed(topic string, id int32) *Partition {
	return n.table.Load().named(topic).cold(id)
}

// cold is nil where there is no topic, or no partition.
func (h *hosted) cold(id int32) *Partition {
	if h == nil || id < 0 || int(id) >= len(h.partitions) {
		return nil
	}
	return h.partitions[id]
}
