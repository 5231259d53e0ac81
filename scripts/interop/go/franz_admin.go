package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func (f franz) topicLife() error {
	topic := f.prefix + "-franz-life"
	return f.with(func(ctx context.Context, _ *kgo.Client, a *kadm.Client) error {
		if err := create(ctx, a, topic, 5, nil); err != nil {
			return err
		}
		all, err := a.ListTopics(ctx)
		if err != nil {
			return err
		}
		d := all[topic]
		if d.Err != nil || len(d.Partitions) != 5 || d.ID == (kadm.TopicID{}) || d.IsInternal {
			return fmt.Errorf("described as %+v", d)
		}
		for _, p := range d.Partitions {
			if p.Err != nil || len(p.Replicas) != 1 || len(p.ISR) != 1 || p.Leader != p.Replicas[0] || p.LeaderEpoch < 0 {
				return fmt.Errorf("partition described as %+v", p)
			}
		}
		if err := want(kerr.TopicAlreadyExists, create(ctx, a, topic, 1, nil)); err != nil {
			return err
		}
		if r, err := a.DeleteTopic(ctx, topic); err != nil || r.Err != nil {
			return errors.Join(err, r.Err)
		}
		for { // deletion is answered before every part of the broker has heard of it
			gone, err := a.ListTopics(ctx, topic)
			if err != nil {
				return err
			}
			if errors.Is(gone[topic].Err, kerr.UnknownTopicOrPartition) {
				return nil
			}
			if err := pause(ctx); err != nil {
				return fmt.Errorf("deleted, still described as %+v: %w", gone[topic], err)
			}
		}
	})
}

func (f franz) recreate() error {
	topic := f.prefix + "-franz-again"
	var ids []kadm.TopicID
	for range 2 {
		err := f.with(func(ctx context.Context, c *kgo.Client, a *kadm.Client) error {
			for { // the first incarnation's name may still be taken for a moment
				err := create(ctx, a, topic, 1, nil)
				if err == nil {
					break
				}
				if !errors.Is(err, kerr.TopicAlreadyExists) || pause(ctx) != nil {
					return err
				}
			}
			all, err := a.ListTopics(ctx, topic)
			if err != nil {
				return err
			}
			ids = append(ids, all[topic].ID)
			ends, err := a.ListEndOffsets(ctx, topic)
			if o, _ := ends.Lookup(topic, 0); err != nil || o.Offset != 0 {
				return fmt.Errorf("a new topic ends at %d: %w", o.Offset, err)
			}
			if err := c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); err != nil {
				return err
			}
			r, err := a.DeleteTopic(ctx, topic)
			return errors.Join(err, r.Err)
		})
		if err != nil {
			return err
		}
	}
	if ids[0] == ids[1] {
		return fmt.Errorf("both incarnations have the id %s", ids[0])
	}
	return nil
}

func (f franz) refusedTopics() error {
	return f.with(func(ctx context.Context, c *kgo.Client, a *kadm.Client) error {
		never := f.prefix + "-franz-never"
		for _, r := range []struct {
			name       string
			partitions int32
			configs    map[string]*string
			due        error
		}{
			{"no spaces", 1, nil, kerr.InvalidTopicException},
			{"..", 1, nil, kerr.InvalidTopicException},
			{strings.Repeat("n", 250), 1, nil, kerr.InvalidTopicException},
			{never, 0, nil, kerr.InvalidPartitions},
			{never, 1, map[string]*string{"no.such.config": kadm.StringPtr("1")}, kerr.InvalidConfig},
			{never, 1, map[string]*string{"retention.ms": kadm.StringPtr("soon")}, kerr.InvalidConfig},
			{never, 1, map[string]*string{"segment.bytes": kadm.StringPtr("-1")}, kerr.InvalidConfig},
		} {
			if err := want(r.due, create(ctx, a, r.name, r.partitions, r.configs)); err != nil {
				return fmt.Errorf("topic %q with %d partitions and %d configs: %w", r.name, r.partitions, len(r.configs), err)
			}
		}
		r, err := a.DeleteTopic(ctx, never)
		return want(kerr.UnknownTopicOrPartition, errors.Join(err, r.Err))
	})
}

// brokerConfigs: what is set for all brokers is what topics have, and then no more.
func (f franz) brokerConfigs() error {
	topic := f.prefix + "-franz-configs"
	const brokerKey, topicKey = "log.index.interval.bytes", "index.interval.bytes"
	return f.with(func(ctx context.Context, _ *kgo.Client, a *kadm.Client) error {
		if err := create(ctx, a, topic, 1, nil); err != nil {
			return err
		}
		alter := func(change kadm.AlterConfig) error {
			rs, err := a.AlterBrokerConfigs(ctx, []kadm.AlterConfig{change})
			for _, r := range rs {
				err = errors.Join(err, r.Err)
			}
			return err
		}
		has := func(value string) error {
			for { // a change is answered before every part of the broker has heard of it
				all, err := a.DescribeTopicConfigs(ctx, topic)
				if err != nil {
					return err
				}
				for _, c := range all[0].Configs {
					if c.Key == topicKey && c.MaybeValue() == value {
						return nil
					}
				}
				if err := pause(ctx); err != nil {
					return fmt.Errorf("%s is not %s: %w", topicKey, value, err)
				}
			}
		}
		if err := alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: brokerKey, Value: kadm.StringPtr("5000")}); err != nil {
			return err
		}
		if err := has("5000"); err != nil {
			return err
		}
		if err := alter(kadm.AlterConfig{Op: kadm.DeleteConfig, Name: brokerKey}); err != nil {
			return err
		}
		if err := has("4096"); err != nil {
			return err
		}
		return want(kerr.InvalidRequest, alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "node.id", Value: kadm.StringPtr("2")}))
	})
}

func (f franz) createPartitions() error {
	topic := f.prefix + "-franz-wider"
	return f.with(func(ctx context.Context, c *kgo.Client, a *kadm.Client) error {
		if err := create(ctx, a, topic, 2, nil); err != nil {
			return err
		}
		wider, err := a.UpdatePartitions(ctx, 6, topic)
		if err := errors.Join(err, wider.Error()); err != nil {
			return err
		}
		narrower, err := a.UpdatePartitions(ctx, 3, topic)
		if err := want(kerr.InvalidPartitions, errors.Join(err, narrower.Error())); err != nil {
			return err
		}
		return c.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: 5, Value: []byte("v")}).FirstErr()
	})
}

func (f franz) listOffsets() error {
	topic := f.prefix + "-franz-offsets"
	return f.with(func(ctx context.Context, c *kgo.Client, a *kadm.Client) error {
		if err := create(ctx, a, topic, 1, map[string]*string{"retention.ms": kadm.StringPtr("-1")}); err != nil {
			return err
		}
		const first = 1_760_000_000_000
		for i := range 10 { // a batch each; their times: first, first+1000, …
			r := &kgo.Record{Topic: topic, Timestamp: time.UnixMilli(first + int64(i)*1000), Value: []byte("v")}
			if err := c.ProduceSync(ctx, r).FirstErr(); err != nil {
				return err
			}
		}
		at := func(ms int64) func() (kadm.ListedOffsets, error) {
			return func() (kadm.ListedOffsets, error) { return a.ListOffsetsAfterMilli(ctx, ms, topic) }
		}
		for _, q := range []struct {
			name string
			ask  func() (kadm.ListedOffsets, error)
			due  int64
		}{
			{"earliest", func() (kadm.ListedOffsets, error) { return a.ListStartOffsets(ctx, topic) }, 0},
			{"latest", func() (kadm.ListedOffsets, error) { return a.ListEndOffsets(ctx, topic) }, 10},
			{"latest committed", func() (kadm.ListedOffsets, error) { return a.ListCommittedOffsets(ctx, topic) }, 10},
			{"newest timestamp", func() (kadm.ListedOffsets, error) { return a.ListMaxTimestampOffsets(ctx, topic) }, 9},
			{"before the first timestamp", at(1), 0},
			{"at a timestamp", at(first + 3000), 3},
			{"between two timestamps", at(first + 3001), 4},
			{"past the last timestamp", at(first + 9001), 10}, // kadm asks again for the end
		} {
			got, err := q.ask()
			o, _ := got.Lookup(topic, 0)
			if err := errors.Join(err, o.Err); err != nil || o.Offset != q.due {
				return fmt.Errorf("%s: offset %d, want %d: %w", q.name, o.Offset, q.due, err)
			}
		}
		return nil
	})
}

func (f franz) outOfRange() error {
	topic := f.prefix + "-franz-range"
	return f.with(func(ctx context.Context, c *kgo.Client, a *kadm.Client) error {
		if err := create(ctx, a, topic, 1, nil); err != nil {
			return err
		}
		c.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(1000)}})
		return want(kerr.OffsetOutOfRange, c.PollFetches(ctx).Err())
	}, kgo.ConsumeResetOffset(kgo.NoResetOffset()))
}

func (f franz) longPoll() error {
	topic := f.prefix + "-franz-poll"
	return f.with(func(ctx context.Context, c *kgo.Client, a *kadm.Client) error {
		if err := create(ctx, a, topic, 1, nil); err != nil {
			return err
		}
		c.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}})
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		if got := c.PollFetches(short); got.NumRecords() != 0 {
			return fmt.Errorf("%d records in an empty topic", got.NumRecords())
		}
		if err := c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); err != nil {
			return err
		}
		if got := c.PollFetches(ctx); got.NumRecords() != 1 { // long before the broker would have to answer
			return fmt.Errorf("%d records: %w", got.NumRecords(), got.Err())
		}
		return nil
	}, kgo.FetchMaxWait(2*stepTimeout))
}
