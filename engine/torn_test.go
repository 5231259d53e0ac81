package engine_test

import (
	"errors"
	"fmt"
	"path"
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
