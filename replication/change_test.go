package replication

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication/controller"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

func TestConfigsReachLogs(t *testing.T) {
	fs := vfs.NewMem()
	n := openNode(t, fs)
	create(t, n, "t", 2)
	value := "12345"
	rs, err := n.AlterConfigs(t.Context(), []ConfigChange{{Topic: "t", Ops: []ConfigOp{{Name: "retention.ms", Op: controller.OpSet, Value: &value}}}}, false)
	if err != nil || rs[0].Err != nil {
		t.Fatal(rs, err)
	}
	check := func(n *Node) {
		t.Helper()
		for id := range int32(2) {
			p, err := n.Partition("t", id)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Config().RetentionAge; got != 12345*time.Millisecond {
				t.Errorf("partition %d keeps records for %v", id, got)
			}
		}
	}
	check(n)
	closeNode(t, n)
	check(openNode(t, fs))
}

func TestCreatePartitionsKeepsTheOld(t *testing.T) {
	n := openNode(t, vfs.NewMem())
	create(t, n, "t", 1)
	produce(t, n, "t", 0, "v")
	old, _ := n.Partition("t", 0)
	rs, err := n.CreatePartitions(t.Context(), []PartitionsSpec{{Topic: "t", Count: 3}}, false)
	if err != nil || rs[0].Err != nil {
		t.Fatal(rs, err)
	}
	produce(t, n, "t", 2, "w")
	if p, _ := n.Partition("t", 0); p != old {
		t.Error("a partition that was there was opened again")
	}
	if _, err := n.Partition("t", 3); !errors.Is(err, ErrUnknownTopic) {
		t.Errorf("partition 3 of 3: %v", err)
	}
}

// TestConcurrentChanges: of many who make and delete the same topic, each command
// finds it as the one before left it.
func TestConcurrentChanges(t *testing.T) {
	n := openNode(t, vfs.NewMem())
	var made, deleted atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				rs, err := n.CreateTopics(t.Context(), []TopicSpec{{Name: "t", Partitions: 2, Replication: 1}}, false)
				if err == nil && rs[0].Err == nil {
					made.Add(1)
				}
				if p, err := n.Partition("t", 1); err == nil {
					_ = p.HighWatermark()
				}
				rs, err = n.DeleteTopics(t.Context(), []TopicRef{{Name: "t"}})
				if err == nil && rs[0].Err == nil {
					deleted.Add(1)
				}
			}
		})
	}
	all.Wait()
	if m, d := made.Load(), deleted.Load(); m != d || m == 0 {
		t.Errorf("made %d times, deleted %d times", m, d)
	}
}

// TestImpatientClient: a command whose client gave up takes effect all the same,
// as a whole.
func TestImpatientClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewInject(vfs.NewMem(), nil)
		hang := make(chan struct{})
		var armed atomic.Bool
		fs.Before = func(op vfs.Op) error {
			if armed.Load() && op.Kind == vfs.OpSync {
				<-hang
			}
			return nil
		}
		n := openNode(t, fs)
		armed.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		specs := []TopicSpec{{Name: "t", Partitions: 2, Replication: 1}}
		if _, err := n.CreateTopics(ctx, specs, false); !errors.Is(err, ErrTimeout) {
			t.Errorf("%v, want ErrTimeout", err)
		}
		if _, err := n.Partition("t", 0); !errors.Is(err, ErrUnknownTopic) {
			t.Errorf("a topic that is not there yet: %v", err)
		}
		armed.Store(false)
		close(hang)
		synctest.Wait()
		produce(t, n, "t", 1, "v")
		closeNode(t, n)
	})
}

// TestHousekeeping runs a day of retention in virtual time.
func TestHousekeeping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		n := openNode(t, fs, func(o *Options) {
			o.RetentionCheck = 0 // as it is by default
			o.Defaults = engine.DefaultConfig()
			o.Defaults.SegmentAge = time.Hour
			o.Defaults.RetentionAge = 6 * time.Hour
			o.Defaults.AppendTime = true
		})
		create(t, n, "t", 1)
		for hour := range 24 {
			produce(t, n, "t", 0, fmt.Sprint(hour))
			time.Sleep(time.Hour)
		}
		p, _ := n.Partition("t", 0)
		if m := marks(t, p); m.Start < 15 || m.Start > 18 || m.End != 24 {
			t.Errorf("after 24 hours of which 6 are kept: [%d, %d)", m.Start, m.End)
		}
		c, err := engine.ReadCheckpoint(fs, "/data", highWatermarks)
		if err != nil || c["t-0"] != 24 {
			t.Errorf("high watermarks %v, %v", c, err)
		}
		closeNode(t, n)
	})
}

func TestStoppedNodeAnswers(t *testing.T) {
	n := openNode(t, vfs.NewMem())
	create(t, n, "t", 1)
	p, _ := n.Partition("t", 0)
	closeNode(t, n)
	if _, err := n.CreateTopics(t.Context(), []TopicSpec{{Name: "u", Partitions: 1, Replication: 1}}, false); !errors.Is(err, ErrStopped) {
		t.Errorf("create: %v, want ErrStopped", err)
	}
	if _, err := n.NextProducerID(t.Context()); !errors.Is(err, ErrStopped) {
		t.Errorf("producer id: %v, want ErrStopped", err)
	}
	if _, err := p.Append(set(t, "v"), AcksAll, AnyEpoch); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("append: %v, want ErrClosed", err)
	}
}
