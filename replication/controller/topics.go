package controller

import (
	"errors"
	"maps"
	"slices"
)

// recordsMax is how many partitions, topics and configs one command may make,
// as in Kafka.
const recordsMax = 10_000

// TopicSpec asks for a topic.
type TopicSpec struct {
	Name string
	// ID is random and was made by the caller; see [ReservedID].
	ID [16]byte
	// Partitions and Replication may be -1 for the broker's default, and must be
	// with Assignments.
	Partitions  int32
	Replication int16
	Assignments []Assignment
	Configs     []Config
}

// Assignment says which brokers are to hold one partition, the leader first.
type Assignment struct {
	Partition int32
	Brokers   []int32
}

// Config is one key of a topic's configuration. A nil Value is an error when a
// topic is created. Of two configs of one name the last counts.
type Config struct {
	Name  string
	Value *string
}

// TopicResult answers a TopicSpec, in the order of the specs.
type TopicResult struct {
	Name string
	// Err is nil or an *Error; the rest is zero then.
	Err         error
	ID          [16]byte
	Partitions  int32
	Replication int16
	// Configs are what was set; the rest is the broker's default.
	Configs map[string]string
}

// CreateTopics decides which of the topics come to be: each as a whole or not at
// all, and none with validateOnly.
func (c *Controller) CreateTopics(specs []TopicSpec, validateOnly bool) ([][]byte, []TopicResult) {
	m := c.Image()
	twice := duplicates(specs, func(s TopicSpec) string { return s.Name })
	results := make([]TopicResult, len(specs))
	var rs []record
	size := 0
	fresh := map[string]string{} // like Image.collisions
	for i, s := range specs {
		results[i] = TopicResult{Name: s.Name}
		if twice[s.Name] {
			results[i].Err = fault(ErrInvalidRequest, "Duplicate topic name.")
			continue
		}
		t, err := c.newTopic(m, s, recordsMax-size)
		if other, ok := fresh[unifyCollisionChars(s.Name)]; ok && err == nil {
			err = collision(s.Name, other)
		}
		if errors.Is(err, errLarge) {
			return nil, refuseAll(specs)
		}
		if err != nil {
			results[i].Err = err
			continue
		}
		if hasCollisionChars(s.Name) {
			fresh[unifyCollisionChars(s.Name)] = s.Name
		}
		size += 1 + len(t.Partitions) + len(t.Configs)
		rs = append(rs, topicRecord(*t))
		results[i] = TopicResult{
			Name: s.Name, ID: t.ID, Configs: t.Configs,
			Partitions: int32(len(t.Partitions)), Replication: int16(len(t.Partitions[0].Replicas)),
		}
	}
	if validateOnly {
		return nil, results
	}
	return encodeAll(rs), results
}

// errLarge is not a fault of one topic: the whole command is refused.
var errLarge = fault(ErrPolicy, "Unable to perform excessively large batch operation.")

func refuseAll(specs []TopicSpec) []TopicResult {
	results := make([]TopicResult, len(specs))
	for i, s := range specs {
		results[i] = TopicResult{Name: s.Name, Err: errLarge}
	}
	return results
}

// duplicates returns the keys that come more than once.
func duplicates[T any, K comparable](all []T, key func(T) K) map[K]bool {
	seen, twice := map[K]bool{}, map[K]bool{}
	for _, v := range all {
		k := key(v)
		twice[k] = twice[k] || seen[k]
		seen[k] = true
	}
	maps.DeleteFunc(twice, func(_ K, more bool) bool { return !more })
	return twice
}

// newTopic makes the topic that a spec asks for, of at most room records.
func (c *Controller) newTopic(m *Image, s TopicSpec, room int) (*Topic, error) {
	if slices.Contains(reservedTopics, s.Name) {
		return nil, fault(ErrInvalidRequest, "Creation of internal topic %s is prohibited.", s.Name)
	}
	if m.TopicByName(s.Name) != nil {
		return nil, fault(ErrTopicExists, "Topic '%s' already exists.", s.Name)
	}
	if err := CheckTopicName(s.Name); err != nil {
		return nil, err
	}
	if other, ok := m.collisions.Find(unifiedTo(unifyCollisionChars(s.Name))); ok && hasCollisionChars(s.Name) {
		return nil, collision(s.Name, other.name)
	}
	if ReservedID(s.ID) || m.TopicByID(s.ID) != nil || m.Deleted(s.ID) {
		return nil, fault(ErrInvalidRequest, "Topic id %x is reserved or taken.", s.ID)
	}
	configs, err := c.newConfigs(s.Configs)
	if err != nil {
		return nil, err
	}
	partitions, err := c.newPartitions(m, s, room-1-len(configs))
	if err != nil {
		return nil, err
	}
	return &Topic{ID: s.ID, Name: s.Name, Partitions: partitions, Configs: configs}, nil
}

func collision(name, other string) error {
	return fault(ErrInvalidTopic, "Topic '%s' collides with existing topic: %s", name, other)
}

func (c *Controller) newConfigs(list []Config) (map[string]string, error) {
	configs := map[string]string{}
	for _, s := range list {
		if s.Value == nil {
			return nil, fault(ErrInvalidConfig, "Null value not supported for topic configs: %s", s.Name)
		}
		configs[s.Name] = *s.Value
	}
	return configs, c.checkConfigs(nil, configs)
}

func (c *Controller) checkConfigs(before, configs map[string]string) error {
	if c.o.CheckConfigs == nil {
		return nil
	}
	if err := c.o.CheckConfigs(before, configs); err != nil {
		return fault(ErrInvalidConfig, "%s", err)
	}
	return nil
}

func (c *Controller) newPartitions(m *Image, s TopicSpec, room int) ([]Partition, error) {
	switch {
	case len(s.Assignments) > 0 && s.Replication != -1:
		return nil, fault(ErrInvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
	case len(s.Assignments) > 0 && s.Partitions != -1:
		return nil, fault(ErrInvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
	case len(s.Assignments) > room:
		return nil, errLarge
	case len(s.Assignments) > 0:
		return assigned(m, s.Assignments)
	case s.Replication < -1 || s.Replication == 0:
		return nil, fault(ErrInvalidReplication, "Replication factor must be larger than 0, or -1 to use the default value.")
	case s.Partitions < -1 || s.Partitions == 0:
		return nil, fault(ErrInvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	count, replication := s.Partitions, s.Replication
	if count == -1 {
		count = c.o.Partitions
	}
	if replication == -1 {
		replication = c.o.Replication
	}
	if int(count) > room {
		return nil, errLarge
	}
	return placed(m, 0, int(count), int(replication))
}

// assigned turns a manual assignment of all partitions into partitions.
func assigned(m *Image, as []Assignment) ([]Partition, error) {
	byNumber := map[int32]Partition{}
	replication := -1
	for _, a := range as {
		if _, ok := byNumber[a.Partition]; ok {
			return nil, fault(ErrInvalidAssignment, "Found multiple manual partition assignments for partition %d", a.Partition)
		}
		if err := checkAssignment(m, a.Brokers, replication); err != nil {
			return nil, err
		}
		replication = len(a.Brokers)
		byNumber[a.Partition] = newPartition(a.Brokers)
	}
	ps := make([]Partition, len(as))
	for i := range ps {
		p, ok := byNumber[int32(i)]
		if !ok {
			return nil, fault(ErrInvalidAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
		ps[i] = p
	}
	return ps, nil
}

// checkAssignment holds one partition's replicas to the rules; replication is
// that of the topic, or -1.
func checkAssignment(m *Image, brokers []int32, replication int) error {
	if len(brokers) == 0 {
		return fault(ErrInvalidAssignment, "The manual partition assignment includes an empty replica list.")
	}
	sorted := slices.Sorted(slices.Values(brokers))
	for i, id := range sorted {
		if _, ok := m.Broker(id); !ok {
			return fault(ErrInvalidAssignment, "The manual partition assignment includes broker %d, but no such broker is registered.", id)
		}
		if i > 0 && sorted[i-1] == id {
			return fault(ErrInvalidAssignment, "The manual partition assignment includes the broker %d more than once.", id)
		}
	}
	if replication >= 0 && len(brokers) != replication {
		return fault(ErrInvalidAssignment, "The manual partition assignment includes a partition with %d replica(s), but this is not consistent with previous partitions, which have %d replica(s).", len(brokers), replication)
	}
	return nil
}

// placed spreads count partitions from number first on over the brokers, each
// beginning one broker further than the one before.
func placed(m *Image, first, count, replication int) ([]Partition, error) {
	if replication > len(m.Brokers) {
		return nil, fault(ErrInvalidReplication, "Unable to replicate the partition %d time(s): The target replication factor of %d cannot be reached because only %d broker(s) are registered.", replication, replication, len(m.Brokers))
	}
	ps := make([]Partition, count)
	for i := range ps {
		replicas := make([]int32, replication)
		for r := range replicas {
			replicas[r] = m.Brokers[(first+i+r)%len(m.Brokers)].ID
		}
		ps[i] = newPartition(replicas)
	}
	return ps, nil
}

func newPartition(replicas []int32) Partition {
	return Partition{Leader: replicas[0], Replicas: slices.Clone(replicas), ISR: slices.Clone(replicas)}
}

// TopicRef names a topic by name or, where Name is empty, by id.
type TopicRef struct {
	Name string
	ID   [16]byte
}

// DeleteTopics decides on topics to delete. The results are in the order of the
// refs and carry name and id where both are known.
func (c *Controller) DeleteTopics(refs []TopicRef) ([][]byte, []TopicResult) {
	m := c.Image()
	results := make([]TopicResult, len(refs))
	found := make([]*Topic, len(refs))
	for i, ref := range refs {
		results[i] = TopicResult{Name: ref.Name, ID: ref.ID}
		found[i], results[i].Err = find(m, ref)
	}
	sameRef := duplicates(refs, func(r TopicRef) TopicRef { return r })
	sameTopic := duplicates(found, func(t *Topic) *Topic { return t })
	var rs []record
	for i, t := range found {
		switch {
		case sameRef[refs[i]] && refs[i].Name != "":
			results[i].Err = fault(ErrInvalidRequest, "Duplicate topic name.")
		case sameRef[refs[i]]:
			results[i].Err = fault(ErrInvalidRequest, "Duplicate topic id.")
		case t == nil:
		case sameTopic[t]:
			results[i].Err = fault(ErrInvalidRequest, "The provided topic name maps to an ID that was already supplied.")
		default:
			results[i].Name, results[i].ID = t.Name, t.ID
			rs = append(rs, topicDeletedRecord{t.ID})
		}
	}
	return encodeAll(rs), results
}

func find(m *Image, ref TopicRef) (*Topic, error) {
	none := [16]byte{}
	switch {
	case ref.Name == "" && ref.ID == none:
		return nil, fault(ErrInvalidRequest, "Neither topic name nor id were specified.")
	case ref.Name != "" && ref.ID != none:
		return nil, fault(ErrInvalidRequest, "You may not specify both topic name and topic id.")
	case ref.Name != "":
		if t := m.TopicByName(ref.Name); t != nil {
			return t, nil
		}
		return nil, fault(ErrUnknownTopic, "This server does not host this topic-partition.")
	}
	if t := m.TopicByID(ref.ID); t != nil {
		return t, nil
	}
	return nil, fault(ErrUnknownTopicID, "This server does not host this topic ID.")
}

// PurgeTopics forgets deleted topics whose directories are gone everywhere.
func (c *Controller) PurgeTopics(ids [][16]byte) [][]byte {
	m := c.Image()
	ids = slices.DeleteFunc(slices.Clone(ids), func(id [16]byte) bool { return !m.Deleted(id) })
	if len(ids) == 0 {
		return nil
	}
	return encodeAll([]record{topicsPurgedRecord{ids}})
}
