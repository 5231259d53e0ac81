package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// consumer prints the records of ranges of partitions.
type consumer struct {
	client  *kgo.Client
	ranges  map[topicPartition]offsetRange
	bounded bool  // every range has an end
	left    int64 // records still to print; 0: no bound
	print   func(io.Writer, *kgo.FetchPartition, *kgo.Record) error
	out     *bufio.Writer
	started time.Time

	records, bytes atomic.Int64 // printed
}

// run returns when every range has been printed, or ctx is cancelled.
func (c *consumer) run(ctx context.Context, stderr io.Writer) error {
	from := map[string]map[int32]kgo.Offset{}
	for at, r := range c.ranges {
		if c.bounded && r.from >= r.until {
			delete(c.ranges, at)
			continue
		}
		if from[at.topic] == nil {
			from[at.topic] = map[int32]kgo.Offset{}
		}
		from[at.topic][at.partition] = kgo.NewOffset().At(r.from)
	}
	if len(c.ranges) == 0 {
		return nil
	}
	c.client.AddConsumePartitions(from)
	for {
		fetches := c.client.PollRecords(ctx, 20_000)
		if err := c.failure(fetches, stderr); err != nil {
			return err
		}
		done := false
		var err error
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if err == nil && !done {
				done, err = c.partition(&p)
			}
		})
		if err == nil {
			err = c.out.Flush()
		}
		if err != nil || done {
			return err
		}
	}
}

// failure is the first error among fetches that trying again will not heal.
func (c *consumer) failure(fetches kgo.Fetches, stderr io.Writer) error {
	for _, e := range fetches.Errors() {
		var loss *kgo.ErrDataLoss
		switch {
		case errors.As(e.Err, &loss):
			fmt.Fprintf(stderr, "bobbin: %s[%d]: %v\n", e.Topic, e.Partition, e.Err)
		case errors.Is(e.Err, context.Canceled), e.Topic == "":
			return e.Err
		default:
			return fmt.Errorf("%s[%d]: %w", e.Topic, e.Partition, brokerError(e.Err, ""))
		}
	}
	return nil
}

// partition prints what was fetched of one partition and tells whether nothing
// is left to do.
func (c *consumer) partition(p *kgo.FetchTopicPartition) (done bool, err error) {
	at := topicPartition{p.Topic, p.Partition}
	want, ok := c.ranges[at]
	if !ok {
		return false, nil // fetched ahead of its removal
	}
	for _, r := range p.Records {
		if !c.bounded || r.Offset < want.until {
			if !r.Attrs.IsControl() {
				if err := c.print(c.out, &p.FetchPartition, r); err != nil {
					return false, err
				}
				c.records.Add(1)
				c.bytes.Add(recordBytes(r))
				if c.left--; c.left == 0 {
					return true, nil
				}
			}
		}
		if c.bounded && r.Offset+1 >= want.until {
			delete(c.ranges, at)
			c.client.RemoveConsumePartitions(map[string][]int32{p.Topic: {p.Partition}})
			return len(c.ranges) == 0, nil
		}
	}
	return false, nil
}

func (c *consumer) progress() string {
	seconds := time.Since(c.started).Seconds()
	n := c.records.Load()
	return fmt.Sprintf("%s records, %s, %s records/s", thousands(n), megabytes(c.bytes.Load()), thousands(int64(float64(n)/seconds)))
}
