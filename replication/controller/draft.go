package controller

import (
	"fmt"
	"maps"
	"slices"
)

// draft is an image in the making: a copy of the last one that shares with it
// whatever no record has touched yet.
type draft struct {
	image *Image
	// What was copied already, and is the draft's own.
	topics, deleted bool
}

// edit begins a draft. The image itself stays as it is.
func (m *Image) edit() *draft {
	next := *m
	return &draft{image: &next}
}

// ownTopics makes the topic tables the draft's before the first change. The topics
// themselves are replaced, never written to.
func (d *draft) ownTopics() {
	if d.topics {
		return
	}
	d.topics = true
	d.image.byName.Edit()
	d.image.byID.Edit()
	d.image.collisions.Edit()
}

func (d *draft) ownDeleted() {
	if !d.deleted {
		d.deleted = true
		d.image.deleted = maps.Clone(d.image.deleted)
	}
}

func (d *draft) apply(b []byte) error {
	r, err := decodeRecord(b)
	if err != nil {
		return err
	}
	return r.apply(d)
}

func (r clusterRecord) apply(d *draft) error {
	d.image.ClusterID = r.ID
	return nil
}

func (r brokerRecord) apply(d *draft) error {
	all := slices.DeleteFunc(slices.Clone(d.image.Brokers), func(b Broker) bool { return b.ID == r.ID })
	all = append(all, Broker(r))
	slices.SortFunc(all, func(a, b Broker) int { return int(a.ID) - int(b.ID) })
	d.image.Brokers = all
	return nil
}

func (r brokerConfigsRecord) apply(d *draft) error {
	if r.Broker < AllBrokers {
		return fmt.Errorf("configs of a broker %d", r.Broker)
	}
	d.image.BrokerConfigs = d.image.BrokerConfigs.with(r.Broker, r.Configs)
	return nil
}

func (r topicRecord) apply(d *draft) error {
	m := d.image
	if r.Name == "" || len(r.Partitions) == 0 {
		return fmt.Errorf("topic %q has %d partitions: it has a name, and one at least", r.Name, len(r.Partitions))
	}
	if m.TopicByName(r.Name) != nil || m.TopicByID(r.ID) != nil {
		return fmt.Errorf("topic %q exists already", r.Name)
	}
	d.ownTopics()
	t := Topic(r)
	d.put(&t)
	if hasCollisionChars(r.Name) {
		c := claimedName{unifyCollisionChars(r.Name), r.Name}
		m.collisions.Put(c, unifiedTo(c.unified))
	}
	return nil
}

func (d *draft) put(t *Topic) {
	d.image.byName.Put(t, namedAs(t.Name))
	d.image.byID.Put(t, withID(t.ID))
}

func (d *draft) topic(id [16]byte) (*Topic, error) {
	if t := d.image.TopicByID(id); t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("there is no topic with id %x", id)
}

func (r topicDeletedRecord) apply(d *draft) error {
	t, err := d.topic(r.ID)
	if err != nil {
		return err
	}
	d.ownTopics()
	d.ownDeleted()
	m := d.image
	m.byName.Remove(namedAs(t.Name))
	m.byID.Remove(withID(t.ID))
	key := unifyCollisionChars(t.Name)
	if c, ok := m.collisions.Find(unifiedTo(key)); ok && c.name == t.Name {
		m.collisions.Remove(unifiedTo(key))
	}
	m.deleted[t.ID] = struct{}{}
	return nil
}

func (r topicsPurgedRecord) apply(d *draft) error {
	d.ownDeleted()
	for _, id := range r.IDs {
		delete(d.image.deleted, id)
	}
	return nil
}

func (r partitionsRecord) apply(d *draft) error {
	t, err := d.topic(r.ID)
	if err != nil {
		return err
	}
	if int(r.First) != len(t.Partitions) {
		return fmt.Errorf("partitions from %d on do not follow the %d of topic %q", r.First, len(t.Partitions), t.Name)
	}
	d.ownTopics()
	next := *t
	next.Partitions = append(slices.Clone(t.Partitions), r.Partitions...)
	d.put(&next)
	return nil
}

func (r configsRecord) apply(d *draft) error {
	t, err := d.topic(r.ID)
	if err != nil {
		return err
	}
	d.ownTopics()
	next := *t
	next.Configs = r.Configs
	d.put(&next)
	return nil
}

func (r producerIDsRecord) apply(d *draft) error {
	if r.Next < d.image.NextProducerID {
		return fmt.Errorf("producer ids go back from %d to %d", d.image.NextProducerID, r.Next)
	}
	d.image.NextProducerID = r.Next
	return nil
}
