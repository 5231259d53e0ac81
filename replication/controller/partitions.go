package controller

// PartitionsSpec asks for a topic to grow to Count partitions.
type PartitionsSpec struct {
	Topic string
	Count int32
	// Assignments are the brokers of each new partition, in their order; nil
	// leaves the choice to the controller.
	Assignments [][]int32
}

// CreatePartitions decides on new partitions. The results are in the order of
// the specs.
func (c *Controller) CreatePartitions(specs []PartitionsSpec, validateOnly bool) ([][]byte, []TopicResult) {
	m := c.Image()
	twice := duplicates(specs, func(s PartitionsSpec) string { return s.Topic })
	results := make([]TopicResult, len(specs))
	var rs []record
	room := recordsMax
	for i, s := range specs {
		results[i] = TopicResult{Name: s.Topic}
		if twice[s.Topic] {
			results[i].Err = fault(ErrInvalidRequest, "Duplicate topic name.")
			continue
		}
		t, ps, err := morePartitions(m, s, room)
		if err != nil {
			results[i].Err = err
			continue
		}
		room -= len(ps)
		results[i].ID, results[i].Partitions = t.ID, s.Count
		rs = append(rs, partitionsRecord{ID: t.ID, First: int32(len(t.Partitions)), Partitions: ps})
	}
	if validateOnly {
		return nil, results
	}
	return encodeAll(rs), results
}

func morePartitions(m *Image, s PartitionsSpec, room int) (*Topic, []Partition, error) {
	t := m.TopicByName(s.Topic)
	if t == nil {
		return nil, nil, fault(ErrUnknownTopic, "This server does not host this topic-partition.")
	}
	have := len(t.Partitions)
	more := int(s.Count) - have
	switch {
	case more == 0:
		return nil, nil, fault(ErrInvalidPartitions, "Topic already has %d partition(s).", have)
	case more < 0:
		return nil, nil, fault(ErrInvalidPartitions, "The topic %s currently has %d partition(s); %d would not be an increase.", s.Topic, have, s.Count)
	case s.Assignments != nil && len(s.Assignments) != more:
		return nil, nil, fault(ErrInvalidAssignment, "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", more, len(s.Assignments))
	case more > room:
		return nil, nil, errLarge
	}
	replication := len(t.Partitions[0].Replicas)
	if s.Assignments == nil {
		ps, err := placed(m, have, more, replication)
		return t, ps, err
	}
	ps := make([]Partition, more)
	for i, brokers := range s.Assignments {
		if err := checkAssignment(m, brokers, replication); err != nil {
			return nil, nil, err
		}
		ps[i] = newPartition(brokers)
	}
	return t, ps, nil
}
