package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// manyRun measures thousands of partitions.
func manyRun(ctx context.Context, r *rig) error {
	for _, partitions := range []int{1000, 5000} {
		if err := r.many(ctx, partitions); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) many(ctx context.Context, partitions int) error {
	b, err := newBroker(r, r.path(fmt.Sprint(partitions)))
	if err != nil {
		return err
	}
	if err := b.start(); err != nil {
		return err
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(b.address), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.DefaultProduceTopic("m0"), kgo.RetryTimeout(time.Minute))
	if err != nil {
		return err
	}
	defer c.Close()
	took := func(f func() error) (time.Duration, error) {
		begun := time.Now()
		err := f()
		return time.Since(begun).Round(time.Millisecond), err
	}
	const each = 500 // partitions of a topic
	create, err := took(func() error {
		for i := range partitions / each {
			a := kadm.NewClient(c)
			a.SetTimeoutMillis(60_000)
			response, err := a.CreateTopic(ctx, each, 1, nil, fmt.Sprint("m", i))
			if err == nil {
				err = response.Err
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	produce, err := took(func() error {
		var records []*kgo.Record
		for i := range partitions {
			records = append(records, &kgo.Record{Topic: fmt.Sprint("m", i/each), Partition: int32(i % each), Value: []byte("one")})
		}
		return c.ProduceSync(ctx, records...).FirstErr()
	})
	if err != nil {
		return err
	}
	rss, fds := b.status("VmRSS")>>10, b.descriptors()
	b.kill()
	killed, err := took(b.start)
	if err != nil {
		return err
	}
	rssKilled, fdsKilled := b.status("VmRSS")>>10, b.descriptors()
	if err := r.oneEach(ctx, c, partitions, "after kill -9"); err != nil {
		return err
	}
	var ended bool
	stop, _ := took(func() error { ended = b.terminate(time.Minute); return nil })
	clean := b.exitCode() == 0 && b.cleanMarker()
	again, err := took(b.start)
	if err != nil {
		return err
	}
	rssClean, fdsClean := b.status("VmRSS")>>10, b.descriptors()
	if err := r.oneEach(ctx, c, partitions, "after a clean stop"); err != nil {
		return err
	}
	idle, _ := took(func() error { ended = ended && b.terminate(time.Minute); return nil })
	r.check(ended && clean && b.sane(), "%d partitions: create %v, a record each %v (%d MiB, %d fds), start after kill -9 %v (%d MiB, %d fds), stop %v, start %v (%d MiB, %d fds), stop when idle %v",
		partitions, create, produce, rss, fds, killed, rssKilled, fdsKilled, stop, again, rssClean, fdsClean, idle)
	return nil
}

// oneEach checks that every partition has its record.
func (r *rig) oneEach(ctx context.Context, c *kgo.Client, partitions int, when string) error {
	ends, err := kadm.NewClient(c).ListEndOffsets(ctx)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return err
	}
	have := 0
	ends.Each(func(o kadm.ListedOffset) { have += int(o.Offset) })
	if have != partitions {
		r.check(false, "%s %d partitions have %d records", when, partitions, have)
	}
	return nil
}
