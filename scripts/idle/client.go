package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/segment/batch"
)

func topicName(i int) string { return fmt.Sprintf("idle-%05d", i) }

func median(all []state) state {
	slices.SortFunc(all, func(a, b state) int { return cmp.Compare(a.start, b.start) })
	return all[len(all)/2]
}

func freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:19092"
	}
	defer l.Close()
	return l.Addr().String()
}

// fill creates the topics, and gives each partition a record.
func (r *run) fill(ctx context.Context) (create, fill time.Duration, err error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(r.address), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.DefaultProduceTopic(topicName(0)), kgo.RetryTimeout(5*time.Minute), kgo.MaxBufferedRecords(200_000))
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	for deadline := time.Now().Add(time.Minute); c.Ping(ctx) != nil; {
		if time.Now().After(deadline) {
			return 0, 0, errors.New("the broker does not answer")
		}
	}
	a := kadm.NewClient(c)
	a.SetTimeoutMillis(300_000)
	begun := time.Now()
	for i := range r.partitions / r.each {
		response, err := a.CreateTopic(ctx, int32(r.each), 1, nil, topicName(i))
		if err := errors.Join(err, response.Err); err != nil {
			return 0, 0, err
		}
	}
	create = time.Since(begun)
	begun = time.Now()
	// Some at a time: a client that has thousands under way spends its time with
	// them, and all of their segments are open until they are synced.
	const atOnce = 500
	var records []*kgo.Record
	for i := range min(r.partitions/r.each*r.each, r.records) {
		records = append(records, &kgo.Record{Topic: topicName(i / r.each), Partition: int32(i % r.each), Value: []byte("one")})
	}
	for chunk := range slices.Chunk(records, atOnce) {
		if err := c.ProduceSync(ctx, chunk...).FirstErr(); err != nil {
			return 0, 0, err
		}
	}
	return create, time.Since(begun), nil
}

// first produces one record as soon as the broker takes one: no client, for a
// client would first ask for what it does not need here.
func (r *run) first(topic string, partition int32) error {
	request := produceRequest(topic, partition)
	var last error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); <-time.After(time.Millisecond) {
		var done bool
		if done, last = r.try(request); done {
			return nil
		}
	}
	return fmt.Errorf("no record was acknowledged: %w", last)
}

func produceRequest(topic string, partition int32) []byte {
	q := kmsg.NewPtrProduceRequest()
	q.SetVersion(7)
	q.Acks, q.TimeoutMillis = -1, 30_000
	t, p := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	p.Partition = partition
	p.Records = batch.Of(batch.Record{Timestamp: time.Now().UnixMilli(), Value: []byte("first")}).Bytes()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("idle")).AppendRequest(nil, q, 1)
}

func (r *run) try(request []byte) (done bool, err error) {
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		return false, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return false, err
	}
	if _, err := c.Write(request); err != nil {
		return false, err
	}
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return false, err
	}
	b := make([]byte, min(binary.BigEndian.Uint32(size[:]), 1<<16))
	if _, err := io.ReadFull(c, b); err != nil {
		return false, err
	}
	a := kmsg.NewPtrProduceResponse()
	a.SetVersion(7)
	if err := a.ReadFrom(b[min(4, len(b)):]); err != nil {
		return false, err
	}
	if len(a.Topics) != 1 || len(a.Topics[0].Partitions) != 1 {
		return false, errors.New("an answer without the partition")
	}
	if err := kerr.ErrorForCode(a.Topics[0].Partitions[0].ErrorCode); err != nil {
		return false, err
	}
	return true, nil
}
