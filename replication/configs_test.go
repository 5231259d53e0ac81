package replication

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication/controller"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// TestLayers: of each key the last layer counts that has it, and what cannot be in
// force takes nothing else with it.
func TestLayers(t *testing.T) {
	type settings = map[string]string
	for _, c := range []struct {
		layers []settings
		want   settings
		left   string // out
	}{
		{nil, nil, ""},
		{[]settings{{"retention.ms": "3"}, {"retention.ms": "2"}, {"retention.ms": "1"}}, settings{"retention.ms": "1"}, ""},
		{[]settings{{"retention.ms": "3"}, {"segment.bytes": "2000000"}, nil}, settings{"retention.ms": "3", "segment.bytes": "2000000"}, ""},
		{[]settings{{"retention.ms": "3"}, {"retention.ms": "604800000"}}, nil, ""}, // back to the default, by its value
		{[]settings{{"bobbin.sync": "none"}, {"bobbin.design": "file+mmap"}}, settings{"bobbin.design": "file+mmap+none"}, ""},
		{[]settings{{"cleanup.policy": "compact"}, {"cleanup.policy": ""}}, settings{"cleanup.policy": ""}, ""},
		{[]settings{{"of.the.future": "1", "retention.ms": "3"}}, settings{"retention.ms": "3"}, "of.the.future"},
		{[]settings{{"segment.bytes": "many", "retention.ms": "3"}, {"retention.ms": "2"}}, settings{"retention.ms": "2"}, "segment.bytes"},
		{[]settings{{"max.compaction.lag.ms": "50"}, {"min.compaction.lag.ms": "100", "retention.ms": "3"}},
			settings{"max.compaction.lag.ms": "50", "retention.ms": "3"}, "min.compaction.lag.ms"},
	} {
		want, err := engine.DefaultConfig().With(c.want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := layered(engine.DefaultConfig(), c.layers...)
		if got != want {
			t.Errorf("%v gives\n%+v, want\n%+v", c.layers, got, want)
		}
		if (err != nil) != (c.left != "") || err != nil && !strings.Contains(err.Error(), c.left) {
			t.Errorf("%v: %v, want %q to be left out", c.layers, err, c.left)
		}
	}
}

// setting is one change of a broker's configs, «log.retention.ms=5», or the end of
// one, «log.retention.ms».
func setting(broker int32, text string) BrokerConfigChange {
	name, value, ok := strings.Cut(text, "=")
	op := ConfigOp{Name: name, Op: OpDelete}
	if ok {
		op.Op, op.Value = OpSet, &value
	}
	return BrokerConfigChange{Broker: broker, Ops: []ConfigOp{op}}
}

func alterBroker(t *testing.T, n *Node, changes ...BrokerConfigChange) {
	t.Helper()
	errs, err := n.AlterBrokerConfigs(t.Context(), changes, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func alterTopic(t *testing.T, n *Node, topic, name, value string) {
	t.Helper()
	rs, err := n.AlterConfigs(t.Context(), []ConfigChange{{Topic: topic, Ops: []ConfigOp{{Name: name, Value: &value}}}}, false)
	if err != nil || rs[0].Err != nil {
		t.Fatal(rs, err)
	}
}

// TestBrokerConfigsReachLogs: a log that is open, one that is cold and one that is
// made later have what the broker was set to when the command returns, and again
// after a stop and after a kill.
func TestBrokerConfigsReachLogs(t *testing.T) {
	fs := vfs.NewMem()
	started := func(o *Options) {
		o.Defaults = engine.DefaultConfig()
		o.Defaults.RetentionAge = 4 * time.Millisecond
	}
	n := openNode(t, fs, started)
	for _, topic := range []string{"open", "cold", "own"} {
		create(t, n, topic, 1)
		produce(t, n, topic, 0, "v")
	}
	check := func(want, own int64) {
		t.Helper()
		for topic, want := range map[string]int64{"open": want, "cold": want, "later": want, "own": own} {
			p, err := n.Partition(topic, 0)
			if err != nil {
				t.Fatal(err)
			}
			l, err := p.Log()
			if err != nil {
				t.Fatal(err)
			}
			if got := l.Config().RetentionAge.Milliseconds(); got != want || p.Config().RetentionAge != l.Config().RetentionAge {
				t.Errorf("the log of %s keeps records for %d ms, want %d", topic, got, want)
			}
		}
	}
	coolAll(t, n)
	produce(t, n, "open", 0, "v")
	alterBroker(t, n, setting(AllBrokers, "log.retention.ms=3"))
	create(t, n, "later", 1)
	check(3, 3)
	alterBroker(t, n, setting(1, "log.retention.ms=2"), setting(AllBrokers, "log.retention.ms=5"))
	alterTopic(t, n, "own", "retention.ms", "1")
	check(2, 1)
	alterBroker(t, n, setting(7, "log.retention.ms=6")) // somebody else's
	check(2, 1)

	closeNode(t, n)
	n = openNode(t, fs, started)
	check(2, 1)
	fs = fs.Kill()
	closeNode(t, n)
	n = openNode(t, fs, started)
	check(2, 1)

	alterBroker(t, n, setting(1, "log.retention.ms"))
	check(5, 1)
	alterBroker(t, n, setting(AllBrokers, "log.retention.ms"))
	check(4, 1)
	if _, ok := n.Image().BrokerConfigs[AllBrokers]; ok {
		t.Error("nothing is set for all brokers, and it is remembered")
	}
	if n.Defaults().RetentionAge != 4*time.Millisecond {
		t.Error("what the broker was started with has changed")
	}
}

// TestBrokerConfigsRefused: what is wrong leaves everything as it was, and names the
// broker's key.
func TestBrokerConfigsRefused(t *testing.T) {
	n := openNode(t, vfs.NewMem(), func(o *Options) { o.Defaults = engine.DefaultConfig(); o.Defaults.MinCompactionLag = time.Second })
	create(t, n, "t", 1)
	alterTopic(t, n, "t", "min.compaction.lag.ms", "60000")
	for _, c := range []struct{ change, says string }{
		{"log.retention.ms=many", `configuration log.retention.ms="many": is not a whole number`},
		{"log.segment.bytes=5", `configuration log.segment.bytes="5": is not in [1048576, 2147483647]`},
		{"log.cleaner.max.compaction.lag.ms=50", "is more than max.compaction.lag.ms=50"},
		{"log.cleaner.max.compaction.lag.ms=5000", "topic t could not have what is set for it"},
	} {
		before := n.Image()
		errs, err := n.AlterBrokerConfigs(t.Context(), []BrokerConfigChange{setting(AllBrokers, c.change)}, false)
		if err != nil || errs[0] == nil || !strings.Contains(errs[0].Error(), c.says) {
			t.Errorf("%s: %v, %v; want %q", c.change, errs, err, c.says)
		}
		if n.Image() != before {
			t.Errorf("%s: refused, and the metadata changed", c.change)
		}
	}
	// How logs lie, and what an acknowledgement means, is what the broker was started with.
	alterBroker(t, n, setting(AllBrokers, "bobbin.design=memory+none"), setting(1, "bobbin.sync=none"))
	if c, err := n.TopicConfig(nil); err != nil || c.Design != engine.DefaultDesign {
		t.Errorf("design %s, %v", c.Design, err)
	}
}

// TestBrokerConfigsFromLists: APPEND to a topic's list begins with what the broker
// has, however it came to have it.
func TestBrokerConfigsFromLists(t *testing.T) {
	n := openNode(t, vfs.NewMem())
	create(t, n, "t", 1)
	alterBroker(t, n, setting(AllBrokers, "log.cleanup.policy=compact"))
	more := "delete"
	rs, err := n.AlterConfigs(t.Context(), []ConfigChange{{Topic: "t", Ops: []ConfigOp{{Name: "cleanup.policy", Op: controller.OpAppend, Value: &more}}}}, false)
	if err != nil || rs[0].Err != nil || rs[0].Configs["cleanup.policy"] != "compact,delete" {
		t.Errorf("%+v, %v", rs, err)
	}
}

// TestShorterRetentionOfColdLogs: what is due by a new configuration is done in the
// next round of housekeeping, also where nobody uses the log, and a log that was
// never used is not made for it.
func TestShorterRetentionOfColdLogs(t *testing.T) {
	for name, alter := range map[string]func(t *testing.T, n *Node){
		"topic":  func(t *testing.T, n *Node) { alterTopic(t, n, "t", "retention.ms", "1000") },
		"broker": func(t *testing.T, n *Node) { alterBroker(t, n, setting(1, "log.retention.ms=1000")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fs := vfs.NewMem()
				n := openNode(t, fs, func(o *Options) {
					o.RetentionCheck = 0 // as it is by default
					o.Defaults = engine.DefaultConfig()
					o.Defaults.AppendTime = true
				})
				create(t, n, "t", 2)
				produce(t, n, "t", 0, "v")
				time.Sleep(10 * time.Minute) // a round of housekeeping finds nothing due, and the log is cold
				p := n.ColdPartitionNamed("t", 0)
				if p.open.Load() != nil {
					t.Fatal("the log is open")
				}
				alter(t, n)
				time.Sleep(10 * time.Minute)
				if m := marks(t, p); m.Start != 1 || m.End != 1 {
					t.Errorf("ten minutes after retention came down to a second: [%d, %d)", m.Start, m.End)
				}
				if n.ColdPartitionNamed("t", 1).disk.Load() != absent {
					t.Error("a log that nobody used was made")
				}
				closeNode(t, n)
			})
		})
	}
}

// TestBrokerConfigsUnderLoad: changes while logs are written to, read, closed and
// opened end with all logs as the last change has it.
func TestBrokerConfigsUnderLoad(t *testing.T) {
	n := openNode(t, vfs.NewMem())
	create(t, n, "t", 4)
	var ended atomic.Bool
	var users, changers sync.WaitGroup
	for i := range int32(4) {
		p, err := n.Partition("t", i)
		if err != nil {
			t.Fatal(err)
		}
		users.Go(func() {
			for !ended.Load() {
				pending, err := p.Append(set(t, "v"), AcksAll, AnyEpoch)
				if err == nil {
					err = pending.Wait(t.Context())
				}
				if err != nil {
					t.Error(err)
					return
				}
				p.cool()
			}
		})
	}
	for _, broker := range []int32{AllBrokers, 1} {
		changers.Go(func() {
			for i := range 50 {
				change := setting(broker, fmt.Sprint("log.retention.ms=", 100_000+i))
				if i%5 == 4 {
					change = setting(broker, "log.retention.ms")
				}
				if errs, err := n.AlterBrokerConfigs(t.Context(), []BrokerConfigChange{change}, false); err != nil || errs[0] != nil {
					t.Error(errs, err)
				}
			}
		})
	}
	changers.Wait()
	alterBroker(t, n, setting(1, "log.retention.ms=77"))
	ended.Store(true)
	users.Wait()
	for i := range int32(4) {
		p, err := n.Partition("t", i)
		if err != nil {
			t.Fatal(err)
		}
		l, err := p.Log()
		if err != nil || l.Config().RetentionAge != 77*time.Millisecond {
			t.Errorf("partition %d: %v, %v", i, l.Config().RetentionAge, err)
		}
	}
}
