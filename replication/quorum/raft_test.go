package quorum

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// list is the smallest Machine: it remembers every record.
type list struct{ records []string }

func (l *list) Apply(_ int64, records [][]byte) error {
	for _, r := range records {
		if string(r) == "unreadable" {
			return errors.New("cannot be read")
		}
		l.records = append(l.records, string(r))
	}
	return nil
}

func (l *list) Snapshot(w io.Writer) error {
	_, err := io.WriteString(w, strings.Join(l.records, "\n"))
	return err
}

func (l *list) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	l.records = nil
	if len(b) > 0 {
		l.records = strings.Split(string(b), "\n")
	}
	return err
}

const logName = "__meta-0"

// group is a group of one with everything that it runs on.
type group struct {
	*Raft
	list  *list
	store *engine.Store
	log   *engine.Log
	fatal chan error // what Fatal was told
}

func logConfig() engine.Config {
	c := engine.DefaultConfig()
	c.Design = engine.Design{Segment: "file", Index: "mmap", Sync: "always", Retention: "keep"}
	c.SegmentBytes, c.IndexBytes = 64<<10, 4<<10
	return c
}

func openGroup(t testing.TB, fs vfs.FS, change ...func(*RaftOptions)) (*group, error) {
	t.Helper()
	return openGroupContext(t.Context(), t, fs, change...)
}

func openGroupContext(ctx context.Context, t testing.TB, fs vfs.FS, change ...func(*RaftOptions)) (*group, error) {
	t.Helper()
	g := &group{list: &list{}, fatal: make(chan error, 1)}
	var err error
	g.store, err = engine.OpenStore(engine.StoreOptions{FS: fs, Dir: "/data", NodeID: 1})
	if err != nil {
		return nil, err
	}
	options := engine.LogOptions{Config: logConfig(), First: 1}
	g.log, err = g.store.Open(logName, options)
	if errors.Is(err, engine.ErrNotFound) {
		g.log, err = g.store.Create(logName, options)
	}
	if err == nil {
		o := RaftOptions{
			ID: "1", Log: g.log, FS: fs, Dir: path.Join("/data", logName), Machine: g.list,
			Fatal:  func(err error) { g.fatal <- err },
			Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		}
		for _, c := range change {
			c(&o)
		}
		g.Raft, err = OpenRaft(ctx, o)
	}
	if err != nil {
		return nil, errors.Join(err, g.store.Close())
	}
	return g, nil
}

func mustOpen(t testing.TB, fs vfs.FS, change ...func(*RaftOptions)) *group {
	t.Helper()
	g, err := openGroup(t, fs, change...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.close() })
	return g
}

func (g *group) close() error { return errors.Join(g.Raft.Close(), g.store.Close()) }

func (g *group) add(ctx context.Context, records ...string) error {
	return g.Propose(ctx, func() ([][]byte, error) {
		bs := make([][]byte, len(records))
		for i, r := range records {
			bs[i] = []byte(r)
		}
		return bs, nil
	})
}

func (g *group) mustAdd(t testing.TB, records ...string) {
	t.Helper()
	if err := g.add(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

func (g *group) mustHave(t testing.TB, want ...string) {
	t.Helper()
	if !slices.Equal(g.list.records, want) {
		t.Errorf("the machine has %q, want %q", g.list.records, want)
	}
}

func TestRaftRestarts(t *testing.T) {
	fs := vfs.NewMem()
	g := mustOpen(t, fs)
	g.mustAdd(t, "a", "b")
	g.mustAdd(t, "c")
	if err := g.close(); err != nil {
		t.Fatal(err)
	}
	g = mustOpen(t, fs)
	g.mustHave(t, "a", "b", "c")
	g.mustAdd(t, "d")
	g.mustHave(t, "a", "b", "c", "d")
	if err := g.log.Check(); err != nil {
		t.Error(err)
	}
}

func TestRaftSnapshots(t *testing.T) {
	fs := vfs.NewMem()
	var want []string
	for run := range 4 {
		g := mustOpen(t, fs, func(o *RaftOptions) { o.SnapshotEntries = 4 })
		g.mustHave(t, want...)
		for i := range 10 {
			want = append(want, fmt.Sprintf("run %d record %d", run, i))
			g.mustAdd(t, want[len(want)-1])
		}
		if err := g.Snapshot(); err != nil {
			t.Fatal(err)
		}
		m := g.log.Marks()
		if m.End-m.Start != 4 {
			t.Errorf("%d entries stay in the log, want 4", m.End-m.Start)
		}
		if err := g.close(); err != nil {
			t.Fatal(err)
		}
	}
	names, err := (&snapshotStore{fs: fs, dir: "/data/" + logName}).names()
	if err != nil || len(names) != snapshotsKept || names[0] <= names[1] {
		t.Errorf("snapshots %q (%v), want the newest two", names, err)
	}
	// The newest is damaged: the older one and the log behind it have it all.
	flip(t, fs, path.Join("/data", logName, names[0]), 60)
	_, err = openGroup(t, fs)
	var damaged *engine.CorruptError
	if !errors.As(err, &damaged) || !strings.Contains(err.Error(), "begins at") {
		t.Errorf("a snapshot is lost and the log behind the older one is cut: %v", err)
	}
}

func TestRaftFallsBackToOlderSnapshot(t *testing.T) {
	fs := vfs.NewMem()
	g := mustOpen(t, fs)
	g.mustAdd(t, "a")
	if err := g.Snapshot(); err != nil {
		t.Fatal(err)
	}
	g.mustAdd(t, "b")
	if err := g.Snapshot(); err != nil {
		t.Fatal(err)
	}
	names, _ := (&snapshotStore{fs: fs, dir: "/data/" + logName}).names()
	if err := g.close(); err != nil {
		t.Fatal(err)
	}
	flip(t, fs, path.Join("/data", logName, names[0]), 60)
	mustOpen(t, fs).mustHave(t, "a", "b")
}

// flip damages one byte of a file.
func flip(t *testing.T, fs vfs.FS, name string, pos int64) {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], pos); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt([][]byte{b[:]}, pos); err != nil {
		t.Fatal(err)
	}
}

func TestRaftRefusesDamage(t *testing.T) {
	state := path.Join("/data", logName, stableName)
	for _, c := range []struct {
		name, want string
		damage     func(*testing.T, *vfs.Mem)
	}{
		{"vote flipped", "checksum", func(t *testing.T, m *vfs.Mem) { flip(t, m, state, 20) }},
		{"vote's magic", "does not begin", func(t *testing.T, m *vfs.Mem) { flip(t, m, state, 0) }},
		{"vote of a newer release", "version", func(t *testing.T, m *vfs.Mem) { flip(t, m, state, 5) }},
		{"vote gone", "missing", func(t *testing.T, m *vfs.Mem) {
			if err := m.Remove(state); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := vfs.NewMem()
			g := mustOpen(t, fs)
			g.mustAdd(t, "a")
			if err := g.close(); err != nil {
				t.Fatal(err)
			}
			c.damage(t, fs)
			_, err := openGroup(t, fs)
			var damaged *engine.CorruptError
			if !errors.As(err, &damaged) || damaged.Path != state || !strings.Contains(damaged.Why, c.want) {
				t.Errorf("%v, want a CorruptError about %s that says %q", err, state, c.want)
			}
		})
	}
}

// TestRaftRefusesDamagedLog: an entry that was acknowledged and cannot be read
// any more is named, and nothing is served without it.
func TestRaftRefusesDamagedLog(t *testing.T) {
	fs := vfs.NewMem()
	g := mustOpen(t, fs)
	g.mustAdd(t, "a")
	end := g.log.Bytes()
	g.mustAdd(t, "b")
	if err := g.close(); err != nil {
		t.Fatal(err)
	}
	flip(t, fs, path.Join("/data", logName, "00000000000000000001.log"), end+70)
	_, err := openGroup(t, fs)
	var damaged *engine.CorruptError
	if !errors.As(err, &damaged) {
		t.Errorf("%v, want a CorruptError", err)
	}
}

// TestStartOnFullDisk: a node that starts on a full disk waits until there is
// room, or its caller's patience ends.
func TestStartOnFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		g := mustOpen(t, fs)
		g.mustAdd(t, "a")
		if err := g.close(); err != nil {
			t.Fatal(err)
		}
		full := func(*RaftOptions) {
			use, err := fs.Usage("/")
			if err != nil {
				t.Fatal(err)
			}
			fs.SetCapacity(int64(use.Size - use.Free))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := openGroupContext(ctx, t, fs, full); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want to be given up", err)
		}
		fs.SetCapacity(1 << 30)
		go func() {
			time.Sleep(time.Hour)
			fs.SetCapacity(1 << 30)
		}()
		g, err := openGroup(t, fs, full)
		if err != nil {
			t.Fatal(err)
		}
		g.mustHave(t, "a")
		g.mustAdd(t, "b")
		if err := g.close(); err != nil {
			t.Error(err)
		}
	})
}

func TestProposeErrors(t *testing.T) {
	g := mustOpen(t, vfs.NewMem())
	mine := errors.New("mine")
	if err := g.Propose(t.Context(), func() ([][]byte, error) { return [][]byte{[]byte("x")}, mine }); !errors.Is(err, mine) {
		t.Errorf("decide's error became %v", err)
	}
	if err := g.add(t.Context()); err != nil {
		t.Errorf("a command without records: %v", err)
	}
	if err := g.add(t.Context(), strings.Repeat("x", commandBytesMax)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v, want ErrTooLarge", err)
	}
	g.mustHave(t)

	// While one command is being decided, another's patience ends.
	deciding, decide := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- g.Propose(context.Background(), func() ([][]byte, error) {
			close(deciding)
			<-decide
			return [][]byte{[]byte("first")}, nil
		})
	}()
	<-deciding
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.add(ctx, "impatient"); !errors.Is(err, ErrTimeout) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want ErrTimeout", err)
	}
	close(decide)
	if err := <-first; err != nil {
		t.Error(err)
	}
	g.mustAdd(t, "second")
	g.mustHave(t, "first", "second")
	if err := g.Raft.Close(); err != nil {
		t.Fatal(err)
	}
	if err := g.add(t.Context(), "late"); !errors.Is(err, ErrStopped) {
		t.Errorf("after Close: %v, want ErrStopped", err)
	}
}

// TestFailureEndsTheNode: whatever cannot be stored or applied, the node says so
// once, stops leading, and acknowledges nothing any more.
func TestFailureEndsTheNode(t *testing.T) {
	broken := errors.New("input/output error")
	for _, c := range []struct {
		name   string
		rule   vfs.Rule
		record string
	}{
		{"write", vfs.Rule{Kinds: []vfs.Kind{vfs.OpWrite}, Path: "*.log", Err: broken}, "x"},
		{"sync", vfs.Rule{Kinds: []vfs.Kind{vfs.OpSync}, Path: "*.log", Err: broken}, "x"},
		{"apply", vfs.Rule{Kinds: []vfs.Kind{vfs.OpSync}, Path: "nothing", Err: broken}, "unreadable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := vfs.NewInject(vfs.NewMem(), nil)
			armed := make(chan struct{})
			rules := vfs.Rules(c.rule)
			fs.Before = func(op vfs.Op) error {
				select {
				case <-armed:
					return rules(op)
				default:
					return nil
				}
			}
			g := mustOpen(t, fs)
			g.mustAdd(t, "a")
			close(armed)
			if err := g.add(t.Context(), c.record); err == nil {
				t.Error("a command that was not kept is acknowledged")
			}
			if err := <-g.fatal; err == nil {
				t.Error("no reason was given")
			}
			if err := g.add(t.Context(), "y"); !errors.Is(err, ErrStopped) {
				t.Errorf("%v, want ErrStopped", err)
			}
		})
	}
}

// TestVoteFailureEndsTheNode: a vote that cannot be kept is not cast.
func TestVoteFailureEndsTheNode(t *testing.T) {
	broken := errors.New("input/output error")
	mem := vfs.NewMem()
	g := mustOpen(t, mem)
	if err := g.close(); err != nil {
		t.Fatal(err)
	}
	rule := vfs.Rule{Kinds: []vfs.Kind{vfs.OpRename}, Path: "raft-state*", Err: broken}
	if _, err := openGroup(t, vfs.NewInject(mem, vfs.Rules(rule))); !errors.Is(err, broken) {
		t.Errorf("opened with %v, want %v", err, broken)
	}
	mustOpen(t, mem) // nothing was lost
}

// TestFullDiskHeals: a full disk refuses commands, and ends nothing.
func TestFullDiskHeals(t *testing.T) { synctest.Test(t, testFullDiskHeals) }

func testFullDiskHeals(t *testing.T) {
	fs := vfs.NewMem()
	g := mustOpen(t, fs)
	g.mustAdd(t, "a")
	use, err := fs.Usage("/")
	if err != nil {
		t.Fatal(err)
	}
	fs.SetCapacity(int64(use.Size - use.Free))
	big := strings.Repeat("x", 32<<10)
	if err := g.add(t.Context(), big); !errors.Is(err, engine.ErrNoSpace) {
		t.Fatalf("%v, want ErrNoSpace", err)
	}
	time.Sleep(time.Hour) // it leads no more, and cannot write down a vote
	if err := g.add(t.Context(), "lost"); !errors.Is(err, ErrNotLeader) {
		t.Errorf("on a full disk: %v, want ErrNotLeader", err)
	}
	fs.SetCapacity(1 << 30)
	time.Sleep(10 * time.Second)
	g.mustAdd(t, "b")
	g.mustHave(t, "a", "b")
	select {
	case err := <-g.fatal:
		t.Errorf("a full disk ended the node: %v", err)
	default:
	}
	if err := g.close(); err != nil {
		t.Error(err)
	}
}

// TestAcknowledgedSurvives kills the node and cuts its power after each
// operation on the disk, among them those of founding, votes and snapshots.
func TestAcknowledgedSurvives(t *testing.T) {
	for cut, more := 0, true; more && !t.Failed(); cut++ {
		synctest.Test(t, func(t *testing.T) { more = acknowledgedSurvives(t, cut) })
	}
}

func acknowledgedSurvives(t *testing.T, cut int) (died bool) {
	disk, stop := vfs.NewMem(), vfs.StopAfter(cut)
	acked := 0
	g, err := openGroup(t, vfs.NewInject(disk, stop.Before), func(o *RaftOptions) { o.SnapshotEntries = 2 })
	for i := range 6 {
		if err == nil {
			if err = g.add(t.Context(), fmt.Sprint(i)); err == nil {
				acked++
			}
		}
		if err == nil && i%2 == 1 {
			err = g.Snapshot()
		}
	}
	if died = stop.Stopped(); !died && err != nil {
		t.Fatal(err)
	}
	killed := disk.Kill()
	if g != nil {
		_ = g.close()
	}
	for seed, keep := range []int{0, 30, 70, 100} {
		after := killed.Crash(rand.New(rand.NewPCG(uint64(cut), uint64(seed))), keep)
		g, err := openGroup(t, after)
		if err != nil {
			t.Fatalf("cut %d keep %d: %v", cut, keep, err)
		}
		have := g.list.records
		if len(have) < acked || len(have) > acked+1 {
			t.Errorf("cut %d keep %d: %d records, %d were acknowledged", cut, keep, len(have), acked)
		}
		for i, r := range have {
			if r != fmt.Sprint(i) {
				t.Errorf("cut %d keep %d: records %q", cut, keep, have)
			}
		}
		g.mustAdd(t, "more")
		if err := g.close(); err != nil {
			t.Errorf("cut %d keep %d: close: %v", cut, keep, err)
		}
	}
	return died
}

func TestStaleCommandIsSkipped(t *testing.T) {
	l := &list{}
	f := &fsm{machine: l, fail: func(err error) { t.Error(err) }}
	if err, _ := f.Apply(entryOf(5, encodeCommand(4, [][]byte{[]byte("stale")}))).(error); !errors.Is(err, ErrNotLeader) {
		t.Errorf("decided in term 4, logged in 5: %v, want ErrNotLeader", err)
	}
	if err := f.Apply(entryOf(5, encodeCommand(5, [][]byte{[]byte("good")}))); err != nil {
		t.Error(err)
	}
	if !slices.Equal(l.records, []string{"good"}) {
		t.Errorf("applied %q", l.records)
	}
}

func BenchmarkPropose(b *testing.B) {
	for _, size := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("disk=mem/record=%dB", size), func(b *testing.B) {
			g := mustOpen(b, vfs.NewMem())
			record := string(binary.BigEndian.AppendUint64(make([]byte, size-8), 1))
			for b.Loop() {
				g.mustAdd(b, record)
			}
		})
	}
}
