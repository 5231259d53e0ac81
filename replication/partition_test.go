package replication

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication/controller"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// TestPartitionRead: a log [0, 4) of which [0, 3) is on the disk and the fourth
// record is not.
func TestPartitionRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewInject(vfs.NewMem(), nil)
		hang := make(chan struct{})
		close(hang)
		fs.Before = func(op vfs.Op) error {
			if op.Kind == vfs.OpSync && strings.Contains(op.Path, "t-0") {
				<-hang
			}
			return nil
		}
		n := openNode(t, fs)
		create(t, n, "t", 1)
		for range 3 {
			produce(t, n, "t", 0, "v")
		}
		p, err := n.Partition("t", 0)
		if err != nil {
			t.Fatal(err)
		}
		hang = make(chan struct{})
		pending, err := p.Append(set(t, "w"), AcksAll, 0)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var outside *engine.RangeError
		for _, c := range []struct {
			from    int64
			batches int64
			outside bool
		}{{-1, 0, true}, {0, 3, false}, {1, 2, false}, {2, 1, false}, {3, 0, false}, {4, 0, false}, {5, 0, true}} {
			r, err := p.Read(t.Context(), ReadRequest{From: c.from, MaxBytes: 1 << 20, AtLeastOne: true, LeaderEpoch: AnyEpoch})
			if errors.As(err, &outside) != c.outside || err != nil && !c.outside {
				t.Errorf("from %d: %v", c.from, err)
			}
			if want := c.batches * set(t, "v").Size(); r.Extent.Len() != want {
				t.Errorf("from %d: %d bytes, want %d", c.from, r.Extent.Len(), want)
			}
			if r.HighWatermark != 3 || r.LastStable != 3 || r.LogStart != 0 {
				t.Errorf("from %d: %+v", c.from, r)
			}
			r.Extent.Release()
		}
		changed := p.Changed()
		close(hang)
		<-changed
		if err := pending.Wait(t.Context()); err != nil || p.HighWatermark() != 4 || marks(t, p).Undecided != 4 {
			t.Errorf("after the sync: high watermark %d, %v", p.HighWatermark(), err)
		}
		closeNode(t, n)
	})
}

func TestPartitionSaysWhoItIs(t *testing.T) {
	n := openNode(t, vfs.NewMem())
	made := create(t, n, "t", 2)
	p, err := n.PartitionByID(made.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	if p.Topic() != "t" || p.TopicID() != made.ID || p.ID() != 1 || p.LeaderEpoch() != 0 {
		t.Errorf("%s %x %d %d %s", p.Topic(), p.TopicID(), p.ID(), p.LeaderEpoch(), p.name())
	}
}

func TestSetListeners(t *testing.T) {
	n := openNode(t, vfs.NewMem())
	before := n.Image()
	want := Endpoint{Name: "EXTERNAL", Host: "example.com", Port: 9094}
	if err := n.SetListeners(t.Context(), []Endpoint{want}); err != nil {
		t.Fatal(err)
	}
	if b, ok := n.Image().Broker(n.ID()); !ok || len(b.Endpoints) != 1 || b.Endpoints[0] != want {
		t.Errorf("the broker is at %+v", b.Endpoints)
	}
	if b, _ := before.Broker(n.ID()); b.Endpoints[0] == want {
		t.Error("an image changed after it was handed out")
	}
}

// TestConfigsOfOtherReleases: a config that is refused today does not keep its
// topic's data away, and what can be in force is.
func TestConfigsOfOtherReleases(t *testing.T) {
	n := openNode(t, vfs.NewMem())
	c := n.topicConfig(&Topic{Name: "t", Configs: map[string]string{"retention.ms": "5", "of.the.future": "1"}}, n.Defaults())
	if c.RetentionAge != 5*time.Millisecond {
		t.Errorf("records are kept for %v", c.RetentionAge)
	}
	if _, err := n.TopicConfig(map[string]string{"of.the.future": "1"}); err == nil {
		t.Error("and it is not refused")
	}
}

// TestAppendToBrokersDefault: APPEND begins with what the broker has where the
// topic says nothing.
func TestAppendToBrokersDefault(t *testing.T) {
	n := openNode(t, vfs.NewMem(), func(o *Options) {
		c, err := engine.DefaultConfig().With(map[string]string{"cleanup.policy": "compact"})
		if err != nil {
			t.Fatal(err)
		}
		o.Defaults = c
	})
	create(t, n, "t", 1)
	more := "delete"
	rs, err := n.AlterConfigs(t.Context(), []ConfigChange{{Topic: "t", Ops: []ConfigOp{{Name: "cleanup.policy", Op: controller.OpAppend, Value: &more}}}}, false)
	if err != nil || rs[0].Err != nil {
		t.Fatal(rs, err)
	}
	if got := n.Image().TopicByName("t").Configs["cleanup.policy"]; got != "compact,delete" {
		t.Errorf("cleanup.policy is %q", got)
	}
}

// TestRaftSpeaksAtDebug: what raft says is there for who asks, and only then.
func TestRaftSpeaksAtDebug(t *testing.T) {
	for level, want := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelDebug: true} {
		var said bytes.Buffer
		n := openNode(t, vfs.NewMem(), func(o *Options) {
			o.Logger = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: level}))
		})
		closeNode(t, n)
		if got := strings.Contains(said.String(), "entering leader state"); got != want {
			t.Errorf("at %v raft speaks: %v, want %v", level, got, want)
		}
	}
}
