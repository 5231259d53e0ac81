// Compact gives two brokers the same records, has them compact these, and compares what is left, record by record:
//
//	compact -seed 7 127.0.0.1:9092 127.0.0.1:19092
//
// Batches and timestamps are the same for both, and segments roll by the records' own time, so that both compact the
// same. It ends with code 1 if what is left differs.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	topic = "compared"
	keys  = 300
	// batches of up to perBatch records, batchMs apart; a segment has segmentMs of them.
	batches   = 900
	perBatch  = 12
	batchMs   = 100
	segmentMs = 4950
)

func main() {
	seed := flag.Uint64("seed", 1, "chooses the records")
	limit := flag.Duration("limit", 3*time.Minute, "for how long to wait for the compaction")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: compact [-seed N] ADDRESS ADDRESS")
		os.Exit(2)
	}
	if err := compare(*limit, *seed, flag.Arg(0), flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, "compact:", err)
		os.Exit(1)
	}
}

func compare(limit time.Duration, seed uint64, a, b string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var left [2][]*kgo.Record
	for i, address := range []string{a, b} {
		base, err := produce(ctx, seed, address)
		if err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
		if left[i], err = compacted(ctx, address, base); err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
	}
	for i := range max(len(left[0]), len(left[1])) {
		if i >= len(left[0]) || i >= len(left[1]) || !same(left[0][i], left[1][i]) {
			return fmt.Errorf("%d and %d records are left, and number %d differs", len(left[0]), len(left[1]), i)
		}
	}
	fmt.Printf("the same %d records are left, of %d keys\n", len(left[0]), keys)
	return nil
}

func same(a, b *kgo.Record) bool {
	return a.Offset == b.Offset && a.Timestamp.Equal(b.Timestamp) && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) &&
		(a.Value == nil) == (b.Value == nil) && len(a.Headers) == len(b.Headers)
}

// produce makes the topic and its records, and returns where the last segment begins, which is never compacted.
func produce(ctx context.Context, seed uint64, address string) (last int64, err error) {
	text := func(s string) *string { return &s }
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	var clients []*kgo.Client
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	for _, codec := range codecs {
		c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(20*time.Millisecond))
		if err != nil {
			return 0, err
		}
		clients = append(clients, c)
	}
	admin := kadm.NewClient(clients[0])
	if _, err := admin.DeleteTopics(ctx, topic); err != nil {
		return 0, err
	}
	response, err := admin.CreateTopic(ctx, 1, 1, map[string]*string{
		"cleanup.policy": text("compact"), "segment.ms": text(fmt.Sprint(segmentMs)), "min.cleanable.dirty.ratio": text("0.01"),
		"delete.retention.ms": text("3600000"), "message.timestamp.before.max.ms": text("9223372036854775807"),
	}, topic)
	if err = errors.Join(err, response.Err); err != nil {
		return 0, err
	}
	random := rand.New(rand.NewPCG(seed, 1))
	first := time.UnixMilli(1_700_000_000_000)
	segment := first
	for i := range batches {
		now := first.Add(time.Duration(i) * batchMs * time.Millisecond)
		var records []*kgo.Record
		for range 1 + random.IntN(perBatch) {
			r := &kgo.Record{Key: fmt.Appendf(nil, "key %d", random.IntN(keys)), Timestamp: now}
			if random.IntN(6) > 0 {
				r.Value = fmt.Appendf(nil, "batch %d, %d", i, random.Uint64())
			}
			if random.IntN(9) == 0 {
				r.Headers = []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}
			}
			records = append(records, r)
		}
		results := clients[random.IntN(len(clients))].ProduceSync(ctx, records...)
		if err := results.FirstErr(); err != nil {
			return 0, err
		}
		if now.Sub(segment) > segmentMs*time.Millisecond {
			segment, last = now, results[0].Record.Offset
		}
	}
	return last, nil
}

// compacted reads the topic until no key has two records before the last segment.
func compacted(ctx context.Context, address string, last int64) ([]*kgo.Record, error) {
	for {
		all, err := readAll(ctx, address)
		if err != nil {
			return nil, err
		}
		seen, twice := map[string]bool{}, 0
		for _, r := range all {
			if r.Offset < last && seen[string(r.Key)] {
				twice++
			}
			seen[string(r.Key)] = true
		}
		if twice == 0 {
			return all, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("before offset %d there are still %d records that have a later one", last, twice)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func readAll(ctx context.Context, address string) (all []*kgo.Record, err error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics(topic))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	end, _ := ends.Lookup(topic, 0)
	for len(all) == 0 || all[len(all)-1].Offset < end.Offset-1 {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		all = append(all, fetches.Records()...)
	}
	return all, nil
}
