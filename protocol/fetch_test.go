package protocol_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol"
	"github.com/bobbin-log/bobbin/protocol/brokertest"
	"github.com/bobbin-log/bobbin/replication"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// TestFetchAnswers: the offsets and codes are Apache Kafka 4.4's answers about a
// log of three batches of one record and 69 bytes each.
func TestFetchAnswers(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	c := dial(t, b)
	for _, v := range []string{"a", "b", "c"} {
		mustProduce(c, "t", records(v))
	}
	const size = 69
	change := func(f func(*kmsg.FetchRequest, *kmsg.FetchRequestTopicPartition)) func(*kmsg.FetchRequest) {
		return func(q *kmsg.FetchRequest) { f(q, &q.Topics[0].Partitions[0]) }
	}
	for _, k := range []struct {
		name    string
		offset  int64
		change  func(*kmsg.FetchRequest)
		code    int16
		bytes   int
		hw, lso int64
	}{
		{"all", 0, nil, 0, 3 * size, 3, 3},
		{"from the middle", 1, nil, 0, 2 * size, 3, 3},
		{"from the end", 3, nil, 0, 0, 3, 3},
		{"beyond the end", 4, nil, 1, 0, -1, -1},
		{"before the start", -1, nil, 1, 0, -1, -1},
		{"a partition that isn't there", 0, change(func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.Partition = 7 }), 3, 0, -1, -1},
		{"a newer leader epoch", 0, change(func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 5 }), 75, 0, -1, -1},
		{"a negative leader epoch", 0, change(func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = -2 }), 0, 3 * size, 3, 3},
		{"the right leader epoch", 0, change(func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 0 }), 0, 3 * size, 3, 3},
		{"the right last epoch", 1, change(func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.LastFetchedEpoch = 0 }), 0, 2 * size, 3, 3},
		{"a last epoch from nowhere", 1, change(func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.LastFetchedEpoch = 4 }), 1, 0, -1, -1},
		{"read_committed", 0, change(func(q *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { q.IsolationLevel = 1 }), 0, 3 * size, 3, 3},
		{"a first batch larger than the partition's limit", 0, change(func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.PartitionMaxBytes = 10 }), 0, size, 3, 3},
		{"no bytes at all", 0, change(func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.PartitionMaxBytes = 0 }), 0, size, 3, 3},
		{"negative bytes", 0, change(func(q *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) {
			q.MaxBytes, p.PartitionMaxBytes = -1, -1
		}), 0, size, 3, 3},
		{"a limit within the second batch", 0, change(func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.PartitionMaxBytes = 100 }), 0, 100, 3, 3},
		{"the same for the request", 0, change(func(q *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { q.MaxBytes = 100 }), 0, 100, 3, 3},
		{"another broker", 0, change(func(q *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { q.ReplicaID = 7 }), 6, 0, -1, -1},
		{"a debugging consumer", 0, change(func(q *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { q.ReplicaID = -2 }), 0, 3 * size, 3, 3},
	} {
		t.Run(k.name, func(t *testing.T) {
			q := fetchRequest("t", [16]byte{}, 0, k.offset)
			if k.change != nil {
				k.change(q)
			}
			p := fetched(ask[*kmsg.FetchResponse](c, q, 12))
			if p.ErrorCode != k.code || len(p.RecordBatches) != k.bytes || p.HighWatermark != k.hw || p.LastStableOffset != k.lso {
				t.Errorf("code %d, %d bytes, high watermark %d, last stable %d; want %d, %d, %d, %d",
					p.ErrorCode, len(p.RecordBatches), p.HighWatermark, p.LastStableOffset, k.code, k.bytes, k.hw, k.lso)
			}
			if p.PreferredReadReplica != -1 || p.RecordBatches == nil && p.ErrorCode == 0 {
				t.Errorf("preferred replica %d, records %v", p.PreferredReadReplica, p.RecordBatches)
			}
		})
	}
}

// TestFetchDiverging: a consumer that read past the end of its last epoch learns
// where that ended.
func TestFetchDiverging(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	c := dial(t, b)
	mustProduce(c, "t", records("a"))
	q := fetchRequest("t", [16]byte{}, 0, 9)
	q.Topics[0].Partitions[0].LastFetchedEpoch = 0
	q.MaxWaitMillis = int32(patience.Milliseconds()) // such news don't wait
	p := fetched(ask[*kmsg.FetchResponse](c, q, 12))
	if p.ErrorCode != 0 || p.DivergingEpoch.Epoch != 0 || p.DivergingEpoch.EndOffset != 1 || len(p.RecordBatches) > 0 {
		t.Errorf("%+v", p)
	}
}

// TestFetchUnknown: unknown names, ids, and ids of topics that were deleted and
// made again.
func TestFetchUnknown(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	c := dial(t, b)
	old := topicID(t, b, "t")
	mustProduce(c, "t", records("old"))
	deleteTopic(t, b, "t")
	b.CreateTopic("t", 1)
	mustProduce(c, "t", records("new"))
	for _, k := range []struct {
		topic   string
		id      [16]byte
		version int16
		want    *kerr.Error
	}{
		{"nope", [16]byte{}, 12, kerr.UnknownTopicOrPartition},
		{"", [16]byte{9}, 13, kerr.UnknownTopicID},
		{"", old, 13, kerr.UnknownTopicID},
		{"", [16]byte{}, 13, kerr.UnknownTopicID},
	} {
		a := ask[*kmsg.FetchResponse](c, fetchRequest(k.topic, k.id, 0, 0), k.version)
		if p := fetched(a); p.ErrorCode != k.want.Code || p.HighWatermark != -1 || a.Topics[0].TopicID != k.id {
			t.Errorf("%q %x v%d: %v, want %v", k.topic, k.id, k.version, kerr.ErrorForCode(p.ErrorCode), k.want)
		}
	}
	if p := fetched(ask[*kmsg.FetchResponse](c, fetchRequest("", topicID(t, b, "t"), 0, 0), 13)); !bytes.Contains(p.RecordBatches, []byte("new")) {
		t.Errorf("the new topic: %+v", p)
	}
}

func deleteTopic(t testing.TB, b *brokertest.Broker, name string) {
	t.Helper()
	results, err := b.Node().DeleteTopics(t.Context(), []replication.TopicRef{{Name: name}})
	if err != nil || results[0].Err != nil {
		t.Fatal(err, results)
	}
}

// TestFetchLimits: partitions are read in the order of the request until its
// limit is reached; a batch larger than what is left is cut or left out, but for
// the first.
func TestFetchLimits(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	c := dial(t, b)
	for i, n := range []int{0, 1000, 1000, 1000} {
		name := fmt.Sprint("t", i)
		b.CreateTopic(name, 1)
		if n > 0 {
			mustProduce(c, name, records(string(make([]byte, n))))
		}
	}
	whole := len(records(string(make([]byte, 1000))))
	for _, k := range []struct {
		max  int32
		want [4]int
	}{
		{1 << 20, [4]int{0, whole, whole, whole}},
		{1, [4]int{0, whole, 0, 0}},
		{int32(whole), [4]int{0, whole, 0, 0}},
		{int32(whole) + 500, [4]int{0, whole, 500, 0}},
		{2*int32(whole) + 1, [4]int{0, whole, whole, 1}},
	} {
		q := fetchRequest("t0", [16]byte{}, 0, 0)
		for i := 1; i < 4; i++ {
			addFetch(q, fmt.Sprint("t", i), [16]byte{}, 0, 0)
		}
		q.MaxBytes = k.max
		a := ask[*kmsg.FetchResponse](c, q, 12)
		var got [4]int
		for i, topic := range a.Topics {
			got[i] = len(topic.Partitions[0].RecordBatches)
		}
		// A batch that doesn't fit may be cut or left out.
		for i := range got {
			if got[i] > k.want[i] || got[i] < k.want[i] && k.want[i] >= whole {
				t.Errorf("max bytes %d: %v, want %v", k.max, got, k.want)
				break
			}
		}
	}
}

// TestFetchLarge: more than one buffer of anything, over every way to send it.
func TestFetchLarge(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []brokertest.Option
	}{
		{"TCP, files", nil},
		{"TCP, memory", []brokertest.Option{brokertest.InMemory()}},
		{"pipe, files", []brokertest.Option{brokertest.Piped()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := brokertest.Start(t, append(c.opts, brokertest.Sync("none"))...)
			b.CreateTopic("t", 4)
			k := dial(t, b)
			want := make([][]byte, 4)
			for p := range want {
				value := bytes.Repeat([]byte{byte('a' + p)}, []int{10, 40_000, 300_000, 1_000_000}[p])
				q := produceRequest("t", [16]byte{}, int32(p), 1, records(string(value)))
				for range 3 {
					if code := produced(ask[*kmsg.ProduceResponse](k, q, 9)).ErrorCode; code != 0 {
						t.Fatal(code)
					}
				}
				want[p] = value
			}
			q := fetchRequest("t", [16]byte{}, 0, 0)
			for p := int32(1); p < 4; p++ {
				addFetch(q, "t", [16]byte{}, p, 0)
			}
			for i := range q.Topics {
				q.Topics[i].Partitions[0].PartitionMaxBytes = 10 << 20
			}
			a := ask[*kmsg.FetchResponse](k, q, 12)
			for p, part := range a.Topics[0].Partitions {
				set, err := batch.Parse(part.RecordBatches)
				if err != nil || set.Len() != 3 || !bytes.Contains(part.RecordBatches, want[p]) {
					t.Errorf("partition %d: %d batches, %v", p, set.Len(), err)
				}
			}
		})
	}
}

// TestFetchWaits: a Fetch waits for its minimum of bytes, on every partition at
// once, however many they are.
func TestFetchWaits(t *testing.T) {
	for _, partitions := range []int32{1, 8, 9, 100} {
		t.Run(fmt.Sprint(partitions), func(t *testing.T) {
			b := brokertest.Start(t, brokertest.InMemory())
			b.CreateTopic("t", partitions)
			c, p := dial(t, b), dial(t, b)
			q := kmsg.NewPtrFetchRequest()
			q.MaxBytes, q.MinBytes, q.SessionEpoch = 1<<20, 130, -1
			q.MaxWaitMillis = int32(patience.Milliseconds())
			for i := range partitions {
				addFetch(q, "t", [16]byte{}, i, 0)
			}
			c.send(q, 12)
			for _, v := range []string{"a", "b"} { // the first is not enough
				r := produceRequest("t", [16]byte{}, partitions-1, -1, records(v))
				if code := produced(ask[*kmsg.ProduceResponse](p, r, 9)).ErrorCode; code != 0 {
					t.Fatal(code)
				}
			}
			a := c.receive(q, c.next).(*kmsg.FetchResponse)
			if got := a.Topics[0].Partitions[partitions-1]; len(got.RecordBatches) < 130 {
				t.Errorf("%d bytes", len(got.RecordBatches))
			}
		})
	}
}

// TestFetchEndsWaiting: errors, deleted topics and the end of the time end a wait.
func TestFetchEndsWaiting(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	c := dial(t, b)
	q := fetchRequest("t", [16]byte{}, 0, 0)
	q.MaxWaitMillis = 30
	start := time.Now()
	if p := fetched(ask[*kmsg.FetchResponse](c, q, 12)); p.ErrorCode != 0 || time.Since(start) < 30*time.Millisecond {
		t.Errorf("code %d after %v", p.ErrorCode, time.Since(start))
	}
	q.MaxWaitMillis = int32(patience.Milliseconds())
	c.send(q, 12)
	deleteTopic(t, b, "t")
	if p := fetched(c.receive(q, c.next).(*kmsg.FetchResponse)); p.ErrorCode != kerr.UnknownTopicOrPartition.Code {
		t.Errorf("after the topic was deleted: %v", kerr.ErrorForCode(p.ErrorCode))
	}
}

// TestFetchHangUp: when the peer hangs up during a long poll, the poll ends.
func TestFetchHangUp(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 20)
	c := dial(t, b)
	q := fetchRequest("t", [16]byte{}, 0, 0)
	for i := range int32(19) {
		addFetch(q, "t", [16]byte{}, i+1, 0)
	}
	q.MaxWaitMillis = 24 * 60 * 60 * 1000
	c.send(q, 12)
	c.conn.Close()
	waitFor(t, func() bool { return b.Server().Connections() == 0 })
}

// TestFetchThenMore: requests sent behind a long poll wait for it, and holding
// them costs the broker next to no memory; the order of the answers is kept.
func TestFetchThenMore(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.Limits(protocol.Limits{TransferGrace: patience}))
	b.CreateTopic("t", 1)
	c := dial(t, b)
	q := fetchRequest("t", [16]byte{}, 0, 0)
	q.MaxWaitMillis = int32(patience.Milliseconds())
	m, l := metadataRequest("t"), listRequest("t", 0, -1)
	p := produceRequest("t", [16]byte{}, 0, -1, records("late"))
	all := bytes.Join([][]byte{c.encoded(q, 12), c.encoded(m, 12), c.encoded(l, 7), c.encoded(p, 9)}, nil)
	c.write(all[:len(all)-50]) // which cuts the last
	mustProduce(dial(t, b), "t", records("x"))
	if got := fetched(c.receive(q, 1).(*kmsg.FetchResponse)); !bytes.Contains(got.RecordBatches, []byte("x")) {
		t.Errorf("%+v", got)
	}
	c.receive(m, 2)
	if end := c.receive(l, 3).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].Offset; end != 1 {
		t.Errorf("the log's end is %d", end)
	}
	c.write(all[len(all)-50:])
	if base := produced(c.receive(p, 4).(*kmsg.ProduceResponse)).BaseOffset; base != 1 {
		t.Errorf("the last request's batch is at %d", base)
	}
}

// TestFetchClient: franz-go consumes what it produced, while it is produced.
func TestFetchClient(t *testing.T) {
	b := brokertest.Start(t)
	b.CreateTopic("t", 5)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumeTopics("t"), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const n = 2000
	for i := range n {
		client.Produce(context.Background(), kgo.StringRecord(fmt.Sprint(i)), func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	seen := map[string]int{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for len(seen) < n && ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++ })
	}
	for v, times := range seen {
		if times != 1 {
			t.Errorf("record %s came %d times", v, times)
		}
	}
	if len(seen) != n {
		t.Errorf("%d records of %d", len(seen), n)
	}
	// A record may be consumed before its producer has heard that it is there; a
	// client that is closed then calls it failed.
	if err := client.Flush(ctx); err != nil {
		t.Error(err)
	}
}
