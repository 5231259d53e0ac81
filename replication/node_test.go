package replication

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication/quorum"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// openNode opens a node that is closed with the test, if it still runs then.
func openNode(t *testing.T, fs vfs.FS, change ...func(*Options)) *Node {
	t.Helper()
	o := testOptions(t, fs)
	for _, c := range change {
		c(&o)
	}
	n, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return n
}

func testOptions(t *testing.T, fs vfs.FS) Options {
	return Options{
		FS: fs, Dir: "/data", NodeID: 1,
		Listeners: []Endpoint{{Name: "PLAINTEXT", Host: "127.0.0.1", Port: 9092}},
		// What is due of records of 1970 is done when a test does it, and not when it
		// has taken five minutes.
		RetentionCheck: 24 * time.Hour,
		Logger:         slog.New(slog.NewTextHandler(t.Output(), nil)),
		Fatal:          func(err error) { t.Errorf("fatal: %v", err) },
	}
}

func create(t *testing.T, n *Node, name string, partitions int32) TopicResult {
	t.Helper()
	rs, err := n.CreateTopics(t.Context(), []TopicSpec{{Name: name, Partitions: partitions, Replication: -1}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if rs[0].Err != nil {
		t.Fatal(rs[0].Err)
	}
	return rs[0]
}

func produce(t *testing.T, n *Node, topic string, partition int32, values ...string) quorum.Pending {
	t.Helper()
	p, err := n.Partition(topic, partition)
	if err != nil {
		t.Fatal(err)
	}
	pending, err := p.Append(set(t, values...), quorum.All, AnyEpoch)
	if err == nil {
		err = pending.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return pending
}

func marks(t *testing.T, p *Partition) engine.Marks {
	t.Helper()
	l, err := p.Log()
	if err != nil {
		t.Fatal(err)
	}
	return l.Marks()
}

func set(t *testing.T, values ...string) batch.Set {
	t.Helper()
	var rs []batch.Record
	for _, v := range values {
		rs = append(rs, batch.Record{Timestamp: 1, Value: []byte(v)})
	}
	s, err := batch.Parse(batch.Of(rs...).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// consume reads everything below the high watermark.
func consume(t *testing.T, n *Node, topic string, partition int32) (values []string) {
	t.Helper()
	p, err := n.Partition(topic, partition)
	if err != nil {
		t.Fatal(err)
	}
	for from := marks(t, p).Start; from < p.HighWatermark(); {
		r, err := p.Read(t.Context(), ReadRequest{From: from, MaxBytes: 1 << 20, AtLeastOne: true, LeaderEpoch: AnyEpoch})
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, r.Extent.Len())
		_, _ = r.Extent.ReadAt(buf, 0)
		r.Extent.Release()
		for b, rest, err := batch.Next(buf); !errors.Is(err, batch.ErrTruncated); b, rest, err = batch.Next(rest) {
			if err == nil {
				err = b.Check()
			}
			if err != nil {
				t.Fatal(err)
			}
			for record, err := range b.Records(0) {
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, string(record.Value))
			}
			from = b.NextOffset()
		}
	}
	return values
}

func TestNodeServesAndRestarts(t *testing.T) {
	fs := vfs.NewMem()
	n := openNode(t, fs)
	made := create(t, n, "orders", 3)
	if p := produce(t, n, "orders", 2, "a", "b"); p.Base != 0 || p.Next != 2 {
		t.Errorf("appended at [%d, %d), want [0, 2)", p.Base, p.Next)
	}
	cluster := n.ClusterID()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, fs)
	if got := consume(t, n, "orders", 2); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("after a restart: %q", got)
	}
	image := n.Image()
	topic := image.TopicByID(made.ID)
	switch {
	case image.ClusterID != cluster || n.ClusterID() != cluster:
		t.Errorf("cluster id %q became %q", cluster, image.ClusterID)
	case topic == nil || topic != image.TopicByName("orders") || len(topic.Partitions) != 3:
		t.Errorf("topic after a restart: %+v", topic)
	case len(image.Brokers) != 1 || image.Brokers[0].Endpoints[0].Port != 9092 || image.ControllerID != 1:
		t.Errorf("brokers after a restart: %+v", image.Brokers)
	}
	produce(t, n, "orders", 2, "c")
	if got := consume(t, n, "orders", 2); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("after a restart: %q", got)
	}
}

func TestNodeDeleteAndRecreate(t *testing.T) {
	fs := vfs.NewMem()
	n := openNode(t, fs)
	old := create(t, n, "t", 1)
	produce(t, n, "t", 0, "old")
	p, _ := n.Partition("t", 0)
	changed := p.Changed()
	rs, err := n.DeleteTopics(t.Context(), []TopicRef{{Name: "t"}})
	if err != nil || rs[0].Err != nil || rs[0].ID != old.ID {
		t.Fatalf("delete: %+v, %v", rs, err)
	}
	<-changed // a long poll must wake up
	if _, err := p.Append(set(t, "late"), quorum.All, AnyEpoch); !errors.Is(err, ErrUnknownTopic) {
		t.Errorf("append to a deleted topic: %v, want ErrUnknownTopic", err)
	}
	if _, err := n.Partition("t", 0); !errors.Is(err, ErrUnknownTopic) {
		t.Errorf("found a deleted topic: %v", err)
	}
	if _, err := n.PartitionByID(old.ID, 0); !errors.Is(err, ErrUnknownTopicID) {
		t.Errorf("found a deleted topic by id: %v", err)
	}
	created := create(t, n, "t", 1)
	if created.ID == old.ID {
		t.Error("the new topic has the old one's id")
	}
	if got := consume(t, n, "t", 0); len(got) != 0 {
		t.Errorf("the new topic has the old one's records: %q", got)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, fs)
	if _, err := n.PartitionByID(created.ID, 0); err != nil {
		t.Error(err)
	}
	if left := n.Image().DeletedTopics(); len(left) != 0 {
		t.Errorf("deleted topics remembered after a restart: %x", left)
	}
}

func TestNodeProducerIDsNeverRepeat(t *testing.T) {
	fs := vfs.NewMem()
	seen := map[int64]bool{}
	for run := range 3 {
		n := openNode(t, fs)
		for i := range 1001 {
			id, err := n.NextProducerID(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if seen[id] {
				t.Fatalf("run %d: id %d was handed out twice", run, id)
			}
			seen[id] = true
			_ = i
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPartitionFencesEpochs(t *testing.T) {
	n := openNode(t, vfs.NewMem())
	create(t, n, "t", 1)
	p, _ := n.Partition("t", 0)
	for epoch, want := range map[int32]error{AnyEpoch: nil, 0: nil, 1: ErrUnknownEpoch, -2: ErrFencedEpoch} {
		t.Run(fmt.Sprint("epoch=", epoch), func(t *testing.T) {
			if _, err := p.Append(set(t, "v"), quorum.Leader, epoch); !errors.Is(err, want) {
				t.Errorf("append: %v, want %v", err, want)
			}
			r, err := p.Read(t.Context(), ReadRequest{LeaderEpoch: epoch, MaxBytes: 100})
			if !errors.Is(err, want) {
				t.Errorf("read: %v, want %v", err, want)
			}
			r.Extent.Release()
		})
	}
}
