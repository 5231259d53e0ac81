package protocol_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/protocol/brokertest"
	"github.com/bobbin-log/bobbin/replication"
)

// brokerChange reads «set:key=value», «del:key», «app:key=value», «sub:key=value» and
// «set:key», which has no value, as one resource of IncrementalAlterConfigs.
func brokerChange(name string, words ...string) kmsg.IncrementalAlterConfigsRequestResource {
	ops := map[string]kmsg.IncrementalAlterConfigOp{
		"set": kmsg.IncrementalAlterConfigOpSet, "del": kmsg.IncrementalAlterConfigOpDelete,
		"app": kmsg.IncrementalAlterConfigOpAppend, "sub": kmsg.IncrementalAlterConfigOpSubtract, "bad": 9,
	}
	r := kmsg.IncrementalAlterConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: name}
	for _, w := range words {
		op, rest, _ := strings.Cut(w, ":")
		c := kmsg.IncrementalAlterConfigsRequestResourceConfig{Op: ops[op]}
		key, value, ok := strings.Cut(rest, "=")
		if c.Name = key; ok {
			c.Value = &value
		}
		r.Configs = append(r.Configs, c)
	}
	return r
}

// alterBrokers sends one request, and answers with a code for each resource.
func alterBrokers(c *client, validateOnly bool, resources ...kmsg.IncrementalAlterConfigsRequestResource) (codes []int16, why string) {
	c.t.Helper()
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	q.ValidateOnly, q.Resources = validateOnly, resources
	for _, r := range ask[*kmsg.IncrementalAlterConfigsResponse](c, q, 1).Resources {
		codes = append(codes, r.ErrorCode)
		if r.ErrorMessage != nil {
			why = *r.ErrorMessage
		}
	}
	return codes, why
}

// replaceBroker sends one AlterConfigs of key=value.
func replaceBroker(c *client, name string, settings ...string) int16 {
	c.t.Helper()
	q := kmsg.NewPtrAlterConfigsRequest()
	r := kmsg.AlterConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: name}
	for _, s := range settings {
		key, value, ok := strings.Cut(s, "=")
		config := kmsg.AlterConfigsRequestResourceConfig{Name: key}
		if ok {
			config.Value = &value
		}
		r.Configs = append(r.Configs, config)
	}
	q.Resources = append(q.Resources, r)
	return ask[*kmsg.AlterConfigsResponse](c, q, 1).Resources[0].ErrorCode
}

// TestAlterBrokerConfigs: what Apache Kafka 4.4 answered to the same requests. A
// value that a broker cannot have is INVALID_REQUEST there, one that a topic cannot
// have INVALID_CONFIG.
func TestAlterBrokerConfigs(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	c := dial(t, b)
	set := func() string {
		configs := b.Node().Image().BrokerConfigs
		return fmt.Sprint(configs[replication.AllBrokers], configs[1])
	}
	for _, k := range []struct {
		name    string
		changes []string
		code    int16
		says    string
		after   string
	}{
		{"1", []string{"set:node.id=5"}, 42, "Cannot update these configs dynamically: [node.id]", "map[] map[]"},
		{"", []string{"set:node.id=5"}, 42, "Cannot update these configs dynamically: [node.id]", "map[] map[]"},
		{"1", []string{"set:log.retention.ms=5", "set:broker.id=2", "set:listener.name.x.ssl.keystore.location=/x"}, 42,
			"Cannot update these configs dynamically: [broker.id, listener.name.x.ssl.keystore.location]", "map[] map[]"},
		{"1", []string{"set:bobbin.sync=none"}, 42, "Cannot update these configs dynamically: [bobbin.sync]", "map[] map[]"},
		{"1", []string{"del:node.id"}, 0, "", "map[] map[]"},
		{"1", []string{"set:log.retention.ms=x"}, 42, "log.retention.ms", "map[] map[]"},
		{"", []string{"set:log.retention.ms=x"}, 42, "log.retention.ms", "map[] map[]"},
		{"1", []string{"set:log.segment.bytes=5"}, 42, "log.segment.bytes", "map[] map[]"},
		{"1", []string{"set:log.cleanup.policy=zip"}, 42, "log.cleanup.policy", "map[] map[]"},
		{"1", []string{"set:log.preallocate=maybe"}, 42, "log.preallocate", "map[] map[]"},
		{"1", []string{"set:message.max.bytes=-1"}, 42, "message.max.bytes", "map[] map[]"},
		{"1", []string{"set:log.retention.ms"}, 42, "Null value not supported for : log.retention.ms", "map[] map[]"},
		{"1", []string{"set:log.retention.ms="}, 42, "log.retention.ms", "map[] map[]"},
		{"1", []string{"set:log.retention.ms=5", "del:log.retention.ms"}, 42, "Error due to duplicate config keys", "map[] map[]"},
		{"1", []string{"bad:log.retention.ms=5"}, 42, "Unknown operation", "map[] map[]"},
		{"1", []string{"app:log.retention.ms=5"}, 40, "log.retention.ms", "map[] map[]"},
		{"9", []string{"set:log.retention.ms=5"}, 42, "Unexpected broker id, expected 1, but received 9", "map[] map[]"},
		{"-1", []string{"set:log.retention.ms=5"}, 42, "Unexpected broker id, expected 1, but received -1", "map[] map[]"},
		{"x", []string{"set:log.retention.ms=5"}, 42, "Node id must be an integer, but it is: x", "map[] map[]"},
		{"1", nil, 0, "", "map[] map[]"},
		{"", nil, 0, "", "map[] map[]"},
		{"1", []string{"set:zzz=5"}, 0, "", "map[] map[zzz:5]"}, // a plug-in's, for all that the broker knows
		{"1", []string{"del:zzz"}, 0, "", "map[] map[]"},
		{"", []string{"set:log.retention.ms=7", "set:log.retention.bytes=77"}, 0, "", "map[log.retention.bytes:77 log.retention.ms:7] map[]"},
		{"1", []string{"set:log.retention.ms=6"}, 0, "", "map[log.retention.bytes:77 log.retention.ms:7] map[log.retention.ms:6]"},
		{"", []string{"del:log.retention.bytes", "del:log.retention.ms"}, 0, "", "map[] map[log.retention.ms:6]"},
		{"01", []string{"del:log.retention.ms"}, 0, "", "map[] map[]"},
		{"", []string{"set:log.cleanup.policy=compact"}, 0, "", "map[log.cleanup.policy:compact] map[]"},
		{"1", []string{"app:log.cleanup.policy=delete"}, 0, "", "map[log.cleanup.policy:compact] map[log.cleanup.policy:delete]"},
		{"1", []string{"sub:log.cleanup.policy=delete"}, 0, "", "map[log.cleanup.policy:compact] map[log.cleanup.policy:]"},
		{"1", []string{"app:log.cleanup.policy=zip"}, 42, "log.cleanup.policy", "map[log.cleanup.policy:compact] map[log.cleanup.policy:]"},
	} {
		before := set()
		if codes, why := alterBrokers(c, true, brokerChange(k.name, k.changes...)); codes[0] != k.code || set() != before {
			t.Errorf("%q %q, validated: %v %q, %s", k.name, k.changes, codes, why, set())
		}
		codes, why := alterBrokers(c, false, brokerChange(k.name, k.changes...))
		if codes[0] != k.code || !strings.Contains(why, k.says) || (why == "") != (k.code == 0) || set() != k.after {
			t.Errorf("%q %q: %v %q, %s; want %d %q, %s", k.name, k.changes, codes, why, set(), k.code, k.says, k.after)
		}
	}
	// AlterConfigs puts what it doesn't name back.
	for _, k := range []struct {
		name     string
		settings []string
		code     int16
		after    string
	}{
		{"1", []string{"log.segment.bytes=2000000"}, 0, "map[log.cleanup.policy:compact] map[log.segment.bytes:2000000]"},
		{"1", []string{"log.retention.ms=x"}, 42, "map[log.cleanup.policy:compact] map[log.segment.bytes:2000000]"},
		{"1", []string{"log.retention.ms"}, 42, "map[log.cleanup.policy:compact] map[log.segment.bytes:2000000]"},
		{"9", []string{"log.retention.ms=5"}, 42, "map[log.cleanup.policy:compact] map[log.segment.bytes:2000000]"},
		{"1", []string{"log.flush.interval.ms=2000"}, 0, "map[log.cleanup.policy:compact] map[log.flush.interval.ms:2000]"},
		{"", nil, 0, "map[] map[log.flush.interval.ms:2000]"},
		{"1", nil, 0, "map[] map[]"},
	} {
		if code := replaceBroker(c, k.name, k.settings...); code != k.code || set() != k.after {
			t.Errorf("%q %q: %d, %s; want %d, %s", k.name, k.settings, code, set(), k.code, k.after)
		}
	}
}

// TestAlterSeveralResources: of several resources each is changed or not for itself,
// with Apache Kafka 4.4's codes.
func TestAlterSeveralResources(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	c := dial(t, b)
	topic := brokerChange("t", "set:retention.ms=x")
	topic.ResourceType = kmsg.ConfigResourceTypeTopic
	codes, _ := alterBrokers(c, false, brokerChange("1", "set:log.retention.ms=5"), topic, brokerChange("", "set:log.retention.ms=7"))
	if want := []int16{0, 40, 0}; !slices.Equal(codes, want) {
		t.Errorf("codes %v, want %v", codes, want)
	}
	codes, why := alterBrokers(c, false, brokerChange("1", "set:log.retention.ms=8"), brokerChange("1", "set:log.retention.ms=9"))
	if want := []int16{42, 42}; !slices.Equal(codes, want) || why != "Each resource must appear at most once." {
		t.Errorf("the same one twice: %v %q", codes, why)
	}
	configs := b.Node().Image().BrokerConfigs
	if got := fmt.Sprint(configs[replication.AllBrokers], configs[1]); got != "map[log.retention.ms:7] map[log.retention.ms:5]" {
		t.Error(got)
	}
}

// TestDescribeDynamicConfigs: values, sources and synonyms of brokers and topics,
// layer by layer, as Apache Kafka 4.4 has them, whose own answers are these.
func TestDescribeDynamicConfigs(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.Defaults(func(c *engine.Config) { c.RetentionBytes = 5 << 30 }))
	b.CreateTopic("own", 1, "retention.ms=1000")
	b.CreateTopic("t", 1)
	c := dial(t, b)
	expect := func(kind kmsg.ConfigResourceType, name, key, want string) {
		t.Helper()
		r := described(c, kind, name, key)
		got := "none"
		if len(r.Configs) == 1 {
			v := r.Configs[0]
			got = fmt.Sprint(synonyms(v))
			if v.Value == nil || len(v.ConfigSynonyms) == 0 || *v.Value != *v.ConfigSynonyms[0].Value || v.Source != v.ConfigSynonyms[0].Source || v.ReadOnly || v.IsSensitive {
				t.Errorf("%s of %q: %+v", key, name, v)
			}
		}
		if r.ErrorCode != 0 || got != want {
			t.Errorf("%s of %q: %s, want %s", key, name, got, want)
		}
	}
	all := func() (names []string) {
		for _, config := range described(c, 4, "").Configs {
			names = append(names, config.Name)
		}
		return names
	}
	alterBrokers(c, false, brokerChange("", "set:log.retention.ms=7000", "set:log.retention.bytes=77"), brokerChange("1", "set:log.retention.ms=6000"))
	expect(4, "1", "log.retention.ms", "[log.retention.ms=6000 2 log.retention.ms=7000 3 log.retention.hours=168 5]")
	expect(4, "1", "log.retention.bytes", "[log.retention.bytes=77 3 log.retention.bytes=5368709120 4 log.retention.bytes=-1 5]")
	expect(4, "1", "message.max.bytes", "[message.max.bytes=1048588 5]")
	expect(4, "", "log.retention.ms", "[log.retention.ms=7000 3]")
	expect(4, "", "message.max.bytes", "none")
	expect(2, "t", "retention.ms", "[log.retention.ms=6000 2 log.retention.ms=7000 3 log.retention.hours=168 5]")
	expect(2, "t", "retention.bytes", "[log.retention.bytes=77 3 log.retention.bytes=5368709120 4 log.retention.bytes=-1 5]")
	expect(2, "own", "retention.ms", "[retention.ms=1000 1 log.retention.ms=6000 2 log.retention.ms=7000 3 log.retention.hours=168 5]")
	if got, want := all(), []string{"log.retention.bytes", "log.retention.ms"}; !slices.Equal(got, want) {
		t.Errorf("all brokers have %q, want %q", got, want)
	}
	alterBrokers(c, false, brokerChange("1", "del:log.retention.ms", "set:log.cleanup.policy=delete,compact"))
	expect(2, "t", "retention.ms", "[log.retention.ms=7000 3 log.retention.hours=168 5]")
	expect(4, "1", "log.cleanup.policy", "[log.cleanup.policy=delete,compact 2 log.cleanup.policy=delete 5]")
	expect(2, "t", "cleanup.policy", "[log.cleanup.policy=delete,compact 2 log.cleanup.policy=delete 5]")
	alterBrokers(c, false, brokerChange("", "del:log.retention.ms"))
	if r := described(c, 4, "1", "log.retention.ms"); r.Configs[0].Value != nil || r.Configs[0].Source != 5 || len(r.Configs[0].ConfigSynonyms) > 0 {
		t.Errorf("what has no value unless it is set: %+v", r.Configs[0])
	}

	// A key that nobody knows may be a secret: it is there, and its value is not told.
	alterBrokers(c, false, brokerChange("1", "set:zzz=5"), brokerChange("", "set:zzz=6"))
	for name, sources := range map[string][]kmsg.ConfigSource{"1": {2, 3}, "": {3}} {
		v := described(c, 4, name, "zzz").Configs[0]
		var got []kmsg.ConfigSource
		for _, s := range v.ConfigSynonyms {
			if got = append(got, s.Source); s.Value != nil {
				t.Errorf("%q tells %q", name, *s.Value)
			}
		}
		if v.Value != nil || !v.IsSensitive || !v.ReadOnly || !slices.Equal(got, sources) || v.Source != sources[0] {
			t.Errorf("zzz of %q: %+v", name, v)
		}
	}
}

// TestBrokerConfigsInForce: a change is in force for the next request, for topics
// that are there and for those to come, and after a restart and a kill.
func TestBrokerConfigsInForce(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	b.CreateTopic("own", 1, "max.message.bytes=1000")
	c := dial(t, b)
	refused := func(c *client, topic string) bool {
		t.Helper()
		code := produced(ask[*kmsg.ProduceResponse](c, produceRequest(topic, [16]byte{}, 0, -1, records("x")), 9)).ErrorCode
		if code != 0 && code != 10 {
			t.Fatalf("produce to %s: code %d", topic, code)
		}
		return code == 10
	}
	check := func(c *client, want bool, topics ...string) {
		t.Helper()
		for _, topic := range topics {
			if refused(c, topic) != want {
				t.Errorf("a batch to %s is refused: %v, want %v", topic, !want, want)
			}
		}
	}
	check(c, false, "t", "own")
	alterBrokers(c, false, brokerChange("", "set:message.max.bytes=10"))
	b.CreateTopic("later", 1)
	check(c, true, "t", "later")
	check(c, false, "own")
	b.Restart()
	c = dial(t, b)
	check(c, true, "t", "later")
	check(c, false, "own")
	alterBrokers(c, false, brokerChange("1", "set:message.max.bytes=1000"))
	check(c, false, "t", "later", "own")
	b.Kill()
	b.Restart()
	c = dial(t, b)
	check(c, false, "t", "later", "own")
	alterBrokers(c, false, brokerChange("1", "del:message.max.bytes"))
	check(c, true, "t", "later")

	// Who makes a topic is told what it has, and from where.
	q := kmsg.NewPtrCreateTopicsRequest()
	q.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "told", NumPartitions: 1, ReplicationFactor: 1}}
	for _, config := range ask[*kmsg.CreateTopicsResponse](c, q, 7).Topics[0].Configs {
		if config.Name == "max.message.bytes" && (*config.Value != "10" || config.Source != 3) {
			t.Errorf("%+v", config)
		}
	}
}
