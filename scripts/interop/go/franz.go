package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// stepTimeout bounds one case or one topic; the runner bounds the whole client.
const stepTimeout = 2 * time.Minute

// maxFittingValue is the longest value of a record without key and headers whose batch of one just fits into Kafka's
// default max.message.bytes (1,048,588): 61 bytes of batch header and 11 around the value.
const maxFittingValue = 1_048_588 - 61 - 11

// franz is the client of github.com/twmb/franz-go: kgo for records, kadm for administration.
type franz struct{ bootstrap, prefix string }

// with hands a client and an admin client to do, and closes them.
func (f franz) with(do func(ctx context.Context, c *kgo.Client, a *kadm.Client) error, opts ...kgo.Opt) error {
	opts = append([]kgo.Opt{
		kgo.SeedBrokers(f.bootstrap),
		kgo.RequestTimeoutOverhead(stepTimeout),
		kgo.RetryTimeout(stepTimeout),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(8 << 20),
	}, opts...)
	c, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	a := kadm.NewClient(c)
	a.SetTimeoutMillis(int32(stepTimeout.Milliseconds()))
	return do(ctx, c, a)
}

func (f franz) write(topic, codec string, records []record) error {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	return f.with(func(ctx context.Context, c *kgo.Client, _ *kadm.Client) error {
		if err := f.createForManifest([]string{topic}); err != nil {
			return err
		}
		var out []*kgo.Record
		for _, r := range records {
			k := &kgo.Record{Topic: topic, Partition: r.partition, Timestamp: time.UnixMilli(r.timestamp), Key: r.key, Value: r.value}
			for _, h := range r.headers {
				k.Headers = append(k.Headers, kgo.RecordHeader{Key: h.name, Value: h.value})
			}
			out = append(out, k)
		}
		return c.ProduceSync(ctx, out...).FirstErr()
	}, kgo.ProducerBatchCompression(codecs[codec]), kgo.ProducerLinger(20*time.Millisecond))
}

// createForManifest creates topics that keep the manifest's records, which are older than the default retention.
func (f franz) createForManifest(topics []string) error {
	return f.with(func(ctx context.Context, _ *kgo.Client, a *kadm.Client) error {
		for _, t := range topics {
			if err := create(ctx, a, t, manifestPartitions, map[string]*string{"retention.ms": kadm.StringPtr("-1")}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f franz) read(topic string) (records []record, err error) {
	err = f.with(func(ctx context.Context, c *kgo.Client, a *kadm.Client) error {
		ends, err := a.ListEndOffsets(ctx, topic)
		if err != nil {
			return err
		}
		parts, want := map[int32]kgo.Offset{}, int64(0)
		ends.Each(func(o kadm.ListedOffset) {
			parts[o.Partition] = kgo.NewOffset().AtStart()
			want += o.Offset
			err = errors.Join(err, o.Err)
		})
		if err != nil {
			return err
		}
		c.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: parts})
		for int64(len(records)) < want {
			got := c.PollFetches(ctx)
			if err := got.Err(); err != nil {
				return fmt.Errorf("after %d of %d records: %w", len(records), want, err)
			}
			got.EachRecord(func(k *kgo.Record) {
				r := record{partition: k.Partition, timestamp: k.Timestamp.UnixMilli(), key: k.Key, value: k.Value}
				for _, h := range k.Headers {
					r.headers = append(r.headers, header{h.Key, h.Value})
				}
				records = append(records, r)
			})
		}
		return nil
	})
	slices.SortStableFunc(records, func(a, b record) int { return int(a.partition - b.partition) })
	return records, err
}

// create makes a topic and waits until each partition answers: Apache Kafka announces a topic before all of its parts
// have heard of it, and what is then sent with acks 0 is lost.
func create(ctx context.Context, a *kadm.Client, topic string, partitions int32, configs map[string]*string) error {
	r, err := a.CreateTopic(ctx, partitions, 1, configs, topic)
	if err := errors.Join(err, r.Err); err != nil {
		return err
	}
	for {
		ends, err := a.ListEndOffsets(ctx, topic)
		if err == nil && ends.Error() == nil && len(ends[topic]) == int(partitions) {
			return nil
		}
		if pause(ctx) != nil {
			return fmt.Errorf("created, but its partitions do not answer: %w", errors.Join(err, ends.Error()))
		}
	}
}

// want says whether err is the error that was due.
func want(due, err error) error {
	if !errors.Is(err, due) {
		return fmt.Errorf("got %v, want %w", err, due)
	}
	return nil
}

func (f franz) cases() []testCase {
	return []testCase{
		{"acks 0", func() error {
			return f.produceAndCount("acks0", kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
		}},
		{"acks 1", func() error {
			return f.produceAndCount("acks1", kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
		}},
		{"acks all, not idempotent", func() error { return f.produceAndCount("acksall", kgo.DisableIdempotentWrite()) }},
		{"acks all, idempotent, small batches", func() error {
			return f.produceAndCount("idempotent", kgo.ProducerBatchMaxBytes(512))
		}},
		{"several topics at once", f.severalTopics},
		{"a record that just fits", func() error { return f.produceSized("fits", maxFittingValue, nil) }},
		{"a record one byte too large", func() error {
			return want(kerr.MessageTooLarge, f.produceSized("over", maxFittingValue+1, nil))
		}},
		{"the topic's own max.message.bytes", func() error {
			limit := map[string]*string{"max.message.bytes": kadm.StringPtr("10000")}
			return errors.Join(f.produceSized("own-fits", 9_000, limit),
				want(kerr.MessageTooLarge, f.produceSized("own-over", 10_000, limit)))
		}},
		{"create, list, describe and delete a topic", f.topicLife},
		{"a recreated topic has a new id and no records", f.recreate},
		{"refused topics", f.refusedTopics},
		{"create partitions", f.createPartitions},
		{"change a broker's configuration while it runs", f.brokerConfigs},
		{"list offsets", f.listOffsets},
		{"an offset out of range", f.outOfRange},
		{"a fetch at the end waits and sees the next record", f.longPoll},
	}
}

// produceAndCount writes 50 records to each of 2 partitions, one request after the other or together as the options
// say, and waits until both partitions hold them: with acks 0 that is all there is to know.
func (f franz) produceAndCount(name string, opts ...kgo.Opt) error {
	topic := f.prefix + "-franz-" + name
	return f.with(func(ctx context.Context, c *kgo.Client, a *kadm.Client) error {
		if err := create(ctx, a, topic, 2, nil); err != nil {
			return err
		}
		var failed error
		for i := range 100 {
			c.Produce(ctx, &kgo.Record{Topic: topic, Partition: int32(i % 2), Value: fmt.Appendf(nil, "%d", i)},
				func(_ *kgo.Record, err error) { failed = errors.Join(failed, err) })
			if i%10 == 9 {
				if err := c.Flush(ctx); err != nil {
					return err
				}
			}
		}
		if failed != nil {
			return failed
		}
		for {
			ends, err := a.ListEndOffsets(ctx, topic)
			if err != nil {
				return err
			}
			p0, _ := ends.Lookup(topic, 0)
			p1, _ := ends.Lookup(topic, 1)
			if p0.Offset == 50 && p1.Offset == 50 {
				return nil
			}
			if err := pause(ctx); err != nil {
				return fmt.Errorf("partitions end at %d and %d, want 50 and 50: %w", p0.Offset, p1.Offset, err)
			}
		}
	}, opts...)
}

func (f franz) severalTopics() error {
	return f.with(func(ctx context.Context, c *kgo.Client, a *kadm.Client) error {
		var out []*kgo.Record
		for t := range 4 {
			topic := fmt.Sprintf("%s-franz-several-%d", f.prefix, t)
			if err := create(ctx, a, topic, 4, nil); err != nil {
				return err
			}
			for i := range 40 {
				out = append(out, &kgo.Record{Topic: topic, Partition: int32(i % 4), Value: fmt.Appendf(nil, "%d", i)})
			}
		}
		if err := c.ProduceSync(ctx, out...).FirstErr(); err != nil {
			return err
		}
		for t := range 4 {
			records, err := f.read(fmt.Sprintf("%s-franz-several-%d", f.prefix, t))
			if err != nil || len(records) != 40 {
				return fmt.Errorf("topic %d: %d records, want 40: %w", t, len(records), err)
			}
		}
		return nil
	})
}

func (f franz) produceSized(name string, size int, configs map[string]*string) error {
	topic := f.prefix + "-franz-" + name
	return f.with(func(ctx context.Context, c *kgo.Client, a *kadm.Client) error {
		if err := create(ctx, a, topic, 1, configs); err != nil {
			return err
		}
		return c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: make([]byte, size)}).FirstErr()
	}, kgo.ProducerBatchCompression(kgo.NoCompression()))
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(20 * time.Millisecond):
		return nil
	}
}
