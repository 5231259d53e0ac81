package replication

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication/quorum"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// coolAll closes the logs of all partitions that nobody uses.
func coolAll(t *testing.T, n *Node) {
	t.Helper()
	for range 2 { // a partition that was used is spared once
		n.coolIdle(t.Context())
	}
	if open := n.warm.len(); open > 0 {
		t.Errorf("%d logs are open though nobody uses them", open)
	}
}

// openFiles counts this process's descriptors of files below dir.
func openFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("descriptors are counted in /proc")
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, dir+"/") {
			n++
		}
	}
	return n
}

// Partitions that nobody uses hold no file and no goroutine: a node with many has
// as many of both as one with none.
func TestIdlePartitionsHoldNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	const partitions = 60
	open := func() *Node { return openNode(t, vfs.OS{}, func(o *Options) { o.Dir = dir }) }
	n := open()
	files, goroutines := openFiles(t, dir), runtime.NumGoroutine()
	create(t, n, "t", partitions)
	for i := range int32(partitions) {
		produce(t, n, "t", i, fmt.Sprint("value ", i))
	}
	coolAll(t, n)
	check := func(when string) {
		t.Helper()
		// Workers of the committer stay, a bounded number.
		if f, g := openFiles(t, dir), runtime.NumGoroutine(); f > files || g > goroutines+16 {
			t.Errorf("%s: %d files and %d goroutines; without partitions %d and %d", when, f, g, files, goroutines)
		}
	}
	check("after use")
	closeNode(t, n)
	n = open()
	check("after a clean stop")
	for i := range int32(partitions) {
		if got := consume(t, n, "t", i); len(got) != 1 || got[0] != fmt.Sprint("value ", i) {
			t.Errorf("partition %d has %q", i, got)
		}
	}
	coolAll(t, n)
	check("after reading")
}

// A start after a clean stop touches no partition's directory, and a stop touches
// those that were used.
func TestStartLeavesPartitionsAlone(t *testing.T) {
	disk := vfs.NewMem()
	n := openNode(t, disk)
	create(t, n, "t", 10)
	produce(t, n, "t", 3, "v")
	closeNode(t, n)
	var trace bytes.Buffer
	n = openNode(t, vfs.NewTrace(disk, &trace))
	if strings.Contains(trace.String(), "/data/t-") {
		t.Errorf("the start did\n%s", &trace)
	}
	produce(t, n, "t", 7, "v")
	trace.Reset()
	closeNode(t, n)
	for line := range strings.Lines(trace.String()) {
		if strings.Contains(line, "/data/t-") && !strings.Contains(line, "/data/t-7") {
			t.Errorf("the stop did %s", line)
		}
	}
}

// A partition that was never used is nothing on the disk, whatever else is done,
// until it is used; and then it is there alone.
func TestUnusedPartitionsAreNothing(t *testing.T) {
	disk := vfs.NewMem()
	n := openNode(t, disk)
	create(t, n, "t", 20)
	check := func(when string, want ...string) {
		t.Helper()
		n.lookAtCold(t.Context())
		n.recoverAll(t.Context())
		n.tick(t.Context())
		n.coolIdle(t.Context())
		if err := n.scrubOne(t.Context(), n.ColdPartition(n.Image().TopicByName("t").ID, 19), pacer(1<<30), new(engine.Scrubbed)); err != nil {
			t.Fatal(err)
		}
		got, err := n.store.Names()
		if err != nil || !slices.Equal(got, append([]string{metadataLog}, want...)) {
			t.Errorf("%s: there are %q, want %q (%v)", when, got, want, err)
		}
		for p := range n.table.Load().all() {
			if size, err := p.Bytes(); err != nil || (p.disk.Load() == absent) == slices.Contains(want, p.name()) {
				t.Errorf("%s: %s is known as %d, of %d bytes (%v)", when, p.name(), p.disk.Load(), size, err)
			}
		}
	}
	check("made")
	produce(t, n, "t", 7, "v")
	check("one was used", "t-7")
	killed := disk.Kill()
	closeNode(t, n)
	for _, disk = range []*vfs.Mem{disk, killed} {
		n = openNode(t, disk)
		check("after a start", "t-7")
		produce(t, n, "t", 3, "v")
		check("another was used", "t-3", "t-7")
		closeNode(t, n)
	}
}

// A log that is closed and opened under everybody's hands loses nothing, and
// nobody notices.
func TestCoolingIsNotNoticed(t *testing.T) {
	n := openNode(t, vfs.NewMem())
	create(t, n, "t", 2)
	var ended atomic.Bool
	var wg sync.WaitGroup
	until := func(f func() error) {
		wg.Go(func() {
			for !ended.Load() {
				if err := f(); err != nil {
					t.Error(err)
					ended.Store(true)
				}
			}
		})
	}
	alter := func() error {
		v := fmt.Sprint(1000 + rand.IntN(1000))
		_, err := n.AlterConfigs(t.Context(), []ConfigChange{{Topic: "t", Ops: []ConfigOp{{Name: "retention.ms", Value: &v}}}}, false)
		return err
	}
	if err := alter(); err != nil { // also where nobody gets to it below
		t.Fatal(err)
	}
	var sent [2]atomic.Int64
	for i := range int32(2) {
		p, err := n.Partition("t", i)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			until(func() error {
				pending, err := p.Append(set(t, "v"), quorum.All, AnyEpoch)
				if err == nil {
					err = pending.Wait(t.Context())
				}
				sent[i].Add(1)
				if err == nil && p.HighWatermark() <= pending.Base {
					err = fmt.Errorf("high watermark %d after offset %d was acknowledged", p.HighWatermark(), pending.Base)
				}
				return err
			})
		}
		until(func() error {
			changed := p.Changed()
			r, err := p.Read(t.Context(), ReadRequest{From: rand.Int64N(p.HighWatermark() + 1), MaxBytes: 1000, AtLeastOne: true, LeaderEpoch: AnyEpoch})
			r.Extent.Release()
			select {
			case <-changed:
			default:
			}
			return err
		})
		until(func() error {
			some := p.HighWatermark() > 0
			return p.With(func(l *engine.Log) error {
				if _, found, err := l.NewestTime(); err != nil || found || !some {
					return err
				}
				return errors.New("no record has a time")
			})
		})
		until(func() error {
			p.cool()
			return nil
		})
		until(alter)
	}
	for sent[0].Load() < 300 || sent[1].Load() < 300 {
		if ended.Load() {
			break
		}
		runtime.Gosched()
	}
	ended.Store(true)
	wg.Wait()
	for i := range int32(2) {
		if got := consume(t, n, "t", i); int64(len(got)) != sent[i].Load() {
			t.Errorf("partition %d has %d records of %d", i, len(got), sent[i].Load())
		}
		l, err := n.ColdPartition(n.Image().TopicByName("t").ID, i).Log()
		if err != nil {
			t.Fatal(err)
		}
		if want := n.Image().TopicByName("t").Configs["retention.ms"]; fmt.Sprint(l.Config().RetentionAge.Milliseconds()) != want {
			t.Errorf("the log has retention.ms %d, the topic %s", l.Config().RetentionAge.Milliseconds(), want)
		}
	}
}

// Deleting a topic waits for nobody's log, and nobody opens it again.
func TestDeleteColdTopic(t *testing.T) {
	n := openNode(t, vfs.NewMem())
	create(t, n, "t", 3)
	coolAll(t, n)
	p := n.ColdPartition(n.Image().TopicByName("t").ID, 1)
	if rs, err := n.DeleteTopics(t.Context(), []TopicRef{{Name: "t"}}); err != nil || rs[0].Err != nil {
		t.Fatal(rs, err)
	}
	if _, err := p.Append(set(t, "v"), quorum.All, AnyEpoch); !errors.Is(err, ErrUnknownTopic) {
		t.Errorf("an append to a deleted topic: %v", err)
	}
	create(t, n, "t", 3)
	produce(t, n, "t", 1, "new")
	coolAll(t, n)
	if got := consume(t, n, "t", 1); len(got) != 1 || got[0] != "new" {
		t.Errorf("the new topic has %q", got)
	}
}

// Retention comes to logs that nobody uses.
func TestRetentionOfColdLogs(t *testing.T) {
	disk := vfs.NewMem()
	n := openNode(t, disk)
	create(t, n, "t", 2)
	produce(t, n, "t", 0, "of 1970")
	closeNode(t, n)
	for _, opened := range []bool{false, true} {
		n = openNode(t, disk)
		if opened {
			produce(t, n, "t", 1, "of 1970, too")
			coolAll(t, n)
		}
		n.lookAtCold(t.Context())
		n.lookAtCold(t.Context())
		id := int32(0)
		if opened {
			id = 1
		}
		p := n.ColdPartition(n.Image().TopicByName("t").ID, id)
		if p.open.Load() != nil {
			t.Error("the log was left open")
		}
		l, err := p.Log()
		if err != nil {
			t.Fatal(err)
		}
		if m := l.Marks(); m.Start != 1 || m.End != 1 {
			t.Errorf("a record that is too old is there: %+v", m)
		}
		closeNode(t, n)
	}
}

// After a crash a damaged log is found without being asked for, and its error
// is that of its partition alone.
func TestRecoveryInTheBackground(t *testing.T) {
	disk := vfs.NewMem()
	n := openNode(t, disk)
	create(t, n, "t", 20)
	for i := range int32(20) {
		produce(t, n, "t", i, "v")
	}
	killed := disk.Kill()
	closeNode(t, n)
	if err := killed.Remove("/data/t-5/partition.metadata"); err != nil {
		t.Fatal(err)
	}
	f, err := killed.Create("/data/t-5/partition.metadata")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, killed)
	n.recoverAll(t.Context())
	for p := range n.table.Load().all() {
		if want := p.id == 5; p.Offline() != want {
			t.Errorf("partition %d is offline: %v", p.id, p.Offline())
		}
	}
	if _, err := n.Partition("t", 5); !errors.Is(err, ErrOffline) {
		t.Errorf("the damaged one: %v", err)
	}
	if got := consume(t, n, "t", 6); len(got) != 1 {
		t.Errorf("its neighbour has %q", got)
	}
	closeNode(t, n)
	if _, err := killed.Stat("/data/.kafka_cleanshutdown"); err == nil {
		t.Error("a log was never recovered, and the stop was called clean")
	}
	var damaged *engine.CorruptError
	if err := n.ColdPartition(n.Image().TopicByName("t").ID, 5).offline(); !errors.As(err, &damaged) {
		t.Errorf("offline because of %v", err)
	}
}
