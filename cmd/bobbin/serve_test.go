package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
)

// process is a broker that runs as a process of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan map[string]any // what it logs; closed at its end
	ended chan error
	addr  string // where clients are told to go
}

// startServe runs bobbin serve and waits until it is ready.
func startServe(t *testing.T, args ...string) *process {
	t.Helper()
	p := launch(t, args...)
	for line := range p.lines {
		if text, ok := line["advertised"].(string); ok {
			_, p.addr, _ = strings.Cut(text, "://")
		}
		if line["msg"] == "ready" {
			go func() { // keeps the pipe empty
				for range p.lines {
				}
			}()
			return p
		}
	}
	t.Fatalf("serve %q ended before it was ready: %v", args, <-p.ended)
	return nil
}

// launch runs bobbin serve as a process, which ends with the test.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(self, append([]string{"serve"}, args...)...), lines: make(chan map[string]any, 100), ended: make(chan error, 1)}
	p.cmd.Env = []string{runMain + "=1"} // nothing of the machine's, which may configure a broker
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		scanner := bufio.NewScanner(stderr)
		for scanner.Scan() {
			line := map[string]any{}
			if json.Unmarshal(scanner.Bytes(), &line) != nil {
				line["text"] = scanner.Text()
			}
			p.lines <- line
		}
		close(p.lines)
		p.ended <- p.cmd.Wait()
	}()
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	return p
}

// end sends the signal and returns the exit code: -1 for one who was killed.
func (p *process) end(s os.Signal) int {
	_ = p.cmd.Process.Signal(s) // who is gone needs no signal
	err, ok := <-p.ended
	if ok {
		close(p.ended)
		_ = err // the exit code says it
	}
	return p.cmd.ProcessState.ExitCode()
}

// rest returns all that is logged until the process ends, as one text.
func (p *process) rest() string {
	var b strings.Builder
	for line := range p.lines {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

func TestServe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := startServe(t, "-d", dir, "-l", "127.0.0.1:0")
	if r := runWith(t, nil, "hello\n", "produce", "greetings", "--allow-auto-topic-creation", "-b", p.addr); r.code != exitOK {
		t.Fatal(r.stderr)
	}
	t.Run("second start on the same directory", func(t *testing.T) {
		other := launch(t, "-d", dir, "-l", "127.0.0.1:0")
		text := other.rest()
		if code := other.end(syscall.SIGKILL); code != exitError || !strings.Contains(text, "is in use by another broker") {
			t.Errorf("exit code %d: %s", code, text)
		}
	})
	t.Run("second start with the same port as well", func(t *testing.T) {
		other := launch(t, "-d", dir, "-l", p.addr)
		text := other.rest()
		if code := other.end(syscall.SIGKILL); code != exitError || !strings.Contains(text, "another broker has the data directory") {
			t.Errorf("exit code %d: %s", code, text)
		}
	})
	t.Run("the same port", func(t *testing.T) {
		other := launch(t, "-d", t.TempDir(), "-l", p.addr)
		text := other.rest()
		if code := other.end(syscall.SIGKILL); code != exitError || !strings.Contains(text, p.addr+" is in use by another process") {
			t.Errorf("exit code %d: %s", code, text)
		}
	})
	if code := p.end(syscall.SIGTERM); code != exitOK {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	if _, err := os.Stat(filepath.Join(dir, ".kafka_cleanshutdown")); err != nil {
		t.Errorf("the stop was not clean: %v", err)
	}
	t.Run("another node's directory", func(t *testing.T) {
		other := launch(t, "-d", dir, "-l", "127.0.0.1:0", "--node-id", "2")
		text := other.rest()
		if code := other.end(syscall.SIGKILL); code != exitCorrupt || !strings.Contains(text, "belongs to node 1") {
			t.Errorf("exit code %d: %s", code, text)
		}
	})
	p = startServe(t, "-d", dir, "-l", "127.0.0.1:0")
	if r := run(t, "consume", "greetings", "-O", "start", "-e", "-b", p.addr); r.out != "hello\n" {
		t.Errorf("after a restart: %q, %s", r.out, r.stderr)
	}
	if code := p.end(os.Interrupt); code != exitOK {
		t.Errorf("SIGINT: exit code %d", code)
	}
}

// TestServeFirstLines: version, what an acknowledgement means, and where
// clients connect, in this order.
// TestServeShowsConfig: what the broker was given is what clients are shown, of
// itself and as the topics' defaults.
func TestServeShowsConfig(t *testing.T) {
	p := startServe(t, "-d", t.TempDir(), "-l", "127.0.0.1:0",
		"--override", "log.retention.ms=12345", "--override", "num.partitions=3", "--override", "auto.create.topics.enable=false")
	client, err := kgo.NewClient(kgo.SeedBrokers(p.addr), kgo.RequestTimeoutOverhead(15*time.Minute)) // as long as it lets us
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(t.Context(), -1, -1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	topics, err := admin.DescribeTopicConfigs(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	brokers, err := admin.DescribeBrokerConfigs(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	const setForBroker, byDefault = kmsg.ConfigSourceStaticBrokerConfig, kmsg.ConfigSourceDefaultConfig
	for _, k := range []struct {
		of         kadm.ResourceConfigs
		key, value string
		source     kmsg.ConfigSource
	}{
		{topics, "retention.ms", "12345", setForBroker},
		{topics, "segment.ms", "604800000", byDefault},
		{brokers, "log.retention.ms", "12345", setForBroker},
		{brokers, "num.partitions", "3", setForBroker},
		{brokers, "auto.create.topics.enable", "false", setForBroker},
		{brokers, "default.replication.factor", "1", byDefault},
		{brokers, "broker.rack", "", byDefault},
		{brokers, "node.id", "1", setForBroker},
		{brokers, "broker.id", "1", setForBroker},
	} {
		found := false
		for _, c := range k.of[0].Configs {
			if c.Key != k.key {
				continue
			}
			if k.key == "broker.rack" && c.Value != nil {
				t.Errorf("%s has no value, and is shown as %q instead of null", k.key, *c.Value)
			}
			if found = true; c.MaybeValue() != k.value || c.Source != k.source {
				t.Errorf("%s: %q from %v, want %q from %v", k.key, c.MaybeValue(), c.Source, k.value, k.source)
			}
		}
		if !found {
			t.Errorf("%s is not shown", k.key)
		}
	}
}

// TestServeUpdateModes: which of Kafka's keys can be changed while the broker runs,
// with Apache Kafka 4.4's answers, but that listeners change by a restart here.
func TestServeUpdateModes(t *testing.T) {
	p := startServe(t, "-d", t.TempDir(), "-l", "127.0.0.1:0")
	client, err := kgo.NewClient(kgo.SeedBrokers(p.addr), kgo.RequestTimeoutOverhead(15*time.Minute)) // as long as it lets us
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	const readOnly, perBroker = "Cannot update these configs dynamically: ", "Cannot update these configs at default cluster level, broker id must be specified: "
	one := []int32{1}
	for _, k := range []struct {
		key     string
		brokers []int32 // none: all
		says    string
	}{
		{"num.partitions", one, readOnly}, {"num.partitions", nil, readOnly}, {"log.retention.hours", one, readOnly},
		{"request.timeout.ms", one, readOnly}, {"ssl.keystore.location", one, readOnly}, {"listeners", one, readOnly},
		{"sasl.kerberos.min.time.before.relogin", one, ""}, {"sasl.kerberos.min.time.before.relogin", nil, perBroker},
		{"background.threads", one, ""}, {"background.threads", nil, ""}, {"log.index.interval.bytes", nil, ""},
	} {
		value := "9"
		rs, err := admin.AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: k.key, Value: &value}}, k.brokers...)
		if err != nil {
			t.Fatal(err)
		}
		want := k.says
		if want != "" {
			want += "[" + k.key + "]"
		}
		if rs[0].ErrMessage != want || (rs[0].Err == nil) != (want == "") {
			t.Errorf("%s of %v: %v %q, want %q", k.key, k.brokers, rs[0].Err, rs[0].ErrMessage, want)
		}
	}
	// What does nothing is shown all the same, and is no secret.
	rs, err := admin.DescribeBrokerConfigs(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(rs[0].Configs, func(c kadm.Config) bool { return c.Key == "background.threads" })
	if i < 0 || rs[0].Configs[i].MaybeValue() != "9" || rs[0].Configs[i].Source != kmsg.ConfigSourceDynamicBrokerConfig || rs[0].Configs[i].Sensitive {
		t.Errorf("background.threads is shown as %+v", rs[0].Configs)
	}
	for _, name := range strings.Fields(ignoredPerBroker + ignoredClusterWide) {
		if _, ok := ignoredKey(name); !ok {
			t.Errorf("%s is not among the keys that do nothing", name)
		}
	}
}

func TestServeFirstLines(t *testing.T) {
	file := writeFile(t, "server.properties", "num.io.threads=3\nlog.segment.byte=1\n")
	p := launch(t, file, "-d", t.TempDir(), "-l", "127.0.0.1:0", "--sync", "interval")
	var got []string
	for line := range p.lines {
		delete(line, "time")
		text, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(text))
		if line["msg"] == "ready" {
			break
		}
	}
	want := []string{
		`"msg":"bobbin","version":`,
		`"bobbin.sync":"interval","level":"INFO","meaning":"an acknowledged record survives kill -9;`,
		`{"advertised":"PLAINTEXT://127.0.0.1:`,
		`did you mean log.segment.bytes?`,
		`accepted and ignored, as goroutines take the place of threads and their queues: num.io.threads`,
		`"msg":"ready"`,
	}
	for i, w := range want {
		if i >= len(got) || !strings.Contains(got[i], w) {
			t.Errorf("line %d of\n%s\ndoes not have %s", i+1, strings.Join(got, "\n"), w)
		}
	}
}

// TestProduceAcrossKills: a broker is killed again and again while a producer
// writes to it. Nothing is lost, written twice, or out of order.
func TestProduceAcrossKills(t *testing.T) {
	const records, kills, partitions = 100_000, 5, 4
	dir, addr := t.TempDir(), brokertest.HoldPort(t)
	p := startServe(t, "-d", dir, "-l", addr)
	if r := run(t, "topic", "create", "numbers", "-p", fmt.Sprint(partitions), "-b", addr); r.code != exitOK {
		t.Fatal(r.stderr)
	}
	// The input waits for the kills, so that each falls into the middle.
	input, feed := io.Pipe()
	stages := make(chan struct{})
	go func() {
		defer feed.Close()
		for i := range records {
			if i > 0 && i%(records/(kills+1)) == 0 && i < records/(kills+1)*(kills+1) {
				stages <- struct{}{}
			}
			fmt.Fprintf(feed, "%d\n", i)
		}
	}()
	produced := make(chan result, 1)
	go func() {
		var out, stderr strings.Builder
		a := &app{started: time.Now(), stdin: input, stdout: &out, stderr: &stderr}
		code := a.run(t.Context(), patient([]string{"produce", "numbers", "-b", addr, "-o", "json", "-z", "lz4"}))
		produced <- result{code, out.String(), stderr.String()}
	}()
	for range kills {
		<-stages
		p.end(syscall.SIGKILL)
		p = startServe(t, "-d", dir, "-l", addr)
	}
	if r := <-produced; r.code != exitOK || !strings.Contains(r.out, fmt.Sprintf(`"records": %d,`, records)) {
		t.Fatalf("produce: exit code %d, %s%s", r.code, r.stderr, r.out)
	}
	r := run(t, "consume", "numbers", "-O", "start", "-e", "-b", addr, "-f", `%p %v\n`)
	if r.code != exitOK {
		t.Fatal(r.stderr)
	}
	last := [partitions]int{-1, -1, -1, -1}
	seen := make([]bool, records)
	for line := range strings.Lines(r.out) {
		var partition, n int
		if _, err := fmt.Sscan(line, &partition, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if n <= last[partition] {
			t.Fatalf("partition %d has %d after %d", partition, n, last[partition])
		}
		if seen[n] {
			t.Fatalf("%d was written twice", n)
		}
		last[partition], seen[n] = n, true
	}
	for n, ok := range seen {
		if !ok {
			t.Fatalf("%d was lost", n)
		}
	}
	if code := p.end(syscall.SIGTERM); code != exitOK {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	if r := run(t, "log", "verify", dir, "--strict"); r.code != exitOK {
		t.Errorf("log verify: exit code %d\n%s", r.code, r.out)
	}
}

// TestConsumeAcrossKill: a consumer goes on where it was when the broker is
// back.
func TestConsumeAcrossKill(t *testing.T) {
	dir, addr := t.TempDir(), brokertest.HoldPort(t)
	p := startServe(t, "-d", dir, "-l", addr)
	env := []string{"BOBBIN_BROKERS=" + addr}
	must(t, env, "", "topic", "create", "numbers")
	must(t, env, "0\n1\n2\n", "produce", "numbers")
	output, printed := io.Pipe()
	var stderr strings.Builder
	code := make(chan int, 1)
	go func() {
		a := &app{started: time.Now(), environ: env, stdin: strings.NewReader(""), stdout: printed, stderr: &stderr}
		code <- a.run(t.Context(), patient([]string{"consume", "numbers", "-O", "start", "-n", "6"}))
		printed.Close()
	}()
	lines := bufio.NewScanner(output)
	for i := range 6 {
		if i == 3 { // everything up to here was read
			p.end(syscall.SIGKILL)
			p = startServe(t, "-d", dir, "-l", addr)
			must(t, env, "3\n4\n5\n", "produce", "numbers")
		}
		if !lines.Scan() || lines.Text() != fmt.Sprint(i) {
			t.Fatalf("line %d is %q, %v", i, lines.Text(), lines.Err())
		}
	}
	if lines.Scan() {
		t.Errorf("more than was asked for: %q", lines.Text())
	}
	if got := <-code; got != exitOK || stderr.Len() > 0 {
		t.Errorf("exit code %d, %s", got, stderr.String())
	}
}
