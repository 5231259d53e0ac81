package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// openFiles counts this process's descriptors of files below dir.
func openFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("descriptors are counted in /proc")
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, dir+"/") && !strings.HasPrefix(to, dir+"/journal/") {
			n++
		}
	}
	return n
}

// A log of many segments holds the files of few: of those that are used, and of
// none when nobody uses any.
func TestIdleSegmentsHoldNoFile(t *testing.T) {
	for _, d := range designs() {
		if !durable(d) || !ackDurable(d) || d.Sync == "journal" {
			continue // segments wait open for their sync
		}
		t.Run("design="+d.String(), func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir()) // as /proc has it
			if err != nil {
				t.Fatal(err)
			}
			own := openFiles(t, dir) + 1 // the lock
			s := openStoreBound(t, vfs.OS{}, dir, 4)
			l, err := s.Create("t-0", engine.LogOptions{Config: smallConfig(d)})
			if errors.Is(err, errors.ErrUnsupported) {
				closeStore(t, s)
				t.Skip(err) // by this system: it knows no O_DIRECT, or no io_uring
			}
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 1))
			want := fill(t, l, rng, nil, 500)
			checkValues(t, readAll(t, l, 0, 500, 1000), 0, want)
			segments := len(l.Segments())
			n := openFiles(t, dir) - own
			if segments < 10 || n > 4*3+3 {
				t.Errorf("%d files are open of %d segments, where 4 segments may be", n, segments)
			}
			s.Tick(time0)
			s.Tick(time0)
			if n := openFiles(t, dir) - own; n != 0 {
				t.Errorf("%d files of an idle log are open", n)
			}
			want = fill(t, l, rng, want, 520)
			checkValues(t, readAll(t, l, 0, 520, 300), 0, want)
			closeStore(t, s, l)
		})
	}
}

// A process that has no descriptor left closes what it can, and goes on.
func TestOutOfFiles(t *testing.T) {
	mem := vfs.NewMem()
	var open, bound, refused atomic.Int64
	bound.Store(30)
	opens := func(op vfs.Op) bool {
		return op.Kind == vfs.OpOpen || op.Kind == vfs.OpOpenRead || op.Kind == vfs.OpCreate
	}
	full := vfs.NewInject(mem, func(op vfs.Op) error {
		if opens(op) && open.Load() >= bound.Load() {
			refused.Add(1)
			return syscall.EMFILE
		}
		return nil
	})
	full.After = func(op vfs.Op, err error) error {
		switch {
		case opens(op) && err == nil:
			open.Add(1)
		case op.Kind == vfs.OpClose:
			open.Add(-1)
		}
		return err
	}
	s := openStore(t, full, "/data")
	c := smallConfig(engine.DefaultDesign)
	var logs []*engine.Log
	for i := range 5 {
		l := create(t, s, fmt.Sprintf("t-%d", i), c)
		logs = append(logs, l)
		want := fill(t, l, rand.New(rand.NewPCG(1, 1)), nil, 400)
		checkValues(t, readAll(t, l, 0, 400, 1000), 0, want)
	}
	// All at once: who finds nothing to close has the descriptors that another closed.
	var readers sync.WaitGroup
	for _, l := range logs {
		readers.Go(func() {
			for offset := range int64(400) {
				e, err := l.Read(t.Context(), engine.Read{From: offset, UpTo: 400, MaxBytes: 100, AtLeastOne: true})
				if err != nil {
					t.Errorf("read from %d: %v", offset, err)
					return
				}
				e.Release()
			}
		})
	}
	readers.Wait()
	if refused.Load() == 0 {
		t.Error("there were descriptors enough")
	}
	bound.Store(math.MaxInt64) // what is written at the end has no files to close
	closeStore(t, s, logs...)
}

// A log that rested once rests again without a write, and opens without one.
func TestRestIsPaidOnce(t *testing.T) {
	for _, d := range designs() {
		if !durable(d) {
			continue
		}
		t.Run("design="+d.String(), func(t *testing.T) {
			var out bytes.Buffer
			changes := slices.DeleteFunc(vfs.Changes(), func(k vfs.Kind) bool { return k == vfs.OpPreallocate || k == vfs.OpTruncate })
			s := openStore(t, vfs.NewTrace(vfs.NewMem(), &out, changes...), "/data")
			c := smallConfig(d)
			l := create(t, s, "t-0", c)
			want := fill(t, l, rand.New(rand.NewPCG(1, 1)), nil, 100)
			for i := range 3 {
				rested, ok := l.CloseIdle()
				if !ok {
					t.Fatal("the log does not rest")
				}
				if m := rested.Marks; m.Start != 0 || m.Durable != 100 || m.Acked != 100 || m.End != 100 || rested.Bytes == 0 {
					t.Errorf("it rests with %+v", rested)
				}
				if _, ok := l.CloseIdle(); ok {
					t.Error("a closed log rests")
				}
				l = reopen(t, s, "t-0", c)
				checkValues(t, readAll(t, l, 0, 100, 1000), 0, want)
				if i > 0 && out.Len() > 0 {
					t.Errorf("the log was not touched, and resting and opening did\n%s", &out)
				}
				out.Reset()
			}
			closeStore(t, s, l)
		})
	}
}

// A reader that is in the middle of a segment while its log rests, and is opened
// anew, changes nothing on the disk when it lets go: the files are another Log's by
// then, which has them mapped and appends to them.
func TestReaderOutlivesTheRest(t *testing.T) {
	fs := vfs.NewInject(vfs.NewMem(), nil)
	var armed, letsGo atomic.Bool
	reads, goOn := make(chan struct{}), make(chan struct{})
	fs.Before = func(op vfs.Op) error {
		if op.Kind == vfs.OpRead && strings.HasSuffix(op.Path, ".log") && armed.CompareAndSwap(true, false) {
			close(reads)
			<-goOn
		}
		if letsGo.Load() && slices.Contains(vfs.Changes(), op.Kind) {
			t.Errorf("letting go did %v on %s", op.Kind, op.Path)
		}
		return nil
	}
	c := smallConfig(engine.DefaultDesign)
	rng := rand.New(rand.NewPCG(1, 1))
	s := openStore(t, fs, "/data")
	l := create(t, s, "t-0", c)
	want := fill(t, l, rng, nil, 30)
	rest := func() {
		t.Helper()
		if _, ok := l.CloseIdle(); !ok {
			t.Fatal("the log does not rest")
		}
		l = reopen(t, s, "t-0", c)
	}
	rest()
	read := l
	armed.Store(true)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e, err := read.Read(t.Context(), engine.Read{From: 29, UpTo: 30, MaxBytes: 1 << 20})
		if err == nil {
			e.Release()
		} else if !errors.Is(err, engine.ErrClosed) {
			t.Error(err)
		}
	}()
	<-reads
	rest()
	letsGo.Store(true)
	close(goOn)
	<-ended
	letsGo.Store(false)
	want = fill(t, l, rng, want, 60)
	checkValues(t, readAll(t, l, 0, int64(len(want)), 1000), 0, want)
	closeStore(t, s, l)
}

// Who looks for a time in a log that was closed under his hands is told so: that
// nothing was found would be believed.
func TestTimesOfALogThatRests(t *testing.T) {
	s := openStore(t, vfs.NewMem(), "/data")
	defer closeStore(t, s)
	c := smallConfig(engine.DefaultDesign)
	for _, asked := range []bool{false, true} { // what is asked for the first time is read from the segments
		l := create(t, s, fmt.Sprintf("asked.%v-0", asked), c)
		if mustAppend(t, l, records(3, "x", 1000)); asked {
			if _, ok, err := l.NewestTime(); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		if _, ok := l.CloseIdle(); !ok {
			t.Fatal("the log does not rest")
		}
		if p, ok, err := l.NewestTime(); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("asked before: %v: the newest is %+v, %v, %v; want ErrClosed", asked, p, ok, err)
		}
		if p, ok, err := l.OffsetForTime(1001); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("asked before: %v: offset for a time is %+v, %v, %v; want ErrClosed", asked, p, ok, err)
		}
	}
}

// What a log needs to be opened does not grow with the segments that lie before
// its recovery point.
func TestOpenLooksAtNoSealedSegment(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed=%v", killed), func(t *testing.T) {
			few, many := openTrace(t, 100, killed), openTrace(t, 2000, killed)
			if few != many {
				t.Errorf("with 20 times the segments opening does\n%s\nwhere it did\n%s", many, few)
			}
		})
	}
}

// openTrace is what opening a log of so many records does to the disk.
func openTrace(t *testing.T, n int, killed bool) string {
	t.Helper()
	mem := vfs.NewMem()
	s := openStore(t, mem, "/data")
	c := smallConfig(engine.DefaultDesign)
	fill(t, create(t, s, "t-0", c), rand.New(rand.NewPCG(1, 1)), nil, n)
	s.Tick(time0)
	if killed {
		mem = mem.Kill()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s = openStore(t, vfs.NewTrace(mem, &out), "/data")
	l := reopen(t, s, "t-0", c)
	var kinds strings.Builder
	for line := range strings.Lines(out.String()) {
		kind, rest, _ := strings.Cut(line, ":")
		if strings.Contains(rest, "t-0") {
			fmt.Fprintln(&kinds, kind)
		}
	}
	closeStore(t, s, l)
	return kinds.String()
}

// Segments of which nothing is known yet are dropped when they are old enough,
// and only then.
func TestRetentionOfSegmentsNobodyOpened(t *testing.T) {
	mem := vfs.NewMem()
	s := openStore(t, mem, "/data")
	c := smallConfig(engine.DefaultDesign)
	c.RetentionAge = 100 * time.Second
	fill(t, create(t, s, "t-0", c), rand.New(rand.NewPCG(1, 1)), nil, 300)
	closeStore(t, s)
	s = openStore(t, mem, "/data")
	l := reopen(t, s, "t-0", c)
	last := l.Segments()[len(l.Segments())-1]
	s.Tick(time.UnixMilli(250 * 1000)) // records have a second each
	if start := l.Marks().Start; start < 100 || start > 150 {
		t.Errorf("the log starts at %d when what is older than offset 150 may go", start)
	}
	if got := l.Segments(); got[len(got)-1].Base != last.Base {
		t.Errorf("the last segment is %+v, it was %+v", got[len(got)-1], last)
	}
	closeStore(t, s, l)
}
