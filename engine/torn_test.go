package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A log whose last records were deleted before they reached the disk goes on where
// it starts, and a second crash may leave what was to be cut off before that. None
// of it is damage: what it would have held was deleted.
func TestReserveBeforeTheStartIsNoDamage(t *testing.T) {
	mem := vfs.NewMem()
	s := openStore(t, mem, "/data")
	c := engine.DefaultConfig()
	l := create(t, s, "t-0", c)
	if _, err := appendSpec(l, records(20, "x", 1)); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s, l)
	name := func(at int, suffix string) string { return path.Join("/data/t-0", fmt.Sprintf("%020d%s", at, suffix)) }
	producers, err := vfs.ReadFile(mem, name(20, ".snapshot"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	f, err := mem.Open(name(0, ".log"))
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([][]byte{make([]byte, 5000)}, size)
	if err := errors.Join(err, f.Close(), mem.Remove("/data/.kafka_cleanshutdown"),
		vfs.WriteFile(mem, name(30, ".log"), nil), vfs.WriteFile(mem, name(30, ".snapshot"), producers),
		engine.WriteCheckpoint(mem, "/data", "recovery-point-offset-checkpoint", engine.Checkpoint{"t-0": 10}),
		engine.WriteCheckpoint(mem, "/data", "log-start-offset-checkpoint", engine.Checkpoint{"t-0": 30})); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, mem, "/data")
	l = reopen(t, s, "t-0", c)
	if m := l.Marks(); m.Start != 30 || m.End != 30 {
		t.Errorf("%+v, want a log that starts and ends at 30", m)
	}
	if d := l.Damage(); len(d) > 0 {
		t.Errorf("quarantined: %+v", d)
	}
	closeStore(t, s, l)
}

// A checkpoint writes down what producers sent, and the next append begins a segment
// right there. Until the segment before is synced nothing may say that it was: what a
// crash tears off it then is no damage.
func TestCheckpointProvesNoSync(t *testing.T) {
	mem := vfs.NewMem()
	var held atomic.Bool
	release := make(chan struct{})
	s := openStore(t, vfs.NewInject(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && held.Load() && strings.HasSuffix(op.Path, "0000.log") {
			<-release
		}
		return nil
	}), "/data")
	d := engine.DefaultDesign
	d.Sync = "none"
	c := smallConfig(d)
	l := create(t, s, "t-0", c)
	send := func(sequence int32) int64 {
		spec := records(5, strings.Repeat("x", 60), 1)
		spec.ProducerID, spec.ProducerEpoch, spec.BaseSequence = 7, 0, sequence
		return mustAppend(t, l, spec).Next
	}
	size := c.SegmentBytes / int64(len(records(5, strings.Repeat("x", 60), 1).Bytes()))
	end := int64(0)
	for range size {
		end = send(int32(end))
	}
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	held.Store(true)
	if send(int32(end)); len(l.Segments()) != 2 || l.Segments()[1].Base != end {
		t.Fatalf("segments are %+v, want the second to begin at %d", l.Segments(), end)
	}
	var states []*vfs.Mem
	for seed := range uint64(100) {
		states = append(states, mem.Crash(rand.New(rand.NewPCG(seed, 6)), 50))
	}
	close(release)
	closeStore(t, s, l)
	for seed, left := range states {
		s := openStore(t, left, "/data")
		l := reopen(t, s, "t-0", c)
		if d := l.Damage(); len(d) > 0 {
			t.Fatalf("crash %d: quarantined: %+v", seed, d)
		}
		closeStore(t, s, l)
	}
}
