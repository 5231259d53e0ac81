package main

import (
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

func (s saramaClient) topicLife() error {
	topic := s.prefix + "-sarama-life"
	return s.admin(func(a sarama.ClusterAdmin) error {
		detail := &sarama.TopicDetail{NumPartitions: 5, ReplicationFactor: 1}
		if err := a.CreateTopic(topic, detail, true); err != nil {
			return fmt.Errorf("validate only: %w", err)
		}
		if err := a.CreateTopic(topic, detail, false); err != nil {
			return err
		}
		if err := want(sarama.ErrTopicAlreadyExists, a.CreateTopic(topic, detail, false)); err != nil {
			return err
		}
		d, err := a.DescribeTopics([]string{topic})
		if err != nil {
			return err
		}
		if len(d) != 1 || d[0].Err != sarama.ErrNoError || len(d[0].Partitions) != 5 {
			return fmt.Errorf("described as %+v", d)
		}
		if err := a.DeleteTopic(topic); err != nil {
			return err
		}
		for start := time.Now(); ; {
			d, err := a.DescribeTopics([]string{topic})
			if err != nil {
				return err
			}
			if d[0].Err == sarama.ErrUnknownTopicOrPartition {
				return nil
			}
			if time.Since(start) > stepTimeout {
				return fmt.Errorf("deleted, still described as %+v", d[0])
			}
		}
	})
}

func (s saramaClient) refusedTopics() error {
	value := "1"
	for _, r := range []struct {
		name       string
		partitions int32
		configs    map[string]*string
		due        error
	}{
		{"no spaces", 1, nil, sarama.ErrInvalidTopic},
		{s.prefix + "-sarama-never", 0, nil, sarama.ErrInvalidPartitions},
		{s.prefix + "-sarama-never", 1, map[string]*string{"no.such.config": &value}, sarama.ErrInvalidConfig},
	} {
		if err := want(r.due, s.create(r.name, r.partitions, r.configs)); err != nil {
			return fmt.Errorf("topic %q: %w", r.name, err)
		}
	}
	return s.admin(func(a sarama.ClusterAdmin) error {
		return want(sarama.ErrUnknownTopicOrPartition, a.DeleteTopic(s.prefix+"-sarama-never"))
	})
}

func (s saramaClient) createPartitions() error {
	topic := s.prefix + "-sarama-wider"
	if err := s.create(topic, 2, nil); err != nil {
		return err
	}
	return s.admin(func(a sarama.ClusterAdmin) error {
		if err := a.CreatePartitions(topic, 6, nil, false); err != nil {
			return err
		}
		if err := want(sarama.ErrInvalidPartitions, a.CreatePartitions(topic, 3, nil, false)); err != nil {
			return err
		}
		return s.send(saramaConfig(), []*sarama.ProducerMessage{{Topic: topic, Partition: 5, Value: sarama.StringEncoder("v")}})
	})
}

func (s saramaClient) listOffsets() error {
	topic := s.prefix + "-sarama-offsets"
	retention := "-1"
	if err := s.create(topic, 1, map[string]*string{"retention.ms": &retention}); err != nil {
		return err
	}
	const first = 1_760_000_000_000
	for i := range 10 {
		m := &sarama.ProducerMessage{Topic: topic, Timestamp: time.UnixMilli(first + int64(i)*1000), Value: sarama.StringEncoder("v")}
		if err := s.send(saramaConfig(), []*sarama.ProducerMessage{m}); err != nil {
			return err
		}
	}
	c, err := sarama.NewClient([]string{s.bootstrap}, saramaConfig())
	if err != nil {
		return err
	}
	defer c.Close()
	for _, q := range []struct {
		name    string
		at, due int64
	}{
		{"earliest", sarama.OffsetOldest, 0},
		{"latest", sarama.OffsetNewest, 10},
		{"before the first timestamp", 1, 0},
		{"at a timestamp", first + 3000, 3},
		{"between two timestamps", first + 3001, 4},
		{"past the last timestamp", first + 9001, -1},
	} {
		if got, err := c.GetOffset(topic, 0, q.at); err != nil || got != q.due {
			return fmt.Errorf("%s: offset %d, want %d: %w", q.name, got, q.due, err)
		}
	}
	return nil
}

func (s saramaClient) outOfRange() error {
	topic := s.prefix + "-sarama-range"
	if err := s.create(topic, 1, nil); err != nil {
		return err
	}
	c, err := sarama.NewConsumer([]string{s.bootstrap}, saramaConfig())
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.ConsumePartition(topic, 0, 1000)
	return want(sarama.ErrOffsetOutOfRange, err)
}
