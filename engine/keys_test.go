package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
)

// kafkaDefaults are the defaults that Kafka documents for its topic keys, where
// ours are the same.
var kafkaDefaults = map[string]string{
	"cleanup.policy": "delete", "compression.type": "producer", "compression.gzip.level": "-1", "compression.lz4.level": "9", "compression.zstd.level": "3",
	"delete.retention.ms": "86400000", "file.delete.delay.ms": "60000", "flush.messages": "9223372036854775807", "index.interval.bytes": "4096",
	"local.retention.bytes": "-2", "local.retention.ms": "-2", "max.compaction.lag.ms": "9223372036854775807", "max.message.bytes": "1048588",
	"message.timestamp.after.max.ms": "3600000", "message.timestamp.before.max.ms": "9223372036854775807", "message.timestamp.type": "CreateTime",
	"min.cleanable.dirty.ratio": "0.5", "min.compaction.lag.ms": "0", "min.insync.replicas": "1", "preallocate": "false",
	"remote.log.copy.disable": "false", "remote.log.delete.on.disable": "false", "remote.storage.enable": "false", "retention.bytes": "-1",
	"retention.ms": "604800000", "segment.bytes": "1073741824", "segment.index.bytes": "10485760", "segment.jitter.ms": "0",
	"segment.ms": "604800000", "unclean.leader.election.enable": "false",
}

// Every key shows its default, takes it, and shows it again.
func TestKeyDefaults(t *testing.T) {
	if !slices.IsSortedFunc(engine.Keys, func(a, b engine.Key) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the keys are not sorted by name")
	}
	d := engine.DefaultConfig()
	for _, k := range engine.Keys {
		if got := k.Value(d); got != k.Default {
			t.Errorf("%s is %q by default, but documented as %q", k.Name, got, k.Default)
		}
		if want, ok := kafkaDefaults[k.Name]; ok && k.Default != want {
			t.Errorf("%s is %q by default, in Kafka %q", k.Name, k.Default, want)
		}
		c, err := d.With(map[string]string{k.Name: k.Default})
		if k.Default != "" && (err != nil || c != d) {
			t.Errorf("%s=%s: %+v, %v; want the default configuration", k.Name, k.Default, c, err)
		}
		if found, ok := engine.FindKey(k.Name); !ok || found.Name != k.Name {
			t.Errorf("%s is not found", k.Name)
		}
		if k.Doc == "" {
			t.Errorf("%s has no documentation", k.Name)
		}
	}
	for name := range kafkaDefaults {
		if _, ok := engine.FindKey(name); !ok {
			t.Errorf("Kafka's key %s is not known", name)
		}
	}
}

func TestKeysWith(t *testing.T) {
	for _, c := range []struct {
		key, value, shows string
	}{
		{"retention.ms", "-1", "-1"},
		{"retention.ms", "0", "0"},
		{"retention.ms", "9223372036854775807", "9223372036854775807"},
		{"retention.ms", " 5 ", "5"},
		{"cleanup.policy", "compact,delete", "compact,delete"},
		{"cleanup.policy", "delete, compact", "compact,delete"},
		{"compression.type", "zstd", "zstd"},
		{"message.timestamp.type", "LogAppendTime", "LogAppendTime"},
		{"preallocate", "TRUE", "true"},
		{"bobbin.sync", "interval", "interval"},
		{"bobbin.design", "memory+none+none+keep", "memory+none+none+keep"},
		{"bobbin.design", "memory", "memory+mmap+always+time+size"},
		{"bobbin.design", "default", "file+mmap+always+time+size"},
		{"bobbin.design", "file+none+default+size", "file+none+always+size"},
		{"bobbin.design", "default+default+interval", "file+mmap+interval+time+size"},
	} {
		got, err := engine.DefaultConfig().With(map[string]string{c.key: c.value})
		k, _ := engine.FindKey(c.key)
		if err != nil || k.Value(got) != c.shows {
			t.Errorf("%s=%q shows %q, %v; want %q", c.key, c.value, k.Value(got), err, c.shows)
		}
	}
	both, err := engine.DefaultConfig().With(map[string]string{"bobbin.sync": "none", "bobbin.design": "memory+none+always+keep"})
	if want := (engine.Design{Segment: "memory", Index: "none", Sync: "none", Retention: "keep"}); err != nil || both.Design != want {
		t.Errorf("design and sync together: %v, %v; want %v", both.Design, err, want)
	}
	// What is left out is the broker's choice.
	broker, err := engine.DefaultConfig().With(map[string]string{"bobbin.design": "memory+none+interval+keep"})
	if err != nil {
		t.Fatal(err)
	}
	topic, err := broker.With(map[string]string{"bobbin.design": "default+mmap"})
	if want := (engine.Design{Segment: "memory", Index: "mmap", Sync: "interval", Retention: "keep"}); err != nil || topic.Design != want {
		t.Errorf("default+mmap over %v is %v, %v; want %v", broker.Design, topic.Design, err, want)
	}
}

func TestKeysRefuse(t *testing.T) {
	for _, c := range []struct {
		key, value, says string
	}{
		{"retention.mss", "1", "did you mean retention.ms?"},
		{"segmentbytes", "1", "did you mean segment.bytes?"},
		{"xyz", "1", "is not known"},
		{"retention.ms", "soon", "whole number"},
		{"retention.ms", "-2", "not in"},
		{"retention.ms", "9223372036854775808", "whole number"},
		{"segment.bytes", "1048575", "not in"},
		{"segment.bytes", "2147483648", "not in"},
		{"preallocate", "1", "neither true nor false"},
		{"cleanup.policy", "shred", "compact, delete"},
		{"compression.type", "none", "producer"},
		{"compression.zstd.level", "23", "not in"},
		{"message.timestamp.type", "Now", "CreateTime"},
		{"min.cleanable.dirty.ratio", "half", "not a number"},
		{"remote.storage.enable", "true", "not built"},
		{"bobbin.sync", "sometimes", `no sync policy is called "sometimes"; there are: always, `},
		{"bobbin.sync", "intreval", "did you mean interval? There are: always, "},
		{"bobbin.design", "tape+mmap+always+keep", `no segment is called "tape"; there are: file, `},
		{"bobbin.design", "flie+mmap+always+keep", "did you mean file?"},
		{"bobbin.design", "file+mmpa", "did you mean mmap?"},
		{"bobbin.design", "file+mmap+always+time+sise", "did you mean time+size?"},
		{"bobbin.design", "always", "which is a sync policy: a design is segment+index+sync+retention"},
		{"bobbin.design", "file+mmap+time+size", `no sync policy is called "time", which is a retention`},
		{"bobbin.design", "", `no segment is called ""`},
		{"bobbin.design", "file++always", `no index is called ""`},
	} {
		before := engine.DefaultConfig()
		got, err := before.With(map[string]string{c.key: c.value})
		var wrong *engine.KeyError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.key) {
			t.Errorf("%s=%q: %v; want it to say %q", c.key, c.value, err, c.says)
		}
		if got != before {
			t.Errorf("%s=%q was refused and has changed the configuration", c.key, c.value)
		}
	}
}
