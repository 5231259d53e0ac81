package brokertest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
	"github.com/bobbin-log/bobbin/replication"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// roundTrip produces n records to a topic and reads them back.
func roundTrip(t *testing.T, b *brokertest.Broker, topic string, n int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.Dialer(b.Dial), kgo.ConsumeTopics(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i := range n {
		r := &kgo.Record{Topic: topic, Value: fmt.Append(nil, "record ", i)}
		if err := client.ProduceSync(context.Background(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for got := 0; got < n; {
		fetches := client.PollFetches(context.Background())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if want := fmt.Sprint("record ", got); string(r.Value) != want {
				t.Errorf("record %d is %q", got, r.Value)
			}
			got++
		})
	}
}

func TestStart(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []brokertest.Option
	}{
		{"disk", nil},
		{"memory", []brokertest.Option{brokertest.InMemory()}},
		{"memory, piped", []brokertest.Option{brokertest.InMemory(), brokertest.Piped()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := brokertest.Start(t, c.opts...)
			b.CreateTopic("t", 1)
			roundTrip(t, b, "t", 10)
		})
	}
}

// TestKill: what was acknowledged is there after kill -9, and after a loss of
// power if the sync policy says so.
func TestKill(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(b *brokertest.Broker)
	}{
		{"kill", (*brokertest.Broker).Kill},
		{"power cut", func(b *brokertest.Broker) { b.PowerCut(1, 0) }},
		{"power cut that leaves half", func(b *brokertest.Broker) { b.PowerCut(2, 50) }},
		{"clean stop", (*brokertest.Broker).Stop},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := brokertest.Start(t, brokertest.InMemory(), brokertest.Sync("always"))
			b.CreateTopic("t", 1)
			roundTrip(t, b, "t", 5)
			addr := b.Addr()
			c.end(b)
			b.Restart()
			if b.Addr() != addr {
				t.Errorf("the broker was at %s and is at %s", addr, b.Addr())
			}
			p, err := b.Node().Partition("t", 0)
			if err != nil || p.HighWatermark() != 5 {
				t.Errorf("the topic after it: %v", err)
			}
			b.CreateTopic("u", 1)
			roundTrip(t, b, "u", 5)
		})
	}
}

// TestVirtualTime: a whole broker and its client in a bubble, where hours of
// long polls take no time.
func TestVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.Start(t, brokertest.InMemory(), brokertest.Piped())
		b.CreateTopic("t", 1)
		client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.Dialer(b.Dial), kgo.ConsumeTopics("t"), kgo.DefaultProduceTopic("t"))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		go func() {
			time.Sleep(3 * time.Hour)
			client.Produce(context.Background(), kgo.StringRecord("at last"), nil)
		}()
		start := time.Now()
		fetches := client.PollFetches(context.Background())
		if err := fetches.Err(); err != nil || fetches.NumRecords() != 1 {
			t.Errorf("%d records, %v", fetches.NumRecords(), err)
		}
		if waited := time.Since(start); waited < 3*time.Hour || waited > 3*time.Hour+time.Minute {
			t.Errorf("it took %v", waited)
		}
	})
}

// reporter is a test whose failures are counted, and whose output is kept.
type reporter struct {
	testing.TB
	failures []string
	output   bytes.Buffer
}

func (r *reporter) Output() io.Writer { return &r.output }

func (r *reporter) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// TestLeak: an Extent that is not released fails the test that left it.
func TestLeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reporter{TB: t}
		b := brokertest.Start(r, brokertest.InMemory(), brokertest.Piped())
		b.CreateTopic("t", 1)
		roundTrip(t, b, "t", 1)
		p, err := b.Node().Partition("t", 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Read(t.Context(), replication.ReadRequest{MaxBytes: 100, LeaderEpoch: replication.AnyEpoch})
		if err != nil {
			t.Fatal(err)
		}
		b.Stop()
		if len(r.failures) != 1 || !strings.Contains(r.failures[0], "Extent") {
			t.Errorf("failures: %q", r.failures)
		}
		got.Extent.Release()
	})
}

// TestLogged: what the broker says is in the test's output, and only if asked for.
func TestLogged(t *testing.T) {
	stray := brokertest.WrapFS(func(fs vfs.FS) vfs.FS { // a start tells of a directory that it does not know
		if err := errors.Join(fs.MkdirAll("data/stray-0"), vfs.WriteFile(fs, "data/stray-0/mine", nil)); err != nil {
			t.Error(err)
		}
		return fs
	})
	for _, c := range []struct {
		name string
		opts []brokertest.Option
		want bool
	}{
		{"logged", []brokertest.Option{brokertest.Logged()}, true},
		{"silent", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &reporter{TB: t}
			b := brokertest.Start(r, append(c.opts, brokertest.InMemory(), stray)...)
			b.Stop()
			if said := strings.Contains(r.output.String(), "name=stray-0"); said != c.want {
				t.Errorf("the output is %q", r.output.String())
			}
		})
	}
}

// TestHoldPort: a held port can be listened at many times, and nobody gets it who
// asks for any.
func TestHoldPort(t *testing.T) {
	held := brokertest.HoldPort(t)
	for range 3 {
		if c, err := net.Dial("tcp", held); err == nil {
			c.Close()
			t.Fatal("somebody listens")
		}
		l, err := net.Listen("tcp", held)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", held)
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s.Close() // first, so that the port is left in TIME_WAIT
		c.Close()
		l.Close()
	}
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() }) // held till the end, so that each gets another port
		if l.Addr().String() == held {
			t.Fatal("the port was given away")
		}
	}
}

func ExampleStart() {
	test := func(t *testing.T) { // func TestMine(t *testing.T) {
		b := brokertest.Start(t)
		client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		// …
	}
	_ = test
}
