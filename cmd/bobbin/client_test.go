package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
)

// broker returns the environment of commands that talk to a new broker. Set
// BOBBIN_TEST_BROKERS to hold the clients against another one, such as Apache
// Kafka.
func broker(t *testing.T) []string {
	if at := os.Getenv("BOBBIN_TEST_BROKERS"); at != "" {
		return []string{"BOBBIN_BROKERS=" + at}
	}
	return []string{"BOBBIN_BROKERS=" + brokertest.Start(t, brokertest.InMemory()).Addr()}
}

// topicFor is a name for one test's topic, as another broker may have many.
func topicFor(t *testing.T) string {
	return fmt.Sprintf("%s-%d", strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()), time.Now().UnixNano())
}

// must runs a command that has to end well, and returns what it printed.
func must(t *testing.T, environ []string, stdin string, args ...string) string {
	t.Helper()
	r := runWith(t, environ, stdin, args...)
	if r.code != exitOK {
		t.Fatalf("%q: exit code %d, %s", args, r.code, r.stderr)
	}
	return r.out
}

func TestTopics(t *testing.T) {
	env := broker(t)
	name := topicFor(t)
	if out := must(t, env, "", "topic", "create", name, "-p", "3", "-c", "retention.ms=60000"); out != "created "+name+"  partitions 3, replication factor 1\n" {
		t.Errorf("create: %q", out)
	}
	if r := runWith(t, env, "", "topic", "create", name); r.code != exitError || !strings.Contains(r.stderr, "TOPIC_ALREADY_EXISTS") {
		t.Errorf("create again: exit code %d, %q", r.code, r.stderr)
	}
	if out := must(t, env, "", "topic", "create", "--topic", name, "--if-not-exists"); out != "exists "+name+"\n" {
		t.Errorf("create --if-not-exists: %q", out)
	}
	if r := runWith(t, env, "", "topic", "create", name+"2", "-c", "no.such.key=1"); r.code != exitError || !strings.Contains(r.stderr, "no.such.key") {
		t.Errorf("create with a wrong key: exit code %d, %q", r.code, r.stderr)
	}
	must(t, env, "", "topic", "create", name+"3", "--validate-only")
	var listed []listedTopic
	if err := json.Unmarshal([]byte(must(t, env, "", "topic", "list", "-o", "json")), &listed); err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(listed, func(l listedTopic) bool { return l.Topic == name }); i < 0 || listed[i].Partitions != 3 || len(listed[i].ID) != 22 {
		t.Errorf("list: %+v", listed)
	}
	for _, absent := range []string{name + "2", name + "3"} {
		if slices.ContainsFunc(listed, func(l listedTopic) bool { return l.Topic == absent }) {
			t.Errorf("%s was created", absent)
		}
	}
	if out := must(t, env, "", "topic", "list", "no topic has this name"); out != "TOPIC  PARTITIONS  REPLICAS\n" {
		t.Errorf("list of a pattern: %q", out)
	}
	must(t, env, "x\ny\n", "produce", name, "-p", "1")
	var described []describedTopic
	if err := json.Unmarshal([]byte(must(t, env, "", "topic", "describe", name, "-o", "json")), &described); err != nil {
		t.Fatal(err)
	}
	d := described[0]
	if len(d.Partitions) != 3 || d.Partitions[1].EndOffset != 2 || d.Partitions[0].EndOffset != 0 {
		t.Errorf("describe: %+v", d)
	}
	if set := changed(d.Configs); len(set) != 1 || set[0].Key != "retention.ms" || *set[0].Value != "60000" {
		t.Errorf("describe: configs %+v", d.Configs)
	}
	if os.Getenv("BOBBIN_TEST_BROKERS") == "" && !strings.Contains(must(t, env, "", "topic", "describe", name), "bobbin.sync         always\n") {
		t.Error("describe does not say what an acknowledgement means")
	}
	if out := must(t, env, "", "topic", "describe", name); !strings.Contains(out, "retention.ms        60000\n") || !strings.Contains(out, "\n1          ") {
		t.Errorf("describe: %s", out)
	}
	if r := runWith(t, env, "", "topic", "describe", name+"2"); r.code != exitError || !strings.Contains(r.stderr, "UNKNOWN_TOPIC_OR_PARTITION") {
		t.Errorf("describe what is not there: exit code %d, %q", r.code, r.stderr)
	}
	must(t, env, "", "topic", "delete", name)
	if r := runWith(t, env, "", "topic", "delete", name); r.code != exitError || !strings.Contains(r.stderr, "UNKNOWN_TOPIC_OR_PARTITION") {
		t.Errorf("delete again: exit code %d, %q", r.code, r.stderr)
	}
	if out := must(t, env, "", "topic", "delete", name, "--if-exists"); out != "absent "+name+"\n" {
		t.Errorf("delete --if-exists: %q", out)
	}
}

// changed leaves out the policy that describe always shows.
func changed(configs []describedConfig) []describedConfig {
	return slices.DeleteFunc(configs, func(c describedConfig) bool { return c.Key == syncKey })
}

func TestTopicAlter(t *testing.T) {
	env := broker(t)
	name := topicFor(t)
	must(t, env, "", "topic", "create", name, "-c", "retention.ms=60000")
	must(t, env, "", "topic", "alter", name, "-p", "4")
	if r := runWith(t, env, "", "topic", "alter", name, "-p", "2"); r.code != exitError || !strings.Contains(r.stderr, "INVALID_PARTITIONS") {
		t.Errorf("fewer partitions: exit code %d, %q", r.code, r.stderr)
	}
	must(t, env, "", "topic", "alter", name, "--set", "segment.bytes=2000000", "--delete-config", "retention.ms")
	var described []describedTopic
	if err := json.Unmarshal([]byte(must(t, env, "", "topic", "describe", name, "-o", "json")), &described); err != nil {
		t.Fatal(err)
	}
	d := described[0]
	if set := changed(d.Configs); len(d.Partitions) != 4 || len(set) != 1 || set[0].Key != "segment.bytes" {
		t.Errorf("%+v", d)
	}
	if r := runWith(t, env, "", "topic", "alter", name, "--set", "no.such.key=1", "-p", "9"); r.code != exitError || !strings.Contains(r.stderr, "INVALID_CONFIG") {
		t.Errorf("a wrong key: exit code %d, %q", r.code, r.stderr)
	}
	if out := must(t, env, "", "topic", "describe", name, "-o", "json"); strings.Count(out, `"partition":`) != 4 {
		t.Error("partitions were added although a key was wrong")
	}
}

func TestProduceConsume(t *testing.T) {
	env := broker(t)
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(codec, func(t *testing.T) {
			name := topicFor(t)
			must(t, env, "", "topic", "create", name)
			var lines strings.Builder
			for i := range 5_000 {
				fmt.Fprintf(&lines, "line %d \x00\xff\r\n", i)
			}
			lines.WriteString("\nwithout an end")
			var report producedReport
			if err := json.Unmarshal([]byte(must(t, env, lines.String(), "produce", name, "-z", codec, "-o", "json")), &report); err != nil {
				t.Fatal(err)
			}
			if report.Records != 5_002 || report.Failed != 0 || report.Partitions[0].First != 0 || report.Partitions[0].Last != 5_001 {
				t.Errorf("report: %+v", report)
			}
			if got := must(t, env, "", "consume", name, "-O", "start", "-e"); got != lines.String()+"\n" {
				t.Errorf("%d bytes came back of %d, or not the same", len(got), lines.Len()+1)
			}
		})
	}
}

func TestProduceLayouts(t *testing.T) {
	env := broker(t)
	first, second := writeFile(t, "first", "a\nb"), writeFile(t, "second", "c\n")
	for _, c := range []struct {
		name, stdin string
		args        []string
		want        string // with the format below
	}{
		{"lines", "a\nb\n", nil, "-=a b\n"},
		{"key separator", "k:v\n:w\n", []string{"--key-separator", ":"}, "k=v =w\n"},
		{"tab", "k\tv\n", []string{"--key-separator", `\t`}, "k=v\n"},
		{"fixed key", "v\n", []string{"-k", "K"}, "K=v\n"},
		{"headers", "v\n", []string{"-H", "h=1", "-H", "g:2=3"}, "v{h=1}{g=2=3}\n"},
		{"format with lengths", "\x00\x03abcde", []string{"-f", `%K{big16}%k%v{re[..]}`}, "abc=de\n"},
		{"format with partitions", "1 x\n1 y\n", []string{"-f", `%p %v\n`}, "x y\n"},
		{"files", "not read", []string{first, second}, "a b c\n"},
		{"files and stdin", "s\n", []string{first, "-", second}, "a b s c\n"},
		{"acks 1", "a\n", []string{"--acks", "1"}, "a\n"},
		{"acks 0", "a\n", []string{"--acks", "0"}, "a\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := topicFor(t)
			must(t, env, "", "topic", "create", name, "-p", "2")
			args := append([]string{"produce", "-t", name}, c.args...)
			if !slices.Contains(args, `%p %v\n`) {
				args = append(args, "-p", "1")
			}
			must(t, env, c.stdin, args...)
			got := must(t, env, "", "consume", name, "-O", "start", "-n", fmt.Sprint(len(strings.Fields(c.want))), "-o", "json")
			if line := summary(t, got); line != strings.Replace(c.want, "-=", "", 1) {
				t.Errorf("%q, want %q", line, c.want)
			}
		})
	}
}

// summary writes JSON lines as "key=value{header=value} …".
func summary(t *testing.T, lines string) string {
	t.Helper()
	var all []string
	for line := range strings.Lines(lines) {
		var r struct {
			Partition  int32
			Key, Value *string
			Headers    []struct{ Key, Value string }
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Partition != 1 {
			t.Errorf("in partition %d", r.Partition)
		}
		text := *r.Value
		if r.Key != nil {
			text = *r.Key + "=" + text
		}
		for _, h := range r.Headers {
			text += "{" + h.Key + "=" + h.Value + "}"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ") + "\n"
}

func TestProduceTopicsInInput(t *testing.T) {
	env := broker(t)
	first, second := topicFor(t)+"-1", topicFor(t)+"-2"
	must(t, env, "", "topic", "create", first, second)
	must(t, env, fmt.Sprintf("%s a\n%s b\n%s c\n", first, second, first), "produce", "--topic", "", "-f", `%t %v\n`)
	for topic, want := range map[string]string{first: "a\nc\n", second: "b\n"} {
		if got := must(t, env, "", "consume", topic, "-O", "start", "-e"); got != want {
			t.Errorf("%s has %q, want %q", topic, got, want)
		}
	}
}

func TestConsumeOffsets(t *testing.T) {
	env := broker(t)
	name := topicFor(t)
	must(t, env, "", "topic", "create", name, "-p", "2")
	must(t, env, "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n", "produce", name, "-p", "0")
	must(t, env, "a\nb\n", "produce", name, "-p", "1")
	for _, c := range []struct{ offset, more, want string }{
		{"start:end", "-p 0", "0123456789"},
		{"start", "-p 0 -e", "0123456789"},
		{":3", "-p 0", "012"},
		{"4:6", "-p 0", "45"},
		{"7", "-p 0 -e", "789"},
		{"+8", "-p 0 -e", "89"},
		{"-3", "-p 0 -e", "789"},
		{"-3:-1", "-p 0", "78"},
		{"end", "-p 0 -e", ""},
		{"99", "-p 0 -e", ""},
		{"6:2", "-p 0", ""},
		{"@0", "-p 0 -e", "0123456789"},
		{"@1h", "-p 0 -e", ""},
		{"@-1h:@1h", "-p 1", "ab"},
		{"start", "-p 0 -n 4", "0123"},
		{"-1", "-e", "9b"},
	} {
		t.Run(c.offset+" "+c.more, func(t *testing.T) {
			got := must(t, env, "", append([]string{"consume", name, "-O", c.offset, "-f", "%v"}, strings.Fields(c.more)...)...)
			bytes := []byte(got)
			slices.Sort(bytes) // partitions come in any order
			if string(bytes) != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	if r := runWith(t, env, "", "consume", name, "-p", "7"); r.code != exitError || !strings.Contains(r.stderr, "has no partition 7: it has 0 to 1") {
		t.Errorf("exit code %d, %q", r.code, r.stderr)
	}
	if r := runWith(t, env, "", "consume", name, "no-such-topic"); r.code != exitError || !strings.Contains(r.stderr, `there is no topic "no-such-topic"`) {
		t.Errorf("exit code %d, %q", r.code, r.stderr)
	}
}

func TestProduceFailures(t *testing.T) {
	env := broker(t)
	name := topicFor(t)
	r := runWith(t, env, "x\n", "produce", name)
	if r.code != exitError || !strings.Contains(r.stderr, "bobbin topic create "+name) || !strings.Contains(r.out, "1 failed") {
		t.Errorf("no topic: exit code %d, %q %q", r.code, r.stderr, r.out)
	}
	must(t, env, "", "topic", "create", name, "-c", "max.message.bytes=1000")
	long := strings.Repeat("x", 2000) + "\n"
	r = runWith(t, env, "short\n"+long, "produce", name)
	if r.code != exitError || !strings.Contains(r.stderr, "line 2: line is too long: it has more than the 1000 bytes") {
		t.Errorf("a long line: exit code %d, %q", r.code, r.stderr)
	}
	r = runWith(t, env, long, "produce", name, "--max-message-bytes", "5000")
	if r.code != exitError || !strings.Contains(r.stderr, "MESSAGE_TOO_LARGE") {
		t.Errorf("a large batch: exit code %d, %q", r.code, r.stderr)
	}
	// Batches are made as large as the topic takes them.
	must(t, env, strings.Repeat("a line of text\n", 1000), "produce", name)
	must(t, env, "", "topic", "alter", name, "--set", "max.message.bytes=3000000")
	must(t, env, strings.Repeat("x", 2_500_000)+"\n", "produce", name)
	r = runWith(t, env, "good\nbad line\n", "produce", name, "-f", `%v{json}\n`)
	if r.code != exitError || !strings.Contains(r.stderr, "record 1: ") {
		t.Errorf("bad input: exit code %d, %q", r.code, r.stderr)
	}
	for _, file := range []string{filepath.Join(t.TempDir(), "absent"), t.TempDir()} {
		if r = runWith(t, env, "", "produce", name, file); r.code != exitError || !strings.Contains(r.stderr, file) {
			t.Errorf("%s: exit code %d, %q", file, r.code, r.stderr)
		}
	}
}

func TestTopicCompletion(t *testing.T) {
	env := broker(t)
	name := topicFor(t)
	must(t, env, "", "topic", "create", name)
	// A shell is not kept waiting for long, so a slow machine may need several tries.
	for !strings.Contains(must(t, env, "", "__complete", "consume", ""), name+"\n") {
	}
}

func TestSoftwareVersion(t *testing.T) {
	for version, want := range map[string]string{
		"(devel)": "devel", "v1.2.3": "v1.2.3", "v0.0.0-20261121-0a1b+dirty": "v0.0.0-20261121-0a1b-dirty",
	} {
		got := softwareVersion(version)
		if got != want {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
		cl, err := kgo.NewClient(kgo.SoftwareNameAndVersion("bobbin", got))
		if err != nil {
			t.Errorf("%s: %v", got, err)
			continue
		}
		cl.Close()
	}
}

// TestProduceInterrupted: what was read before an interrupt is still
// acknowledged, and the command ends although its input does not.
func TestProduceInterrupted(t *testing.T) {
	env := broker(t)
	name := topicFor(t)
	must(t, env, "", "topic", "create", name)
	ctx, interrupt := context.WithCancel(t.Context())
	input, feed := io.Pipe()
	defer feed.Close()
	go func() {
		fmt.Fprint(feed, "a\nb\nc\nunfinished") // taken when all of it was read
		interrupt()
	}()
	var out, stderr strings.Builder
	a := &app{started: time.Now(), environ: env, stdin: input, stdout: &out, stderr: &stderr}
	if code := a.run(ctx, patient([]string{"produce", name, "-o", "json"})); code != exitError || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit code %d, %s", code, stderr.String())
	}
	// The interrupt may come before the lines that were read were handed on.
	got := must(t, env, "", "consume", name, "-O", "start", "-e")
	var report producedReport
	if err := json.Unmarshal([]byte(out.String()), &report); err != nil {
		t.Fatal(err)
	}
	if int(report.Records) != strings.Count(got, "\n") {
		t.Errorf("%d records are reported, and %q is there", report.Records, got)
	}
}

func TestRecordJSON(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	for _, c := range []struct {
		r    kgo.Record
		want string
	}{
		{kgo.Record{Topic: "t", Timestamp: at}, `{"topic":"t","partition":0,"offset":0,"timestamp":1700000000123,"key":null,"value":null}`},
		{kgo.Record{Topic: "t", Partition: 3, Offset: 7, Timestamp: at, Key: []byte{}, Value: []byte("<é\n>")}, `{"topic":"t","partition":3,"offset":7,"timestamp":1700000000123,"key":"","value":"<é\n>"}`},
		{kgo.Record{Topic: "t", Timestamp: at, Key: []byte{0xff}, Value: []byte("v"), Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("b")}, {Key: "n"}, {Key: "x", Value: []byte{0xfe}}}},
			`{"topic":"t","partition":0,"offset":0,"timestamp":1700000000123,"key_base64":"/w==","value":"v","headers":[{"key":"a","value":"b"},{"key":"n","value":null},{"key":"x","value_base64":"/g=="}]}`},
	} {
		got, err := appendRecordJSON(nil, &c.r)
		if err != nil || string(got) != c.want+"\n" {
			t.Errorf("%s, %v; want %s", got, err, c.want)
		}
	}
}
