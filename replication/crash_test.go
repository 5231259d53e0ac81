package replication

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbin-log/bobbin/replication/quorum"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// program is a history of topics, and what of it was acknowledged when the
// process died.
type program struct {
	n *Node
	// exists is by name whether a topic must be there (true), must not (false),
	// or may be either way (absent).
	exists map[string]bool
	// values are the acknowledged records of the first partition, while the
	// topic must be there.
	values map[string][]string
}

// step runs one command. While it runs nothing is promised of the topic; once it
// is acknowledged, this is.
func (p *program) step(name string, exists bool, command func() ([]TopicResult, error)) bool {
	delete(p.exists, name)
	delete(p.values, name)
	rs, err := command()
	if err != nil || rs[0].Err != nil {
		return false
	}
	p.exists[name] = exists
	return true
}

func (p *program) create(ctx context.Context, name string, partitions int32) bool {
	return p.step(name, true, func() ([]TopicResult, error) {
		return p.n.CreateTopics(ctx, []TopicSpec{{Name: name, Partitions: partitions, Replication: 1}}, false)
	})
}

func (p *program) delete(ctx context.Context, name string) bool {
	return p.step(name, false, func() ([]TopicResult, error) {
		return p.n.DeleteTopics(ctx, []TopicRef{{Name: name}})
	})
}

func (p *program) produce(ctx context.Context, t *testing.T, name, value string) bool {
	partition, err := p.n.Partition(name, 0)
	if err != nil {
		return false
	}
	pending, err := partition.Append(set(t, value), quorum.All, AnyEpoch)
	if err != nil || pending.Wait(ctx) != nil {
		return false
	}
	p.values[name] = append(p.values[name], value)
	return true
}

// run goes on until a command is refused.
func (p *program) run(ctx context.Context, t *testing.T) (done bool) {
	return p.create(ctx, "a", 2) &&
		p.produce(ctx, t, "a", "a1") &&
		p.create(ctx, "b", 3) &&
		p.delete(ctx, "a") &&
		p.produce(ctx, t, "b", "b1") &&
		p.create(ctx, "a", 1) &&
		p.produce(ctx, t, "a", "a2") &&
		p.delete(ctx, "b")
}

// TestTopicsAreAtomic kills a broker, and cuts its power, after every single
// operation on the disk: a topic is there with all of its partitions or not at
// all, what was acknowledged holds, and nothing is left behind.
func TestTopicsAreAtomic(t *testing.T) {
	cut := 0
	for more := true; more && !t.Failed(); cut++ {
		var p *program
		var killed *vfs.Mem
		synctest.Test(t, func(t *testing.T) { p, killed, more = crashAfter(t, cut) })
		for keep, disk := range map[string]*vfs.Mem{
			"kill -9":          killed,
			"nothing unsynced": killed.Crash(nil, 0),
			"half of it":       killed.Crash(rand.New(rand.NewPCG(1, uint64(cut))), 50),
			"another half":     killed.Crash(rand.New(rand.NewPCG(2, uint64(cut))), 50),
			"all of it":        killed.Crash(nil, 100),
		} {
			t.Run(fmt.Sprintf("cut=%d/keep=%s", cut, keep), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { p.checkAfter(t, disk) })
			})
		}
	}
	if cut < 50 {
		t.Errorf("the program has %d operations only", cut)
	}
}

// crashAfter runs the program until the process dies, and returns what it left.
func crashAfter(t *testing.T, cut int) (p *program, killed *vfs.Mem, died bool) {
	disk, stop := vfs.NewMem(), vfs.StopAfter(cut)
	p = &program{exists: map[string]bool{}, values: map[string][]string{}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var err error
	p.n, err = Open(ctx, Options{FS: vfs.NewInject(disk, stop.Before), Dir: "/data", NodeID: 1})
	done := err == nil && p.run(ctx, t)
	if !done && !stop.Stopped() {
		t.Fatalf("the program did not come to its end: %v", err)
	}
	killed, died = disk.Kill(), stop.Stopped()
	if p.n != nil {
		_ = p.n.Close() // nothing of it reaches the disk if the process died
	}
	return p, killed, died
}

// checkAfter opens what a crash left and holds it against the promises.
func (p *program) checkAfter(t *testing.T, disk *vfs.Mem) {
	o := testOptions(t, disk)
	o.Logger = nil
	n, err := Open(t.Context(), o)
	if err != nil {
		t.Fatalf("does not open: %v", err)
	}
	defer n.Close()
	image := n.Image()
	for name, exists := range p.exists {
		if (image.TopicByName(name) != nil) != exists {
			t.Errorf("topic %s is there: %v, was acknowledged: %v", name, !exists, exists)
		}
	}
	var want []string
	for topic := range image.Topics() {
		for i := range topic.Partitions {
			if _, err := n.Partition(topic.Name, int32(i)); err != nil {
				t.Errorf("topic %s is there without partition %d: %v", topic.Name, i, err)
			}
			want = append(want, logName(topic.Name, int32(i)))
		}
		if acked := p.values[topic.Name]; len(acked) > 0 {
			if got := consume(t, n, topic.Name, 0); !slices.Equal(got, acked) {
				t.Errorf("%s has %q, acknowledged were %q", topic.Name, got, acked)
			}
		}
	}
	want = append(want, metadataLog)
	slices.Sort(want)
	if got, err := n.store.Names(); err != nil || !slices.Equal(got, want) {
		t.Errorf("directories %q, want %q (%v)", got, want, err)
	}
	if left := image.DeletedTopics(); len(left) > 0 && len(n.Image().DeletedTopics()) > 0 {
		t.Errorf("deleted topics were not forgotten: %x", left)
	}
	// And life goes on.
	for _, name := range []string{"a", "b"} {
		if _, err := n.DeleteTopics(t.Context(), []TopicRef{{Name: name}}); err != nil {
			t.Error(err)
		}
	}
	create(t, n, "a", 2)
	produce(t, n, "a", 1, "new")
	if err := n.Close(); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
}
