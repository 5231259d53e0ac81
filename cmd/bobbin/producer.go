package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// producer sends records in the order they come and counts what became of them.
type producer struct {
	client  *kgo.Client
	started time.Time

	mu struct {
		sync.Mutex
		producerCounts
		parts map[topicPartition]*producedPartition
		first error // the first failure of a record
	}
}

// producerCounts: Invariant: acked + failed <= sent.
type producerCounts struct {
	sent, acked, failed int64 // records
	bytes               int64 // of acknowledged keys, values and headers
}

type topicPartition struct {
	topic     string
	partition int32
}

// producedPartition is what one partition got.
type producedPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Records   int64  `json:"records"`
	First     int64  `json:"first_offset"` // -1 if the broker was not asked to answer
	Last      int64  `json:"last_offset"`
}

// run sends what read delivers, and returns when all of it was acknowledged or
// has failed. A record that fails ends it early. When ctx is cancelled no more
// is read, and what was read already is waited for.
func (p *producer) run(ctx context.Context, stderr io.Writer, read func(deliver func([]kgo.Record) bool) error) error {
	p.mu.parts = map[topicPartition]*producedPartition{}
	failed := make(chan struct{})
	promise := p.promise(failed)
	done := make(chan struct{})
	defer close(done)
	batches := make(chan []kgo.Record)
	readErr := make(chan error, 1)
	// Reading has a goroutine of its own because a read from a terminal cannot
	// be interrupted. Its error is there before batches is closed.
	go func() {
		readErr <- read(func(records []kgo.Record) bool {
			select {
			case batches <- records:
				return true
			case <-done:
				return false
			}
		})
		close(batches)
	}()
	var err error
loop:
	for {
		select {
		case records, ok := <-batches:
			if !ok {
				err = <-readErr
				break loop
			}
			p.count(len(records))
			for i := range records {
				p.client.Produce(context.Background(), &records[i], promise)
			}
		case <-failed:
			break loop
		case <-ctx.Done():
			err = ctx.Err()
			fmt.Fprintln(stderr, "bobbin: interrupted; waiting until what was read is acknowledged, interrupt again to give up")
			break loop
		}
	}
	_ = p.client.Flush(context.Background()) // fails only when its context ends
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(err, p.mu.first)
}

func (p *producer) count(n int) {
	p.mu.Lock()
	p.mu.sent += int64(n)
	p.mu.Unlock()
}

// promise returns what the client calls, one at a time and in order, for every
// record that was acknowledged or has failed.
func (p *producer) promise(failed chan struct{}) func(*kgo.Record, error) {
	return func(r *kgo.Record, err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if err != nil {
			p.mu.failed++
			if p.mu.first == nil {
				p.mu.first = err
				close(failed)
			}
			return
		}
		p.mu.acked++
		p.mu.bytes += recordBytes(r)
		at := topicPartition{r.Topic, r.Partition}
		part := p.mu.parts[at]
		if part == nil {
			part = &producedPartition{Topic: r.Topic, Partition: r.Partition, First: r.Offset}
			p.mu.parts[at] = part
		}
		part.Records++
		part.Last = r.Offset
	}
}

func recordBytes(r *kgo.Record) int64 {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return int64(n)
}

func (p *producer) progress() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	seconds := time.Since(p.started).Seconds()
	return fmt.Sprintf("%s records acknowledged, %s, %s records/s, %s waiting",
		thousands(p.mu.acked), megabytes(p.mu.bytes), thousands(int64(float64(p.mu.acked)/seconds)), thousands(p.mu.sent-p.mu.acked-p.mu.failed))
}

// producedReport is what produce prints at the end.
type producedReport struct {
	Records    int64               `json:"records"`
	Bytes      int64               `json:"bytes"`
	Failed     int64               `json:"failed"`
	Seconds    float64             `json:"seconds"`
	PerSecond  float64             `json:"records_per_second"`
	MBSecond   float64             `json:"megabytes_per_second"`
	Partitions []producedPartition `json:"partitions"`
}

func (p *producer) report() producedReport {
	p.mu.Lock()
	defer p.mu.Unlock()
	seconds := time.Since(p.started).Seconds()
	r := producedReport{
		Records: p.mu.acked, Bytes: p.mu.bytes, Failed: p.mu.failed, Seconds: seconds,
		PerSecond: float64(p.mu.acked) / seconds, MBSecond: float64(p.mu.bytes) / seconds / 1e6,
		Partitions: []producedPartition{},
	}
	for _, part := range p.mu.parts {
		r.Partitions = append(r.Partitions, *part)
	}
	slices.SortFunc(r.Partitions, func(x, y producedPartition) int {
		return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
	})
	return r
}

func (a *app) printProduced(r producedReport) error {
	return a.print(r, func() *table {
		t := &table{head: []string{"TOPIC", "PARTITION", "RECORDS", "OFFSETS"}}
		for _, p := range r.Partitions {
			offsets := fmt.Sprintf("%d-%d", p.First, p.Last)
			if p.Last < 0 {
				offsets = "not asked for"
			}
			t.row(p.Topic, p.Partition, p.Records, offsets)
		}
		if len(r.Partitions) == 0 {
			t.head = nil
		}
		text := fmt.Sprintf("%s records, %s in %.2f s: %s records/s, %.1f MB/s",
			thousands(r.Records), megabytes(r.Bytes), r.Seconds, thousands(int64(r.PerSecond)), r.MBSecond)
		if r.Failed > 0 {
			text += fmt.Sprintf("; %s failed", thousands(r.Failed))
		}
		t.foot = text
		return t
	})
}

// explain adds what to do about a failure.
func (p *producer) explain(err error, o *produceOptions) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return fmt.Errorf("there is no topic %q: make it with 'bobbin topic create %s', or pass --allow-auto-topic-creation", o.topic, o.topic)
	case errors.Is(err, kerr.MessageTooLarge):
		return fmt.Errorf("a record is larger than the topic's max.message.bytes, or --max-message-bytes is not what the topic allows: %w", brokerError(err, ""))
	default:
		return brokerError(err, "")
	}
}
