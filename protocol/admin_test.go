package protocol_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
	"github.com/bobbin-log/bobbin/segment/batch"
)

func admin(t testing.TB, b *brokertest.Broker) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.RequestTimeoutOverhead(15*time.Minute), kgo.RetryTimeout(patience)) // as long as it lets us
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

func ptr[T any](v T) *T { return &v }

// creatable is one element of a CreateTopics request.
func creatable(name string, partitions int32, replicas int16, configs ...string) kmsg.CreateTopicsRequestTopic {
	c := kmsg.NewCreateTopicsRequestTopic()
	c.Topic, c.NumPartitions, c.ReplicationFactor = name, partitions, replicas
	for i := 0; i+1 < len(configs); i += 2 {
		c.Configs = append(c.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: configs[i], Value: &configs[i+1]})
	}
	return c
}

func createRequest(topics ...kmsg.CreateTopicsRequestTopic) *kmsg.CreateTopicsRequest {
	q := kmsg.NewPtrCreateTopicsRequest()
	q.TimeoutMillis, q.Topics = 10_000, topics
	return q
}

// TestCreateTopics: codes and shapes are Apache Kafka 4.4's answers.
func TestCreateTopics(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.Partitions(3))
	c := dial(t, b)
	b.CreateTopic("taken", 1)
	q := createRequest(
		creatable("good", 2, 1, "retention.ms", "1000"), creatable("default", -1, -1),
		creatable("taken", 1, 1), creatable("bad name", 1, 1), creatable("", 1, 1), creatable("none", 0, 1),
		creatable("fewer", -2, 1), creatable("replicas", 1, 3), creatable("noreplicas", 1, 0),
		creatable("unknown", 1, 1, "nope", "1"), creatable("badvalue", 1, 1, "retention.ms", "x"),
		creatable("twice", 1, 1), creatable("twice", 2, 1), creatable("__cluster_metadata", 1, 1),
	)
	want := map[string]int16{
		"good": 0, "default": 0, "taken": 36, "bad name": 17, "": 17, "none": 37, "fewer": 37, "replicas": 38,
		"noreplicas": 38, "unknown": 40, "badvalue": 40, "twice": 42, "__cluster_metadata": 42,
	}
	a := ask[*kmsg.CreateTopicsResponse](c, q, 7)
	for _, topic := range a.Topics {
		code, asked := want[topic.Topic]
		if !asked || topic.ErrorCode != code || (code != 0) != (topic.ErrorMessage != nil) {
			t.Errorf("%q: %v (%v), want %v", topic.Topic, kerr.ErrorForCode(topic.ErrorCode), topic.ErrorMessage, kerr.ErrorForCode(code))
		}
		delete(want, topic.Topic)
		if code != 0 {
			if topic.TopicID != [16]byte{} || topic.NumPartitions != -1 || topic.ReplicationFactor != -1 {
				t.Errorf("%q failed, but: %+v", topic.Topic, topic)
			}
			continue
		}
		if n := map[string]int32{"good": 2, "default": 3}[topic.Topic]; topic.NumPartitions != n || topic.ReplicationFactor != 1 || topic.TopicID != topicID(t, b, topic.Topic) {
			t.Errorf("%q: %+v", topic.Topic, topic)
		}
		for _, config := range topic.Configs {
			set := topic.Topic == "good" && config.Name == "retention.ms"
			if config.Value == nil || set != (config.Source == 1) || set && *config.Value != "1000" {
				t.Errorf("%q: %+v", topic.Topic, config)
			}
		}
		if len(topic.Configs) < 20 {
			t.Errorf("%q: only %d configs", topic.Topic, len(topic.Configs))
		}
	}
	if len(want) > 0 {
		t.Errorf("no answer about %v", want)
	}
}

func TestCreateTopicsValidateOnly(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	q := createRequest(creatable("t", 2, 1))
	q.ValidateOnly = true
	if a := ask[*kmsg.CreateTopicsResponse](dial(t, b), q, 7); a.Topics[0].ErrorCode != 0 || a.Topics[0].NumPartitions != 2 {
		t.Errorf("%+v", a.Topics[0])
	}
	if b.Node().Image().TopicByName("t") != nil {
		t.Error("the topic was created")
	}
}

// TestDeleteTopics: by name and id, with Apache Kafka's codes; a name is free as
// soon as the answer is there.
func TestDeleteTopics(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	c := dial(t, b)
	b.CreateTopic("a", 1)
	b.CreateTopic("b", 1)
	b.CreateTopic("kept", 1)
	q := kmsg.NewPtrDeleteTopicsRequest()
	q.TimeoutMillis = 10_000
	ref := func(name *string, id [16]byte) {
		q.Topics = append(q.Topics, kmsg.DeleteTopicsRequestTopic{Topic: name, TopicID: id})
	}
	ref(ptr("a"), [16]byte{})
	ref(nil, topicID(t, b, "b"))
	ref(ptr("nope"), [16]byte{})
	ref(nil, [16]byte{9})
	ref(nil, [16]byte{})
	ref(ptr("x"), [16]byte{8})
	// An empty name is a name, as Kafka 4.4 answers: with an id beside it nothing
	// is deleted.
	ref(ptr(""), topicID(t, b, "kept"))
	ref(ptr(""), [16]byte{})
	a := ask[*kmsg.DeleteTopicsResponse](c, q, 6)
	var got []string
	for _, topic := range a.Topics {
		name := "null"
		if topic.Topic != nil {
			name = *topic.Topic
		}
		got = append(got, fmt.Sprint(name, " ", topic.ErrorCode))
	}
	if want := []string{" 42", " 3", "a 0", "b 0", "nope 3", "null 100", "null 42", "x 42"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	topicID(t, b, "kept")
	b.CreateTopic("a", 1)
	q = kmsg.NewPtrDeleteTopicsRequest()
	q.TimeoutMillis, q.TopicNames = 10_000, []string{"a", "nope", "", "twice", "twice"}
	a = ask[*kmsg.DeleteTopicsResponse](c, q, 1)
	got = nil
	for _, topic := range a.Topics {
		got = append(got, fmt.Sprint(*topic.Topic, " ", topic.ErrorCode))
	}
	if want := []string{"a 0", "nope 3", " 3", "twice 42"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCreatePartitions(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	c := dial(t, b)
	b.CreateTopic("t", 2)
	for _, k := range []struct {
		topic  string
		count  int32
		assign [][]int32
		code   int16
	}{
		{"t", 1, nil, 37}, {"t", 2, nil, 37}, {"t", -1, nil, 37}, {"nope", 4, nil, 3},
		{"t", 3, [][]int32{{7}}, 39}, {"t", 3, [][]int32{{1}, {1}}, 39}, {"t", 3, [][]int32{{1}}, 0}, {"t", 5, nil, 0},
	} {
		q := kmsg.NewPtrCreatePartitionsRequest()
		q.TimeoutMillis = 10_000
		topic := kmsg.NewCreatePartitionsRequestTopic()
		topic.Topic, topic.Count = k.topic, k.count
		for _, replicas := range k.assign {
			topic.Assignment = append(topic.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: replicas})
		}
		q.Topics = append(q.Topics, topic)
		q.ValidateOnly = true
		for range 2 {
			if a := ask[*kmsg.CreatePartitionsResponse](c, q, 3); a.Topics[0].ErrorCode != k.code {
				t.Errorf("%+v: code %d", k, a.Topics[0].ErrorCode)
			}
			q.ValidateOnly = false
		}
	}
	if n := len(b.Node().Image().TopicByName("t").Partitions); n != 5 {
		t.Errorf("%d partitions", n)
	}
	q := produceRequest("t", [16]byte{}, 4, -1, records("in the new one"))
	if p := produced(ask[*kmsg.ProduceResponse](c, q, 9)); p.ErrorCode != 0 {
		t.Errorf("producing to it: code %d", p.ErrorCode)
	}
}

// TestDeleteRecords: -1 stands for all, and what is deleted can't be read.
func TestDeleteRecords(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	c := dial(t, b)
	b.CreateTopic("t", 1)
	b.CreateTopic("compacted", 1, "cleanup.policy=compact")
	b.CreateTopic("both", 1, "cleanup.policy=compact,delete")
	mustProduce(c, "t", records("0", "1", "2"))
	mustProduce(c, "t", records("3"))
	for _, k := range []struct {
		topic     string
		partition int32
		offset    int64
		low       int64
		code      int16
	}{
		{"t", 0, 1, 1, 0}, {"t", 0, 0, 1, 0}, {"t", 0, 5, -1, 1}, {"t", 0, -2, -1, 1}, {"t", 9, 0, -1, 3},
		{"nope", 0, 0, -1, 3}, {"compacted", 0, 0, -1, 44}, {"both", 0, 0, 0, 0},
	} {
		q := kmsg.NewPtrDeleteRecordsRequest()
		q.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: k.topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: k.partition, Offset: k.offset}}}}
		p := ask[*kmsg.DeleteRecordsResponse](c, q, 2).Topics[0].Partitions[0]
		if p.LowWatermark != k.low || p.ErrorCode != k.code {
			t.Errorf("%+v: low watermark %d, code %d", k, p.LowWatermark, p.ErrorCode)
		}
	}
	// The start lies within a batch: the batch is still served, as in Kafka.
	if p := fetched(ask[*kmsg.FetchResponse](c, fetchRequest("t", [16]byte{}, 0, 1), 12)); p.ErrorCode != 0 || p.LogStartOffset != 1 || len(p.RecordBatches) == 0 {
		t.Errorf("from the new start: %+v", p)
	}
	if p := fetched(ask[*kmsg.FetchResponse](c, fetchRequest("t", [16]byte{}, 0, 0), 12)); p.ErrorCode != kerr.OffsetOutOfRange.Code {
		t.Errorf("from before it: code %d", p.ErrorCode)
	}
	deleted, err := admin(t, b).DeleteRecords(t.Context(), kadm.Offsets{"t": {0: {Topic: "t", At: -1}}})
	if err != nil || deleted["t"][0].LowWatermark != 4 {
		t.Errorf("all: %+v, %v", deleted, err)
	}
}

// TestListOffsets: special offsets, by version, and times. What is answered about
// an empty log is Apache Kafka 4.4's answer.
func TestListOffsets(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	c := dial(t, b)
	b.CreateTopic("empty", 1)
	b.CreateTopic("t", 1, "retention.ms=-1") // its records are of 1970
	for _, at := range []int64{1000, 3000, 2000} {
		r := record("x")
		r.Timestamp = at
		mustProduce(c, "t", batch.Of(r).Bytes())
	}
	const unsupported = 35
	for _, k := range []struct {
		topic         string
		timestamp     int64
		since         int16
		offset, found int64
		epochs        int32
	}{
		{"empty", -1, 1, 0, -1, 0}, {"empty", -2, 1, 0, -1, 0}, {"empty", -3, 7, -1, -1, -1}, {"empty", -4, 8, 0, -1, 0},
		{"empty", -5, 9, -1, -1, -1}, {"empty", -6, 11, -1, -1, -1}, {"empty", -7, 99, -1, -1, -1}, {"empty", 0, 1, -1, -1, -1},
		{"t", -1, 1, 3, -1, 0}, {"t", -2, 1, 0, -1, 0}, {"t", -3, 7, 1, 3000, 0}, {"t", -4, 8, 0, -1, 0},
		{"t", 0, 1, 0, 1000, 0}, {"t", 1000, 1, 0, 1000, 0}, {"t", 1001, 1, 1, 3000, 0}, {"t", 3000, 1, 1, 3000, 0}, {"t", 3001, 1, -1, -1, -1},
	} {
		for version := int16(1); version <= 11; version++ {
			p := ask[*kmsg.ListOffsetsResponse](c, listRequest(k.topic, 0, k.timestamp), version).Topics[0].Partitions[0]
			if version < k.since {
				if p.ErrorCode != unsupported || p.Offset != -1 {
					t.Errorf("%s %d v%d: code %d, offset %d", k.topic, k.timestamp, version, p.ErrorCode, p.Offset)
				}
				continue
			}
			epoch := k.epochs
			if version < 4 {
				epoch = -1
			}
			if p.ErrorCode != 0 || p.Offset != k.offset || p.Timestamp != k.found || p.LeaderEpoch != epoch {
				t.Errorf("%s %d v%d: code %d, offset %d, time %d, epoch %d; want offset %d, time %d, epoch %d",
					k.topic, k.timestamp, version, p.ErrorCode, p.Offset, p.Timestamp, p.LeaderEpoch, k.offset, k.found, epoch)
			}
		}
	}
}

func TestListOffsetsErrors(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	c := dial(t, b)
	b.CreateTopic("t", 1)
	q := listRequest("nope", 0, -1)
	q.Topics = append(q.Topics, listRequest("t", 9, -1).Topics...)
	q.Topics = append(q.Topics, listRequest("t", 0, -1).Topics...)
	q.Topics[2].Partitions[0].CurrentLeaderEpoch = 5
	twice := listRequest("t", 7, -1).Topics
	q.Topics = append(append(q.Topics, twice...), twice...)
	var got []int16
	for _, topic := range ask[*kmsg.ListOffsetsResponse](c, q, 7).Topics {
		got = append(got, topic.Partitions[0].ErrorCode)
	}
	if want := []int16{3, 3, 75, 42, 42}; !slices.Equal(got, want) {
		t.Errorf("codes %v, want %v", got, want)
	}
}

func TestOffsetForLeaderEpoch(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	c := dial(t, b)
	b.CreateTopic("t", 1)
	mustProduce(c, "t", records("a", "b"))
	for _, k := range []struct {
		topic          string
		part, cur, ask int32
		code           int16
		epoch          int32
		end            int64
	}{
		{"t", 0, -1, 0, 0, 0, 2}, {"t", 0, 0, 0, 0, 0, 2}, {"t", 0, -1, 5, 0, -1, -1}, {"t", 0, -1, -1, 0, -1, -1},
		{"t", 0, 7, 0, 75, -1, -1}, {"t", 9, -1, 0, 3, -1, -1}, {"nope", 0, -1, 0, 3, -1, -1},
	} {
		q := kmsg.NewPtrOffsetForLeaderEpochRequest()
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = k.part, k.cur, k.ask
		q.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: k.topic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
		got := ask[*kmsg.OffsetForLeaderEpochResponse](c, q, 4).Topics[0].Partitions[0]
		if got.ErrorCode != k.code || got.LeaderEpoch != k.epoch || got.EndOffset != k.end {
			t.Errorf("%+v: code %d, epoch %d, end %d", k, got.ErrorCode, got.LeaderEpoch, got.EndOffset)
		}
	}
}

// TestInitProducerID: ids are new each time, also after a kill; what belongs to
// transactions is refused.
func TestInitProducerID(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	seen := map[int64]bool{}
	for range 3 {
		c := dial(t, b)
		for range 3 {
			a := ask[*kmsg.InitProducerIDResponse](c, kmsg.NewPtrInitProducerIDRequest(), 5)
			if a.ErrorCode != 0 || a.ProducerEpoch != 0 || seen[a.ProducerID] {
				t.Errorf("%+v", a)
			}
			seen[a.ProducerID] = true
		}
		b.Kill()
		b.Restart()
	}
	c := dial(t, b)
	for _, k := range []struct {
		tx    *string
		id    int64
		epoch int16
		code  int16
	}{{nil, 5, -1, 42}, {nil, -1, 5, 42}, {nil, 5, 5, 0}, {ptr("tx"), -1, -1, 42}} {
		q := kmsg.NewPtrInitProducerIDRequest()
		q.TransactionalID, q.ProducerID, q.ProducerEpoch = k.tx, k.id, k.epoch
		if a := ask[*kmsg.InitProducerIDResponse](c, q, 4); a.ErrorCode != k.code || k.code != 0 && a.ProducerID != -1 {
			t.Errorf("%+v: %+v", k, a)
		}
	}
}

// TestKadm: franz-go's admin client does its everyday things.
func TestKadm(t *testing.T) {
	b := brokertest.Start(t, brokertest.AutoCreate())
	a := admin(t, b)
	ctx := t.Context()
	if _, err := a.CreateTopic(ctx, 2, 1, map[string]*string{"cleanup.policy": ptr("compact")}, "t"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.CreateTopic(ctx, 2, 1, nil, "t"); err != kerr.TopicAlreadyExists {
		t.Errorf("twice: %v", err)
	}
	topics, err := a.ListTopics(ctx)
	if err != nil || len(topics["t"].Partitions) != 2 {
		t.Errorf("%v, %v", topics, err)
	}
	ends, err := a.ListEndOffsets(ctx, "t")
	if err != nil || ends.Error() != nil {
		t.Errorf("%v, %v", ends, err)
	}
	if _, err := a.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.AppendConfig, Name: "cleanup.policy", Value: ptr("delete")}}, "t"); err != nil {
		t.Error(err)
	}
	configs, err := a.DescribeTopicConfigs(ctx, "t")
	if err != nil || len(configs) != 1 {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if c.Key == "cleanup.policy" && c.MaybeValue() != "compact,delete" {
			t.Errorf("cleanup.policy is %q", c.MaybeValue())
		}
	}
	dirs, err := a.DescribeAllLogDirs(ctx, nil)
	if err != nil || len(dirs) != 1 {
		t.Errorf("%v, %v", dirs, err)
	}
	meta, err := a.BrokerMetadata(ctx)
	if err != nil || meta.Controller != 1 || len(meta.Brokers) != 1 {
		t.Errorf("%+v, %v", meta, err)
	}
	if _, err := a.DeleteTopic(ctx, "t"); err != nil {
		t.Error(err)
	}
}
