package kraft

import (
	"cmp"
	"maps"
	"slices"
)

// Image is what the metadata says of topics, producer ids, and the configs of brokers.
type Image struct {
	// NextProducerID is the first producer id that was not handed out.
	NextProducerID int64
	// BrokerConfigs are what was set for brokers while they ran, by the broker's id in
	// digits; "": for all of them. Some are secrets.
	BrokerConfigs map[string]map[string]string

	topics  map[[16]byte]*Topic
	configs map[string]map[string]string // by topic name
	// pending are the records of a metadata transaction that has not ended; nil
	// where there is none.
	pending [][]byte
}

// Topic is one topic of the cluster.
type Topic struct {
	ID         [16]byte
	Name       string
	Partitions []Partition // by number
	Configs    map[string]string
}

// Partition says who holds a partition.
type Partition struct {
	ID       int32
	Replicas []int32
	Leader   int32
	Epoch    int32 // of the leader
}

func newImage() *Image {
	return &Image{topics: map[[16]byte]*Topic{}, configs: map[string]map[string]string{}, BrokerConfigs: map[string]map[string]string{}}
}

// Topics lists the topics, sorted by name.
func (m *Image) Topics() []Topic {
	var all []Topic
	for _, t := range m.topics {
		c := *t
		c.Configs = maps.Clone(m.configs[t.Name])
		slices.SortFunc(c.Partitions, func(a, b Partition) int { return cmp.Compare(a.ID, b.ID) })
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Topic) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (t *Topic) partition(id int32) *Partition {
	i := slices.IndexFunc(t.Partitions, func(p Partition) bool { return p.ID == id })
	if i < 0 {
		return nil
	}
	return &t.Partitions[i]
}
