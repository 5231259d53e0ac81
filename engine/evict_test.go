package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// retentionNamed returns a retention of the table.
func retentionNamed(t *testing.T, name string) engine.Retention {
	t.Helper()
	i := slices.IndexFunc(engine.Retentions, func(r engine.Retention) bool { return r.Name == name })
	if i < 0 {
		t.Fatalf("there is no retention %q", name)
	}
	return engine.Retentions[i]
}

func TestRetentionDiskEvicts(t *testing.T) {
	// segments of 60 bytes, by the hour of their newest record
	segments := func(hours ...int) (s []engine.SegmentStat) {
		for _, h := range hours {
			s = append(s, engine.SegmentStat{Bytes: 60, Newest: time.Unix(int64(h)*3600, 0)})
		}
		return s
	}
	for _, c := range []struct {
		what string
		used int64
		logs []engine.Evictable
		want []int
	}{
		{"nothing is too full", 800, []engine.Evictable{{segments(1, 4), 0.8}, {segments(2, 3), 0.8}}, []int{0, 0}},
		{"the oldest of all", 801, []engine.Evictable{{segments(2, 3), 0.8}, {segments(1, 4), 0.8}}, []int{0, 1}},
		{"the oldest of each", 900, []engine.Evictable{{segments(1, 4), 0.8}, {segments(2, 3), 0.8}}, []int{1, 1}},
		{"two of one", 900, []engine.Evictable{{segments(3, 4), 0.8}, {segments(1, 2), 0.8}}, []int{0, 2}},
		{"all there are, and it is not enough", 1000, []engine.Evictable{{segments(1), 0.8}, {nil, 0.8}, {segments(2), 0.8}}, []int{1, 0, 1}},
		{"each to its own share", 900, []engine.Evictable{{segments(1, 2, 3), 0.95}, {segments(8, 9), 0.85}}, []int{0, 1}},
		{"a log goes in order", 900, []engine.Evictable{{segments(5, 1, 1), 0.8}, {segments(2, 6), 0.8}}, []int{1, 1}},
		{"of one age, in order", 850, []engine.Evictable{{segments(1, 1, 1), 0.8}}, []int{1}},
		{"no logs", 1000, nil, []int{}},
	} {
		if got := retentionNamed(t, "disk").Evict(engine.DiskUse{Size: 1000, Used: c.used}, c.logs); !slices.Equal(got, c.want) {
			t.Errorf("%s: drops %v, want %v", c.what, got, c.want)
		}
	}
}

// crowded is a store of three logs with about ten segments each, on a disk that
// they fill: two keep to a share of it, one does not.
func crowded(t *testing.T, mem *vfs.Mem) (*engine.Store, map[string]*engine.Log) {
	t.Helper()
	s := openStore(t, mem, "/data")
	logs := map[string]*engine.Log{}
	for i, name := range []string{"old-0", "new-0", "other-0"} {
		c := smallConfig(engine.DefaultDesign)
		c.Design.Retention, c.Design.Index = "disk", "none"
		if name == "other-0" {
			c.Design.Retention = "time+size"
		}
		logs[name] = create(t, s, name, c)
		for n := range 150 {
			mustAppend(t, logs[name], records(5, fmt.Sprintf("%s %d", name, n), int64(1_000_000*i+1000*n)))
		}
	}
	fill90(t, mem)
	return s, logs
}

// fill90 makes the disk so small that it is nine tenths full.
func fill90(t *testing.T, mem *vfs.Mem) {
	t.Helper()
	u, err := mem.Usage("/data")
	if err != nil {
		t.Fatal(err)
	}
	mem.SetCapacity(int64(u.Size-u.Free) * 10 / 9)
}

// The log with the oldest records gives room first, but never its last segment; a
// log with another retention gives none.
func TestRetentionDisk(t *testing.T) {
	mem := vfs.NewMem()
	s, logs := crowded(t, mem)
	before := map[string]int{}
	for name, l := range logs {
		before[name] = len(l.Segments())
	}
	left := func(share float64) map[string]int {
		t.Helper()
		for _, name := range []string{"old-0", "new-0"} {
			c := logs[name].Config()
			c.DiskShare = share
			if err := logs[name].SetConfig(c); err != nil {
				t.Fatal(err)
			}
		}
		s.Tick(time0)
		n := map[string]int{}
		for name, l := range logs {
			n[name] = len(l.Segments())
			if m := l.Marks(); m.End != 750 {
				t.Errorf("%s ends at %d", name, m.End)
			}
			readAll(t, l, l.Marks().Start, 750, 1000)
		}
		return n
	}
	if got := left(0.95); got["old-0"] != before["old-0"] || got["new-0"] != before["new-0"] {
		t.Errorf("a disk that is nine tenths full lost segments: %v of %v", got, before)
	}
	got := left(0.75)
	if got["old-0"] >= before["old-0"] || got["old-0"] < 2 || got["new-0"] != before["new-0"] {
		t.Errorf("of %v there are %v left: want some of the older log's gone", before, got)
	}
	u, err := mem.Usage("/data")
	if err != nil {
		t.Fatal(err)
	}
	if full := 1 - float64(u.Free)/float64(u.Size); full > 0.75 || full < 0.65 {
		t.Errorf("the disk is %.0f %% full, want at most 75, and not much less", 100*full)
	}
	if got := left(0.01); got["old-0"] != 1 || got["new-0"] != 1 || got["other-0"] != before["other-0"] {
		t.Errorf("of %v there are %v left: want the last segments of two logs, and all of the third", before, got)
	}
	closeStore(t, s, logs["old-0"], logs["new-0"], logs["other-0"])
}

// After a restart, when ages come from indexes, what is to go is looked at first,
// and the order is the same.
func TestRetentionDiskAfterRestart(t *testing.T) {
	mem := vfs.NewMem()
	s, logs := crowded(t, mem)
	c := logs["old-0"].Config()
	before := len(logs["new-0"].Segments())
	mem.SetCapacity(-1)
	closeStore(t, s)
	s = openStore(t, mem, "/data")
	fill90(t, mem)
	c.DiskShare = 0.8
	old, fresh := reopen(t, s, "old-0", c), reopen(t, s, "new-0", c)
	s.Tick(time0)
	if old.Marks().Start == 0 || len(fresh.Segments()) != before {
		t.Errorf("the older log starts at %d, the newer has %d of %d segments", old.Marks().Start, len(fresh.Segments()), before)
	}
	mem.SetCapacity(-1)
	closeStore(t, s, old, fresh)
}

// What is not acknowledged yet does not go, however full the disk is.
func TestRetentionDiskKeepsUnacknowledged(t *testing.T) {
	mem, gate := vfs.NewMem(), make(chan struct{})
	var slow atomic.Bool
	s := openStore(t, vfs.NewInject(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && slow.Load() && strings.HasPrefix(op.Path, "/data/t-0/") {
			<-gate
		}
		return nil
	}), "/data")
	c := smallConfig(engine.DefaultDesign)
	c.Design.Retention, c.DiskShare = "disk", 0.000001
	l := create(t, s, "t-0", c)
	for range 20 {
		mustAppend(t, l, records(5, "acknowledged", 1))
	}
	slow.Store(true)
	for range 40 {
		if _, err := appendSpec(l, records(5, "not yet", 1)); err != nil {
			t.Fatal(err)
		}
	}
	u, err := mem.Usage("/data")
	if err != nil {
		t.Fatal(err)
	}
	mem.SetCapacity(int64(u.Size - u.Free))
	ticked := make(chan struct{})
	go func() { s.Tick(time0); close(ticked) }()
	for changed := l.Changed(); l.Marks().Start == 0; changed = l.Changed() {
		<-changed
	}
	if m := l.Marks(); m.Start > m.Acked || m.Acked != 100 {
		t.Errorf("marks are %+v: want what was acknowledged gone, and no more", m)
	}
	mem.SetCapacity(-1)
	close(gate)
	<-ticked
	closeStore(t, s, l)
}
