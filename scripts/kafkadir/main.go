// Kafkadir fills a Kafka broker with all that a data directory can hold, and writes down what a broker serves of it, byte
// for byte, so that two brokers on one directory can be compared. See scripts/kafkadir.sh.
//
//	kafkadir fill BOOTSTRAP          topics of every codec, transactions, a compacted one, several segments each
//	kafkadir more BOOTSTRAP SEED     a few more records for each of them
//	kafkadir open BOOTSTRAP ID       begins a transaction in each partition, and never ends it
//	kafkadir serve BOOTSTRAP DIR     writes DIR/«topic»-«partition», the bytes of all batches, and DIR/topics
package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const partitions = 3

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kafkadir:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	switch {
	case len(args) == 2 && args[0] == "fill":
		return fill(ctx, args[1])
	case len(args) == 3 && args[0] == "more":
		seed, err := strconv.ParseUint(args[2], 10, 64)
		if err != nil {
			return err
		}
		return more(ctx, args[1], seed)
	case len(args) == 3 && args[0] == "open":
		return leaveOpen(ctx, args[1], args[2])
	case len(args) == 3 && args[0] == "serve":
		return serve(ctx, args[1], args[2])
	}
	return fmt.Errorf("usage: kafkadir fill BOOTSTRAP | more BOOTSTRAP SEED | open BOOTSTRAP ID | serve BOOTSTRAP DIR")
}

// codecs are the topics that have only one, by its name.
func codecs() map[string]kgo.CompressionCodec {
	return map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
}

func fill(ctx context.Context, bootstrap string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	value := func(s string) *string { return &s }
	small := map[string]*string{"segment.bytes": value("1048576"), "index.interval.bytes": value("1024")}
	for name := range codecs() {
		if _, err := admin.CreateTopic(ctx, partitions, 1, small, "codec-"+name); err != nil {
			return err
		}
	}
	compacted := map[string]*string{"cleanup.policy": value("compact"), "segment.bytes": value("1048576"), "min.cleanable.dirty.ratio": value("0.01"), "segment.ms": value("1000")}
	for name, configs := range map[string]map[string]*string{"transactions": small, "compacted": compacted, "gone": nil, "empty": nil} {
		if _, err := admin.CreateTopic(ctx, partitions, 1, configs, name); err != nil {
			return err
		}
	}
	if _, err := admin.UpdatePartitions(ctx, 5, "empty"); err != nil {
		return err
	}
	if _, err := admin.DeleteTopics(ctx, "gone"); err != nil {
		return err
	}
	if _, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: value("86400000")}}, "codec-none"); err != nil {
		return err
	}
	for seed := range uint64(10) {
		if err := more(ctx, bootstrap, seed); err != nil {
			return err
		}
	}
	return nil
}

// more adds records to every topic; a seed gives the same ones again.
func more(ctx context.Context, bootstrap string, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, name := range slices.Sorted(slices.Values([]string{"none", "gzip", "snappy", "lz4", "zstd"})) {
		if err := produce(ctx, bootstrap, "codec-"+name, codecs()[name], rng, 400, 1000); err != nil {
			return err
		}
	}
	if err := produce(ctx, bootstrap, "compacted", kgo.NoCompression(), rng, 2000, 30); err != nil {
		return err
	}
	return transactions(ctx, bootstrap, rng)
}

func text(rng *rand.Rand, n int) []byte {
	b := make([]byte, rng.IntN(n)+1)
	for i := range b {
		b[i] = "etaoin shrdlu\n"[rng.IntN(14)]
	}
	return b
}

func records(topic string, rng *rand.Rand, n, bytes int) []*kgo.Record {
	rs := make([]*kgo.Record, n)
	for i := range rs {
		rs[i] = &kgo.Record{
			Topic: topic, Partition: int32(rng.IntN(partitions)), Key: []byte(strconv.Itoa(rng.IntN(100))), Value: text(rng, bytes),
			Headers: []kgo.RecordHeader{{Key: "n", Value: []byte(strconv.Itoa(i))}},
		}
	}
	return rs
}

func produce(ctx context.Context, bootstrap, topic string, codec kgo.CompressionCodec, rng *rand.Rand, n, bytes int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer client.Close()
	return client.ProduceSync(ctx, records(topic, rng, n, bytes)...).FirstErr()
}

// transactions commits and aborts in turn.
func transactions(ctx context.Context, bootstrap string, rng *rand.Rand) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.TransactionalID("kafkadir"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer client.Close()
	for i := range 6 {
		if err := client.BeginTransaction(); err != nil {
			return err
		}
		if err := client.ProduceSync(ctx, records("transactions", rng, 100, 500)...).FirstErr(); err != nil {
			return err
		}
		if err := client.EndTransaction(ctx, kgo.TransactionEndTry(i%2 == 0)); err != nil {
			return err
		}
	}
	return nil
}

// leaveOpen begins a transaction that nobody ends before its time is over, which is long, and puts other records behind
// it, also of a transaction that commits.
func leaveOpen(ctx context.Context, bootstrap, id string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.TransactionalID(id), kgo.TransactionTimeout(14*time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(7, 7))
	if err := client.ProduceSync(ctx, records("transactions", rng, 50, 500)...).FirstErr(); err != nil {
		return err
	}
	return transactions(ctx, bootstrap, rng)
}

// serve writes down what the broker has.
func serve(ctx context.Context, bootstrap, dir string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	var list strings.Builder
	for _, t := range topics.Sorted() {
		configs, err := admin.DescribeTopicConfigs(ctx, t.Topic)
		if err != nil {
			return err
		}
		fmt.Fprintf(&list, "%s %s %d partitions\n", t.Topic, t.ID, len(t.Partitions))
		var set []string
		for _, c := range configs {
			for _, k := range c.Configs {
				if k.Source == kmsg.ConfigSourceDynamicTopicConfig {
					set = append(set, fmt.Sprintf("  %s=%s\n", k.Key, k.MaybeValue()))
				}
			}
		}
		slices.Sort(set)
		list.WriteString(strings.Join(set, ""))
		for _, p := range t.Partitions.Sorted() {
			if err := servePartition(ctx, client, t, p, dir); err != nil {
				return fmt.Errorf("%s-%d: %w", t.Topic, p.Partition, err)
			}
		}
	}
	return os.WriteFile(filepath.Join(dir, "topics"), []byte(list.String()), 0o666)
}

func servePartition(ctx context.Context, client *kgo.Client, t kadm.TopicDetail, p kadm.PartitionDetail, dir string) error {
	start, err := kadm.NewClient(client).ListStartOffsets(ctx, t.Topic)
	if err != nil {
		return err
	}
	first, _ := start.Lookup(t.Topic, p.Partition)
	committed, err := kadm.NewClient(client).ListCommittedOffsets(ctx, t.Topic)
	if err != nil {
		return err
	}
	stable, _ := committed.Lookup(t.Topic, p.Partition)
	out := []byte(fmt.Sprintf("start %d, last stable %d\n", first.Offset, stable.Offset))
	aborted := map[string]bool{}
	for isolation := range int8(2) { // all, and what consumers of committed data see of it
		n := 0
		for from := first.Offset; ; {
			got, err := fetch(ctx, client, t, p, from, isolation, aborted)
			if err != nil {
				return err
			}
			if isolation == 0 {
				out = append(out, got.raw...)
			}
			if n += len(got.raw); got.next == from {
				out = append(out, fmt.Sprintf("isolation %d: %d bytes up to offset %d, last stable %d\n", isolation, n, from, got.stable)...)
				break
			}
			from = got.next
		}
	}
	for _, a := range slices.Sorted(maps.Keys(aborted)) {
		out = append(out, a...)
	}
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d", t.Topic, p.Partition)), out, 0o666)
}

// fetched is whole batches, the offset behind them, and the last stable offset.
type fetched struct {
	raw          []byte
	next, stable int64
}

// fetch reads from an offset on, and adds the transactions of which a consumer that
// reads what was committed is told that they were aborted.
func fetch(ctx context.Context, client *kgo.Client, t kadm.TopicDetail, p kadm.PartitionDetail, from int64, isolation int8, aborted map[string]bool) (fetched, error) {
	q := kmsg.NewPtrFetchRequest()
	q.MaxBytes, q.MaxWaitMillis, q.IsolationLevel = 4<<20, 10, isolation
	qt := kmsg.NewFetchRequestTopic()
	qt.Topic, qt.TopicID = t.Topic, [16]byte(t.ID)
	qp := kmsg.NewFetchRequestTopicPartition()
	qp.Partition, qp.FetchOffset, qp.PartitionMaxBytes = p.Partition, from, 4<<20
	qt.Partitions = append(qt.Partitions, qp)
	q.Topics = append(q.Topics, qt)
	a, err := q.RequestWith(ctx, client.Broker(int(p.Leader)))
	if err != nil {
		return fetched{}, err
	}
	if len(a.Topics) == 0 || len(a.Topics[0].Partitions) == 0 {
		return fetched{next: from}, kerr.ErrorForCode(a.ErrorCode)
	}
	ap := a.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(ap.ErrorCode); err != nil {
		return fetched{}, err
	}
	for _, a := range ap.AbortedTransactions {
		aborted[fmt.Sprintf("aborted: producer %d from offset %d\n", a.ProducerID, a.FirstOffset)] = true
	}
	raw, next := ap.RecordBatches, from
	whole := 0
	for rest := raw; len(rest) >= 12; rest = raw[whole:] {
		var b kmsg.RecordBatch
		size := 12 + int(int32(uint32(rest[8])<<24|uint32(rest[9])<<16|uint32(rest[10])<<8|uint32(rest[11])))
		if size > len(rest) {
			break
		}
		if err := b.ReadFrom(rest[:size]); err != nil {
			return fetched{}, err
		}
		whole += size
		next = b.FirstOffset + int64(b.LastOffsetDelta) + 1
	}
	return fetched{raw[:whole], next, ap.LastStableOffset}, nil
}
