package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
)

// TestKeys holds the tables to what the code relies on.
func TestKeys(t *testing.T) {
	if !slices.IsSortedFunc(brokerKeys, func(x, y brokerKey) int { return strings.Compare(x.name, y.name) }) {
		t.Error("brokerKeys is not sorted, findKey would miss some")
	}
	seen := map[string]bool{}
	for _, name := range knownKeys() {
		if seen[name] {
			t.Errorf("%s is in the tables twice", name)
		}
		seen[name] = true
	}
	for _, k := range brokerKeys {
		if k.doc == "" {
			t.Errorf("%s has no doc", k.name)
		}
		if k.def != "" {
			if err := k.check(k.def); err != nil {
				t.Errorf("the default of %s: %v", k.name, err)
			}
		}
	}
	for _, k := range engine.Keys {
		if err := k.Check(k.Default); err != nil {
			t.Errorf("the default of %s: %v", k.Name, err)
		}
	}
	if len(seen) < 250 {
		t.Errorf("%d keys are known, Kafka has more", len(seen))
	}
}

func TestKeyValues(t *testing.T) {
	for _, c := range []struct {
		key, value string
		ok         bool
	}{
		{"num.partitions", "3", true},
		{"num.partitions", "0", false},
		{"num.partitions", "-1", false},
		{"num.partitions", "2147483648", false},
		{"num.partitions", "3.5", false},
		{"num.partitions", "", false},
		{"socket.send.buffer.bytes", "-1", true},
		{"auto.create.topics.enable", "TRUE", true},
		{"auto.create.topics.enable", "yes", false},
		{"broker.rack", "a b c", true},
		{"broker.id", "", true},
		{"delete.topic.enable", "true", true},
		{"delete.topic.enable", "false", false},
		{"authorizer.class.name", "", true},
		{"authorizer.class.name", "org.example.Authorizer", false},
		{"log.retention.ms", "-1", true},
		{"log.retention.ms", "soon", false},
		{"message.max.bytes", "-5", false},
		{"bobbin.sync", "none", true},
		{"bobbin.sync", "sometimes", false},
		{"bobbin.design", "file+mmap+always+time+size", true},
		{"bobbin.design", "paper", false},
	} {
		r := run(t, "config", "show", "--override", c.key+"="+c.value)
		if ok := r.code == exitOK; ok != c.ok {
			t.Errorf("%s=%s: exit code %d, %s", c.key, c.value, r.code, r.stderr)
		}
		if !c.ok && (!strings.Contains(r.stderr, c.key) || !strings.Contains(r.stderr, "flag --override")) {
			t.Errorf("%s=%s: the error does not say which key of which source it is about: %s", c.key, c.value, r.stderr)
		}
	}
}
