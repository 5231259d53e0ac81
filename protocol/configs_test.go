package protocol_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/protocol/brokertest"
)

// described asks for some keys of a resource.
func described(c *client, kind kmsg.ConfigResourceType, name string, keys ...string) kmsg.DescribeConfigsResponseResource {
	c.t.Helper()
	q := kmsg.NewPtrDescribeConfigsRequest()
	q.IncludeSynonyms, q.IncludeDocumentation = true, true
	q.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kind, ResourceName: name, ConfigNames: keys}}
	return ask[*kmsg.DescribeConfigsResponse](c, q, 4).Resources[0]
}

func synonyms(c kmsg.DescribeConfigsResponseResourceConfig) []string {
	var all []string
	for _, s := range c.ConfigSynonyms {
		all = append(all, fmt.Sprint(s.Name, "=", *s.Value, " ", int8(s.Source)))
	}
	return all
}

// TestDescribeConfigs: values, where they come from, and what they would be
// otherwise, in the order that Apache Kafka 4.4 gives them.
func TestDescribeConfigs(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.Defaults(func(c *engine.Config) {
		c.RetentionBytes, c.SegmentJitter = 5<<30, 7*time.Second
	}))
	b.CreateTopic("t", 1, "retention.ms=1000", "cleanup.policy=delete,compact")
	c := dial(t, b)
	for _, k := range []struct {
		key, value string
		source     int8
		kind       int8
		synonyms   []string
	}{
		{"retention.ms", "1000", 1, 5, []string{"retention.ms=1000 1"}},
		{"segment.ms", "604800000", 5, 5, nil},
		{"segment.jitter.ms", "7000", 4, 5, []string{"log.roll.jitter.ms=7000 4", "log.roll.jitter.hours=0 5"}},
		{"leader.replication.throttled.replicas", "", 5, 7, nil},
		{"retention.bytes", "5368709120", 4, 5, []string{"log.retention.bytes=5368709120 4", "log.retention.bytes=-1 5"}},
		{"cleanup.policy", "delete,compact", 1, 7, []string{"cleanup.policy=delete,compact 1", "log.cleanup.policy=delete 5"}},
		{"max.message.bytes", "1048588", 5, 3, []string{"message.max.bytes=1048588 5"}},
	} {
		r := described(c, 2, "t", k.key)
		if r.ErrorCode != 0 || len(r.Configs) != 1 {
			t.Fatalf("%s: %+v", k.key, r)
		}
		got := r.Configs[0]
		if *got.Value != k.value || int8(got.Source) != k.source || int8(got.ConfigType) != k.kind || got.ReadOnly || got.IsSensitive ||
			!slices.Equal(synonyms(got), k.synonyms) || got.Documentation == nil || *got.Documentation == "" {
			t.Errorf("%s: %+v with %q; want %+v", k.key, got, synonyms(got), k)
		}
	}
	if r := described(c, 2, "t"); len(r.Configs) != len(engine.Keys) {
		t.Errorf("%d configs of %d", len(r.Configs), len(engine.Keys))
	}
	q := kmsg.NewPtrDescribeConfigsRequest()
	q.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: 2, ResourceName: "t", ConfigNames: []string{}}}
	if r := ask[*kmsg.DescribeConfigsResponse](c, q, 4).Resources[0]; len(r.Configs) != len(engine.Keys) {
		t.Errorf("an empty list of keys stands for all, as Kafka 4.4 answers: %d configs of %d", len(r.Configs), len(engine.Keys))
	}
	if r := described(c, 2, "t", "zzz"); r.ErrorCode != 0 || len(r.Configs) != 0 {
		t.Errorf("an unknown key: %+v", r)
	}
}

func TestDescribeConfigsOthers(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	c := dial(t, b)
	for _, k := range []struct {
		kind kmsg.ConfigResourceType
		name string
		code int16
		some bool
	}{
		{2, "nope", 3, false}, {2, "bad name", 17, false}, {2, "", 17, false}, {4, "1", 0, true}, {4, "", 0, false},
		{4, "7", 42, false}, {4, "x", 42, false}, {8, "1", 42, false}, {77, "q", 42, false},
	} {
		r := described(c, k.kind, k.name)
		if r.ErrorCode != k.code || len(r.Configs) > 0 != k.some {
			t.Errorf("%d %q: code %d, %d configs", k.kind, k.name, r.ErrorCode, len(r.Configs))
		}
		for _, config := range r.Configs {
			if key, ok := engine.FindBrokerKey(config.Name); config.ReadOnly != (!ok || key.ReadOnly) {
				t.Errorf("%s of the broker is read-only: %v", config.Name, config.ReadOnly)
			}
		}
	}
}

// TestAlterConfigs: changes in both ways, with Apache Kafka 4.4's codes.
func TestAlterConfigs(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1, "retention.ms=1000", "segment.bytes=2000000")
	c := dial(t, b)
	set := func() string { return fmt.Sprint(b.Node().Image().TopicByName("t").Configs) }
	const before = "map[retention.ms:1000 segment.bytes:2000000]"
	for _, k := range []struct {
		name  string
		kind  kmsg.ConfigResourceType
		topic string
		key   string
		op    kmsg.IncrementalAlterConfigOp
		value *string
		code  int16
		after string
	}{
		{"unknown topic", 2, "nope", "retention.ms", 0, ptr("5"), 3, before},
		{"bad name", 2, "bad name", "retention.ms", 0, ptr("5"), 17, before},
		{"unknown key", 2, "t", "zzz", 0, ptr("5"), 40, before},
		{"bad value", 2, "t", "retention.ms", 0, ptr("x"), 40, before},
		{"null", 2, "t", "retention.ms", 0, nil, 42, before},
		{"unknown operation (Kafka: UNKNOWN_SERVER_ERROR)", 2, "t", "retention.ms", 9, ptr("5"), 42, before},
		{"no list", 2, "t", "retention.ms", 2, ptr("5"), 40, before},
		{"broker", 4, "1", "node.id", 0, ptr("5"), 42, before},
		{"another broker", 4, "9", "node.id", 0, ptr("5"), 42, before},
		{"unknown resource", 77, "t", "retention.ms", 0, ptr("5"), 42, before},
		{"set", 2, "t", "retention.ms", 0, ptr("77"), 0, "map[retention.ms:77 segment.bytes:2000000]"},
		{"append starts from the default", 2, "t", "cleanup.policy", 2, ptr("compact"), 0, "map[cleanup.policy:delete,compact retention.ms:77 segment.bytes:2000000]"},
		{"subtract", 2, "t", "cleanup.policy", 3, ptr("delete"), 0, "map[cleanup.policy:compact retention.ms:77 segment.bytes:2000000]"},
		{"delete", 2, "t", "cleanup.policy", 1, nil, 0, "map[retention.ms:77 segment.bytes:2000000]"},
	} {
		q := kmsg.NewPtrIncrementalAlterConfigsRequest()
		q.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: k.kind, ResourceName: k.topic,
			Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: k.key, Op: k.op, Value: k.value}}}}
		q.ValidateOnly = true
		was := set()
		if r := ask[*kmsg.IncrementalAlterConfigsResponse](c, q, 1).Resources[0]; r.ErrorCode != k.code || set() != was {
			t.Errorf("%s, validated: code %d, %s", k.name, r.ErrorCode, set())
		}
		q.ValidateOnly = false
		if r := ask[*kmsg.IncrementalAlterConfigsResponse](c, q, 1).Resources[0]; r.ErrorCode != k.code || set() != k.after || (r.ErrorMessage != nil) != (k.code != 0) {
			t.Errorf("%s: code %d, %s", k.name, r.ErrorCode, set())
		}
	}
	// AlterConfigs puts what it doesn't name back to the default.
	q := kmsg.NewPtrAlterConfigsRequest()
	q.Resources = []kmsg.AlterConfigsRequestResource{
		{ResourceType: 2, ResourceName: "t", Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: "max.message.bytes", Value: ptr("10")}}},
		{ResourceType: 2, ResourceName: "nope"},
		{ResourceType: 4, ResourceName: "1", Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: "node.id", Value: ptr("2")}}},
	}
	var codes []int16
	for _, r := range ask[*kmsg.AlterConfigsResponse](c, q, 1).Resources {
		codes = append(codes, r.ErrorCode)
	}
	if want := []int16{0, 3, 42}; !slices.Equal(codes, want) || set() != "map[max.message.bytes:10]" {
		t.Errorf("codes %v, want %v; %s", codes, want, set())
	}
	// It is in force at once.
	if p := produced(ask[*kmsg.ProduceResponse](c, produceRequest("t", [16]byte{}, 0, -1, records("x")), 9)); p.ErrorCode != 10 {
		t.Errorf("a batch over the new limit: code %d", p.ErrorCode)
	}
}
