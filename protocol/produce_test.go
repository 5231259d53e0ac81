package protocol_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
	"github.com/bobbin-log/bobbin/segment/batch"
)

func record(value string) batch.Record {
	return batch.Record{Timestamp: time.Now().UnixMilli(), Value: []byte(value)}
}

// changed returns a good batch with one byte changed.
func changed(at int, to byte) []byte {
	b := records("one", "two")
	if at < 0 {
		at += len(b)
	}
	b[at] = to
	return b
}

// spec returns a batch that differs from a good one as change says.
func spec(change func(*batch.Spec)) []byte {
	s := batch.Of(record("x"))
	change(&s)
	return s.Bytes()
}

// TestProduceErrors: the codes are Apache Kafka 4.4's answers to the same bytes,
// but where the comment says otherwise. Nothing of what is refused is appended.
func TestProduceErrors(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	b.CreateTopic("compacted", 1, "cleanup.policy=compact")
	b.CreateTopic("small", 1, "max.message.bytes=200")
	b.CreateTopic("dated", 1, "message.timestamp.before.max.ms=1000000")
	transaction := "tx"
	for _, c := range []struct {
		name    string
		topic   string
		version int16
		acks    int16
		part    int32
		tx      *string
		records []byte
		want    *kerr.Error
	}{
		{"unknown topic", "nope", 9, -1, 0, nil, records("x"), kerr.UnknownTopicOrPartition},
		{"unknown id", "nope", 13, -1, 0, nil, records("x"), kerr.UnknownTopicID},
		{"unknown partition", "t", 9, -1, 9, nil, records("x"), kerr.UnknownTopicOrPartition},
		{"acks 2", "t", 9, 2, 0, nil, records("x"), kerr.InvalidRequiredAcks},
		{"acks -2", "t", 3, -2, 0, nil, records("x"), kerr.InvalidRequiredAcks},
		{"no batch", "t", 9, -1, 0, nil, []byte{}, kerr.InvalidRecord},
		{"null", "t", 9, -1, 0, nil, nil, kerr.InvalidRecord},
		{"two batches", "t", 9, -1, 0, nil, slices.Concat(records("a"), records("b")), kerr.InvalidRecord},
		{"truncated", "t", 9, -1, 0, nil, records("x")[:62], kerr.InvalidRecord},
		{"CRC", "t", 9, -1, 0, nil, changed(-2, 'Z'), kerr.CorruptMessage},
		{"magic 1", "t", 9, -1, 0, nil, changed(16, 1), kerr.InvalidRecord},
		{"magic 3 (Kafka: CORRUPT_MESSAGE)", "t", 9, -1, 0, nil, changed(16, 3), kerr.InvalidRecord},
		{"base offset", "t", 9, -1, 0, nil, spec(func(s *batch.Spec) { s.BaseOffset = 5 }), kerr.InvalidRecord},
		{"control", "t", 9, -1, 0, nil, spec(func(s *batch.Spec) { s.Control = true }), kerr.InvalidRecord},
		{"no records", "t", 9, -1, 0, nil, batch.Of().Bytes(), kerr.InvalidRecord},
		{"unknown codec (Kafka: UNKNOWN_SERVER_ERROR)", "t", 9, -1, 0, nil, spec(func(s *batch.Spec) { s.Codec = 7 }), kerr.UnsupportedCompressionType},
		{"zstd too early", "t", 6, -1, 0, nil, spec(func(s *batch.Spec) { s.Codec = batch.Zstd }), kerr.UnsupportedCompressionType},
		{"future", "t", 9, -1, 0, nil, spec(func(s *batch.Spec) { s.Records[0].Timestamp += 3 * time.Hour.Milliseconds() }), kerr.InvalidTimestamp},
		{"past", "dated", 9, -1, 0, nil, spec(func(s *batch.Spec) { s.Records[0].Timestamp = 5 }), kerr.InvalidTimestamp},
		{"no key", "compacted", 9, -1, 0, nil, records("x"), kerr.InvalidRecord},
		{"too large", "small", 9, -1, 0, nil, records(string(make([]byte, 300))), kerr.MessageTooLarge},
		{"transactional id (not built)", "t", 9, -1, 0, &transaction, records("x"), kerr.InvalidRequest},
		{"transactional batch (not built)", "t", 9, -1, 0, nil, spec(func(s *batch.Spec) { s.Transactional, s.ProducerID, s.BaseSequence = true, 5, 0 }), kerr.InvalidRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := produceRequest(c.topic, [16]byte{9}, c.part, c.acks, c.records)
			if c.version >= 13 && c.topic != "nope" {
				q.Topics[0].TopicID = topicID(t, b, c.topic)
			}
			q.TransactionID = c.tx
			p := produced(ask[*kmsg.ProduceResponse](dial(t, b), q, c.version))
			if p.ErrorCode != c.want.Code || p.BaseOffset != -1 {
				t.Errorf("%v at %d, want %v", kerr.ErrorForCode(p.ErrorCode), p.BaseOffset, c.want)
			}
		})
	}
	for topic := range b.Node().Image().Topics() {
		if p, err := b.Node().PartitionByID(topic.ID, 0); err != nil || p.HighWatermark() != 0 {
			t.Errorf("%s: something was appended: %d, %v", topic.Name, p.HighWatermark(), err)
		}
	}
}

// TestProduceRecordErrors: the records that are to blame are named from version 8
// on, all of them, as Kafka 4.4 answers: Java producers give each its own error.
func TestProduceRecordErrors(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("compacted", 1, "cleanup.policy=compact")
	bad := batch.Of(batch.Record{Timestamp: time.Now().UnixMilli(), Key: []byte("k")}, record("no key"), record("nor here")).Bytes()
	c := dial(t, b)
	for version := int16(7); version <= 8; version++ {
		p := produced(ask[*kmsg.ProduceResponse](c, produceRequest("compacted", [16]byte{}, 0, 1, bad), version))
		if p.ErrorCode != kerr.InvalidRecord.Code || (len(p.ErrorRecords) == 2) != (version >= 8) {
			t.Fatalf("v%d: %+v", version, p)
		}
		if version >= 8 && (p.ErrorRecords[0].RelativeOffset != 1 || p.ErrorRecords[1].RelativeOffset != 2 || p.ErrorMessage == nil || *p.ErrorMessage == "") {
			t.Errorf("v%d: %+v", version, p)
		}
	}
}

// TestProduceTimeoutOfZero: a time that is meant for replicas leaves the disk its
// own; Apache Kafka 4.4 answers both with success.
func TestProduceTimeoutOfZero(t *testing.T) {
	b := brokertest.Start(t, brokertest.Sync("always"))
	b.CreateTopic("t", 1)
	c := dial(t, b)
	for i, timeout := range []int32{0, -1} {
		q := produceRequest("t", [16]byte{}, 0, -1, records("x"))
		q.TimeoutMillis = timeout
		if p := produced(ask[*kmsg.ProduceResponse](c, q, 9)); p.ErrorCode != 0 || p.BaseOffset != int64(i) {
			t.Errorf("timeout %d: code %d, offset %d", timeout, p.ErrorCode, p.BaseOffset)
		}
	}
}

// TestProduceAcksNone: no answer, and on an error the end of the connection.
func TestProduceAcksNone(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	c := dial(t, b)
	c.send(produceRequest("t", [16]byte{}, 0, 0, records("silent")), 9)
	// The next answer is that of the next request.
	if base := mustProduce(c, "t", records("loud")); base != 1 {
		t.Errorf("the second batch is at %d", base)
	}
	c.send(produceRequest("t", [16]byte{}, 0, 0, changed(-2, 'Z')), 9)
	c.expectClosed()
}

// TestProducePipelined: many requests are sent before the first answer is read,
// some of which wait for the disk and some don't; the answers keep their order.
func TestProducePipelined(t *testing.T) {
	b := brokertest.Start(t)
	b.CreateTopic("synced", 1, "bobbin.sync=always")
	b.CreateTopic("quick", 1, "bobbin.sync=none")
	c := dial(t, b)
	const n = 200
	sent := make(chan error, 1)
	var frames []byte
	var asked []kmsg.Request
	for i := range n {
		topic := []string{"synced", "quick"}[i%2]
		var q kmsg.Request = produceRequest(topic, [16]byte{}, 0, -1, records(topic))
		version := int16(9)
		if i%10 == 9 {
			q, version = kmsg.NewPtrMetadataRequest(), 12
		}
		frames = append(frames, c.encoded(q, version)...)
		asked = append(asked, q)
	}
	go func() {
		_, err := c.conn.Write(frames)
		sent <- err
	}()
	for i, q := range asked {
		if a, ok := c.receive(q, int32(i+1)).(*kmsg.ProduceResponse); ok && produced(a).ErrorCode != 0 {
			t.Errorf("answer %d: code %d", i, produced(a).ErrorCode)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// TestProduceIdempotent: duplicates of the last five batches are answered with
// their old offsets, gaps are refused, an unknown producer may start anywhere;
// also after a restart.
func TestProduceIdempotent(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	send := func(epoch int16, sequence int32) (int64, *kerr.Error) {
		s := batch.Of(record("x"))
		s.ProducerID, s.ProducerEpoch, s.BaseSequence = 7000, epoch, sequence
		p := produced(ask[*kmsg.ProduceResponse](dial(t, b), produceRequest("t", [16]byte{}, 0, -1, s.Bytes()), 9))
		return p.BaseOffset, kerr.TypedErrorForCode(p.ErrorCode)
	}
	for i := range int32(7) {
		if base, err := send(0, 40+i); base != int64(i) || err != nil {
			t.Fatalf("sequence %d: offset %d, %v", 40+i, base, err)
		}
	}
	for range 2 {
		if base, err := send(0, 42); base != 2 || err != nil {
			t.Errorf("a duplicate: offset %d, %v", base, err)
		}
		if base, err := send(0, 49); base != -1 || err != kerr.OutOfOrderSequenceNumber {
			t.Errorf("a gap: offset %d, %v", base, err)
		}
		b.Restart()
	}
	if _, err := send(1, 5); err != kerr.OutOfOrderSequenceNumber {
		t.Errorf("a new epoch that doesn't start at 0: %v", err)
	}
	if base, err := send(1, 0); base != 7 || err != nil {
		t.Errorf("a new epoch: offset %d, %v", base, err)
	}
	if _, err := send(0, 47); err != kerr.InvalidProducerEpoch {
		t.Errorf("an old epoch: %v", err)
	}
}

// TestProduceAppendTime: the broker's time is in the answer and in the records.
func TestProduceAppendTime(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1, "message.timestamp.type=LogAppendTime")
	c := dial(t, b)
	before := time.Now().UnixMilli()
	old := batch.Of(batch.Record{Timestamp: 5, Value: []byte("x")}).Bytes()
	p := produced(ask[*kmsg.ProduceResponse](c, produceRequest("t", [16]byte{}, 0, -1, old), 9))
	if p.ErrorCode != 0 || p.LogAppendTime < before || p.LogAppendTime > time.Now().UnixMilli() {
		t.Fatalf("%+v", p)
	}
	set, err := batch.Parse(fetched(ask[*kmsg.FetchResponse](c, fetchRequest("t", [16]byte{}, 0, 0), 12)).RecordBatches)
	if err != nil || set.First().MaxTimestamp() != p.LogAppendTime || set.First().TimestampType() != batch.LogAppendTime {
		t.Errorf("stored: %v, %v", set.First().MaxTimestamp(), err)
	}
}

// TestProduceCompression: a topic's own compression is applied to what producers
// send, and consumers read the same values.
func TestProduceCompression(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	value := string(bytes.Repeat([]byte("value "), 100))
	for _, codec := range []string{"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"} {
		b.CreateTopic(codec, 1, "compression.type="+codec)
		c := dial(t, b)
		mustProduce(c, codec, batch.Of(record(value), record("b")).Bytes())
		s := batch.Of(record(value), record("c"))
		s.Codec = batch.Snappy
		mustProduce(c, codec, s.Bytes())
		set, err := batch.Parse(fetched(ask[*kmsg.FetchResponse](c, fetchRequest(codec, [16]byte{}, 0, 0), 12)).RecordBatches)
		if err != nil || set.Len() != 2 {
			t.Fatalf("%s: %d batches, %v", codec, set.Len(), err)
		}
		i := 0
		for stored := range set.All() {
			want := codec
			if codec == "producer" {
				want = []string{"none", "snappy"}[i]
			} else if codec == "uncompressed" {
				want = "none"
			}
			if stored.Codec().String() != want {
				t.Errorf("%s: batch %d is stored as %v", codec, i, stored.Codec())
			}
			for r, err := range stored.Records(0) {
				if err != nil || r.Offset%2 == 0 && string(r.Value) != value {
					t.Errorf("%s: record %d is %q, %v", codec, r.Offset, r.Value, err)
				}
			}
			i++
		}
	}
}

// TestProduceClient: franz-go's producer, idempotent by default, with each
// compression, headers, null keys and values.
func TestProduceClient(t *testing.T) {
	b := brokertest.Start(t)
	b.CreateTopic("t", 3)
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ProducerBatchCompression(codec), kgo.DefaultProduceTopic("t"))
		if err != nil {
			t.Fatal(err)
		}
		headers := []kgo.RecordHeader{{Key: "h", Value: []byte(name)}, {Key: "null"}}
		results := client.ProduceSync(context.Background(),
			&kgo.Record{Value: []byte(name), Headers: headers}, &kgo.Record{Key: []byte(name)}, &kgo.Record{})
		if err := results.FirstErr(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		client.Close()
	}
}

// TestProduceMessages: an error that a code alone doesn't explain has a text.
func TestProduceMessages(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	p := produced(ask[*kmsg.ProduceResponse](dial(t, b), produceRequest("t", [16]byte{}, 0, -1, changed(-2, 'Z')), 9))
	if p.ErrorMessage == nil || !bytes.Contains([]byte(*p.ErrorMessage), []byte("CRC")) {
		text, _ := json.Marshal(p)
		t.Errorf("the message doesn't say what is wrong: %s", text)
	}
}
