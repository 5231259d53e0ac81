package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

// saramaClient is the client of github.com/IBM/sarama.
type saramaClient struct{ bootstrap, prefix string }

func newSarama(bootstrap, prefix string) saramaClient { return saramaClient{bootstrap, prefix} }

func saramaConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.ClientID = "interop"
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = stepTimeout, stepTimeout, stepTimeout
	c.Admin.Timeout, c.Producer.Timeout = stepTimeout, stepTimeout
	c.Metadata.AllowAutoTopicCreation = false
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Producer.MaxMessageBytes = 8 << 20
	c.Producer.Flush.Frequency = 20 * time.Millisecond
	c.Producer.Flush.MaxMessages = 500
	c.Consumer.MaxWaitTime = 50 * time.Millisecond // closing a partition waits for the fetch under way
	c.Consumer.Return.Errors = true
	return c
}

func idempotent(c *sarama.Config) {
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1
}

// admin hands an admin client to do.
func (s saramaClient) admin(do func(a sarama.ClusterAdmin) error) error {
	a, err := sarama.NewClusterAdmin([]string{s.bootstrap}, saramaConfig())
	if err != nil {
		return err
	}
	defer a.Close()
	return do(a)
}

func (s saramaClient) create(topic string, partitions int32, configs map[string]*string) error {
	return s.admin(func(a sarama.ClusterAdmin) error {
		return a.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: configs}, false)
	})
}

// send writes messages with a producer of its own and returns the first error.
func (s saramaClient) send(c *sarama.Config, messages []*sarama.ProducerMessage) error {
	p, err := sarama.NewSyncProducer([]string{s.bootstrap}, c)
	if err != nil {
		return err
	}
	defer p.Close()
	err = p.SendMessages(messages)
	if many := (sarama.ProducerErrors)(nil); errors.As(err, &many) && len(many) > 0 {
		return fmt.Errorf("%d of %d: %w", len(many), len(messages), many[0].Err)
	}
	return err
}

func (s saramaClient) write(topic, codec string, records []record) error {
	retention := "-1"
	if err := s.create(topic, manifestPartitions, map[string]*string{"retention.ms": &retention}); err != nil {
		return err
	}
	c := saramaConfig()
	idempotent(c)
	if err := c.Producer.Compression.UnmarshalText([]byte(codec)); err != nil {
		return err
	}
	var out []*sarama.ProducerMessage
	for _, r := range records {
		m := &sarama.ProducerMessage{Topic: topic, Partition: r.partition, Timestamp: time.UnixMilli(r.timestamp)}
		if r.key != nil {
			m.Key = sarama.ByteEncoder(r.key)
		}
		if r.value != nil {
			m.Value = sarama.ByteEncoder(r.value)
		}
		for _, h := range r.headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.name), Value: h.value})
		}
		out = append(out, m)
	}
	return s.send(c, out)
}

func (s saramaClient) read(topic string) ([]record, error) {
	c, err := sarama.NewClient([]string{s.bootstrap}, saramaConfig())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	consumer, err := sarama.NewConsumerFromClient(c)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partitions, err := c.Partitions(topic)
	if err != nil {
		return nil, err
	}
	slices.Sort(partitions)
	var records []record
	for _, p := range partitions {
		end, err := c.GetOffset(topic, p, sarama.OffsetNewest)
		if err != nil {
			return nil, err
		}
		got, err := readPartition(consumer, topic, p, end)
		if err != nil {
			return nil, fmt.Errorf("partition %d: %w", p, err)
		}
		records = append(records, got...)
	}
	return records, nil
}

// readPartition reads a partition from its first offset up to end.
func readPartition(consumer sarama.Consumer, topic string, p int32, end int64) (records []record, err error) {
	if end == 0 {
		return nil, nil
	}
	pc, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	defer pc.Close()
	deadline := time.After(stepTimeout)
	for next := int64(0); next < end; {
		select {
		case m := <-pc.Messages():
			r := record{partition: p, timestamp: m.Timestamp.UnixMilli(), key: m.Key, value: m.Value}
			for _, h := range m.Headers {
				r.headers = append(r.headers, header{string(h.Key), h.Value})
			}
			records = append(records, r)
			next = m.Offset + 1
		case err := <-pc.Errors():
			return nil, err
		case <-deadline:
			return nil, fmt.Errorf("%w at offset %d of %d", os.ErrDeadlineExceeded, next, end)
		}
	}
	return records, nil
}

func (s saramaClient) cases() []testCase {
	return []testCase{
		{"acks 0", func() error {
			return s.produceAndCount("acks0", func(c *sarama.Config) { c.Producer.RequiredAcks = sarama.NoResponse })
		}},
		{"acks 1", func() error {
			return s.produceAndCount("acks1", func(c *sarama.Config) { c.Producer.RequiredAcks = sarama.WaitForLocal })
		}},
		{"acks all", func() error { return s.produceAndCount("acksall", func(*sarama.Config) {}) }},
		{"acks all, idempotent", func() error { return s.produceAndCount("idempotent", idempotent) }},
		{"older protocol versions", s.olderVersions},
		{"a record that just fits", func() error { return s.produceSized("fits", maxFittingValue, nil) }},
		{"a record one byte too large", func() error {
			return want(sarama.ErrMessageSizeTooLarge, s.produceSized("over", maxFittingValue+1, nil))
		}},
		{"create, list, describe and delete a topic", s.topicLife},
		{"refused topics", s.refusedTopics},
		{"create partitions", s.createPartitions},
		{"list offsets", s.listOffsets},
		{"an offset out of range", s.outOfRange},
	}
}

func (s saramaClient) produceAndCount(name string, set func(*sarama.Config)) error {
	topic := s.prefix + "-sarama-" + name
	if err := s.create(topic, 2, nil); err != nil {
		return err
	}
	c := saramaConfig()
	set(c)
	var out []*sarama.ProducerMessage
	for i := range 100 {
		out = append(out, &sarama.ProducerMessage{Topic: topic, Partition: int32(i % 2), Value: sarama.StringEncoder(fmt.Sprint(i))})
	}
	if err := s.send(c, out); err != nil {
		return err
	}
	records, err := s.read(topic)
	for start := time.Now(); err == nil && len(records) < 100 && time.Since(start) < stepTimeout; { // acks 0: not there yet
		records, err = s.read(topic)
	}
	if err != nil || len(records) != 100 {
		return fmt.Errorf("%d records, want 100: %w", len(records), err)
	}
	for i, r := range records {
		if due := fmt.Sprint(i%50*2 + i/50); string(r.value) != due {
			return fmt.Errorf("record %d of partition %d is %q, want %q", i%50, r.partition, r.value, due)
		}
	}
	return nil
}

// olderVersions writes and reads as older clients do, each with the request versions of its time.
func (s saramaClient) olderVersions() error {
	for _, v := range []sarama.KafkaVersion{sarama.V0_11_0_0, sarama.V1_0_0_0, sarama.V2_0_0_0, sarama.V2_1_0_0, sarama.V2_8_0_0} {
		if err := s.produceAndCount("v"+v.String(), func(c *sarama.Config) { c.Version = v }); err != nil {
			return fmt.Errorf("as of Kafka %s: %w", v, err)
		}
	}
	return nil
}

func (s saramaClient) produceSized(name string, size int, configs map[string]*string) error {
	topic := s.prefix + "-sarama-" + name
	if err := s.create(topic, 1, configs); err != nil {
		return err
	}
	c := saramaConfig()
	c.Producer.Retry.Max = 0
	return s.send(c, []*sarama.ProducerMessage{{Topic: topic, Value: sarama.ByteEncoder(make([]byte, size))}})
}
