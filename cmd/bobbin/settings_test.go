package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// shown returns what config show prints, by key.
func shown(t *testing.T, environ []string, args ...string) map[string]shownKey {
	t.Helper()
	r := runWith(t, environ, "", append([]string{"config", "show", "-o", "json"}, args...)...)
	if r.code != exitOK {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	var list []shownKey
	if err := json.Unmarshal([]byte(r.out), &list); err != nil {
		t.Fatal(err)
	}
	keys := map[string]shownKey{}
	for _, k := range list {
		keys[k.Key] = k
	}
	return keys
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	file := writeFile(t, "server.properties", "# ours\nlog.dirs=/from/file\nnum.partitions=2\nbroker.rack=file\nlog.retention.ms=1000\n")
	environ := []string{"KAFKA_LOG_DIRS=/from/env", "KAFKA_NUM_PARTITIONS=3", "KAFKA_LOG_RETENTION_MS=2000"}
	got := shown(t, environ, file, "--data-dir", "/from/flag", "--override", "log.retention.ms=3000")
	for key, want := range map[string]shownKey{
		"log.dirs":         {Value: "/from/flag", Origin: "flag --data-dir"},
		"log.retention.ms": {Value: "3000", Origin: "flag --override"},
		"num.partitions":   {Value: "3", Origin: "env KAFKA_NUM_PARTITIONS"},
		"broker.rack":      {Value: "file", Origin: file + ":4"},
		"node.id":          {Value: "1", Origin: "default"},
		"bobbin.sync":      {Value: "always", Origin: "default"},
	} {
		if got[key].Value != want.Value || got[key].Origin != want.Origin {
			t.Errorf("%s is %q from %q, want %q from %q", key, got[key].Value, got[key].Origin, want.Value, want.Origin)
		}
	}
}

func TestEnvKey(t *testing.T) {
	for name, key := range map[string]string{
		"KAFKA_LISTENERS":                "listeners",
		"KAFKA_LOG_RETENTION_MS":         "log.retention.ms",
		"KAFKA_CFG_LOG_RETENTION_MS":     "log.retention.ms",
		"KAFKA_BOBBIN_SYNC":              "bobbin.sync",
		"KAFKA_WITH__UNDERSCORE":         "with_underscore",
		"KAFKA_WITH___DASH":              "with-dash",
		"KAFKA_A___B__C_D":               "a-b_c.d",
		"KAFKA_OPTS":                     "",
		"KAFKA_HEAP_OPTS":                "",
		"KAFKA_":                         "",
		"KAFKA_CFG_":                     "",
		"KAFKAESQUE":                     "",
		"PATH":                           "",
		"KAFKA_SSL_KEYSTORE_LOCATION":    "ssl.keystore.location",
		"KAFKA_CONTROLLER_QUORUM_VOTERS": "controller.quorum.voters",
	} {
		if got, ok := envKey(name); got != key || ok != (key != "") {
			t.Errorf("%s: %q, want %q", name, got, key)
		}
	}
}

func TestEnvironment(t *testing.T) {
	got := shown(t, []string{
		"CLUSTER_ID=MkU3OEVBNTcwNTJENDM2Qg", "KAFKA_CFG_NODE_ID=7",
		"KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://broker.example:9092,OTHER://other.example:9094",
		"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT", "KAFKA_BOBBIN_ALLOW_PLAINTEXT=true",
	})
	for key, value := range map[string]string{
		"cluster.id": "MkU3OEVBNTcwNTJENDM2Qg", "node.id": "7",
		"listeners": "PLAINTEXT://0.0.0.0:9092,OTHER://0.0.0.0:9094",
	} {
		if got[key].Value != value {
			t.Errorf("%s is %q, want %q", key, got[key].Value, value)
		}
	}
	// Who says where to listen is not overruled by what is advertised.
	got = shown(t, []string{"KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://broker.example:9092", "KAFKA_LISTENERS=PLAINTEXT://127.0.0.1:9000"})
	if v := got["listeners"].Value; v != "PLAINTEXT://127.0.0.1:9000" {
		t.Errorf("listeners is %q", v)
	}
}

// TestCoarserKeys: of the keys that set the same thing, the finest counts.
func TestCoarserKeys(t *testing.T) {
	for _, c := range []struct{ text, key, value string }{
		{"log.retention.hours=2", "log.retention.ms", "7200000"},
		{"log.retention.hours=2\nlog.retention.minutes=3", "log.retention.ms", "180000"},
		{"log.retention.hours=2\nlog.retention.minutes=3\nlog.retention.ms=4", "log.retention.ms", "4"},
		{"log.retention.hours=-1", "log.retention.ms", "-1"},
		{"log.roll.hours=1", "log.roll.ms", "3600000"},
		{"log.roll.hours=1\nlog.roll.ms=5", "log.roll.ms", "5"},
		{"log.roll.jitter.hours=1", "log.roll.jitter.ms", "3600000"},
		{"log.dir=/a", "log.dirs", "/a"},
		{"log.dir=/a\nlog.dirs=/b", "log.dirs", "/b"},
		{"broker.id=5", "node.id", "5"},
	} {
		got := shown(t, nil, writeFile(t, "server.properties", c.text))
		if got[c.key].Value != c.value {
			t.Errorf("%q: %s is %q, want %q", c.text, c.key, got[c.key].Value, c.value)
		}
	}
}

func TestRemarks(t *testing.T) {
	file := writeFile(t, "server.properties",
		"num.io.threads=8\nnum.network.threads=3\nlog.retentoin.ms=5\nmy.own.key=1\nnum.partitions=1\nnum.partitions=2\nlog.cleaner.threads=2\n")
	s, err := loadSettings(settingsSources{file: file})
	if err != nil {
		t.Fatal(err)
	}
	mistakes, ignored := s.remarks()
	if len(mistakes) != 3 || len(ignored) != 2 {
		t.Errorf("%d mistakes and %d ignored, want 3 and 2", len(mistakes), len(ignored))
	}
	got := slices.Concat(mistakes, ignored)
	for _, want := range []string{
		"log.retentoin.ms (" + file + ":3) is no key that Kafka or Bobbin knows; did you mean log.retention.ms?",
		"my.own.key (" + file + ":4) is no key that Kafka or Bobbin knows",
		file + ": num.partitions is set in line 5 and again in line 6, which counts",
		"accepted and ignored, as goroutines take the place of threads and their queues: num.io.threads, num.network.threads",
		"accepted and ignored, as compaction has one goroutine, and bounds its own buffers: log.cleaner.threads",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no remark says %q", want)
		}
	}
}
