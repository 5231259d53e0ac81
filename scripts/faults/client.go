package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// teller sends one record at a time and tells what the broker answers: it tries nothing again.
type teller struct {
	client *kgo.Client
	admin  *kadm.Client
}

func newTeller(address string) (*teller, error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(),
		kgo.RecordRetries(0), kgo.RequestRetries(1), kgo.RetryTimeout(5*time.Second), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.MetadataMinAge(50*time.Millisecond), kgo.RetryBackoffFn(quickly), kgo.DialTimeout(2*time.Second),
		kgo.RecordDeliveryTimeout(8*time.Second), kgo.UnknownTopicRetries(3))
	if err != nil {
		return nil, err
	}
	return &teller{c, kadm.NewClient(c)}, nil
}

func (t *teller) close() { t.client.Close() }

// produce sends a record and returns its offset.
func (t *teller) produce(ctx context.Context, topic string, partition int32, value []byte) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := t.client.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: partition, Value: value}).First()
	if err != nil {
		return -1, err
	}
	return r.Offset, nil
}

// read returns the values of a partition from its beginning, as many as wanted.
func read(ctx context.Context, address, topic string, partition int32, want int) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.FetchMaxWait(100*time.Millisecond), kgo.DialTimeout(2*time.Second),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var values [][]byte
	for len(values) < want {
		fetches := c.PollFetches(ctx)
		if ctx.Err() != nil {
			return values, fmt.Errorf("%d of %d records of %s-%d could be read", len(values), want, topic, partition)
		}
		if err := fetches.Err(); err != nil {
			return values, err
		}
		for r := range fetches.RecordsAll() {
			values = append(values, r.Value)
		}
	}
	return values, nil
}
