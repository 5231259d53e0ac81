package vfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// methods gives every method of the interfaces its kind and arguments. A method
// that cannot fail has none.
var methods = map[string]struct {
	kind  vfs.Kind
	args  []any
	plain bool
}{
	"FS.Create":         {kind: vfs.OpCreate, args: []any{"/top/new"}},
	"FS.Open":           {kind: vfs.OpOpen, args: []any{"/top/a"}},
	"FS.OpenRead":       {kind: vfs.OpOpenRead, args: []any{"/top/a"}},
	"FS.Remove":         {kind: vfs.OpRemove, args: []any{"/top/a"}},
	"FS.RemoveAll":      {kind: vfs.OpRemoveAll, args: []any{"/top/dir"}},
	"FS.Rename":         {kind: vfs.OpRename, args: []any{"/top/a", "/top/b"}},
	"FS.MkdirAll":       {kind: vfs.OpMkdirAll, args: []any{"/top/x"}},
	"FS.ReadDir":        {kind: vfs.OpReadDir, args: []any{"/top"}},
	"FS.Stat":           {kind: vfs.OpStat, args: []any{"/top/a"}},
	"FS.SyncDir":        {kind: vfs.OpSyncDir, args: []any{"/top"}},
	"FS.Lock":           {kind: vfs.OpLock, args: []any{"/top/LOCK"}},
	"FS.Usage":          {kind: vfs.OpUsage, args: []any{"/top"}},
	"Closer.Close":      {kind: vfs.OpUnlock},
	"File.ReadAt":       {kind: vfs.OpRead, args: []any{make([]byte, 1), int64(0)}},
	"File.WriteAt":      {kind: vfs.OpWrite, args: []any{[][]byte{{1}}, int64(0)}},
	"File.WriteDurable": {kind: vfs.OpWriteDurable, args: []any{[]byte{1}, int64(0)}},
	"File.Sync":         {kind: vfs.OpSync},
	"File.Truncate":     {kind: vfs.OpTruncate, args: []any{int64(9)}},
	"File.Preallocate":  {kind: vfs.OpPreallocate, args: []any{int64(9)}},
	"File.Size":         {kind: vfs.OpSize},
	"File.Map":          {kind: vfs.OpMap, args: []any{int64(1)}},
	"File.Direct":       {kind: vfs.OpDirect, args: []any{vfs.ViaRing}},
	"File.Close":        {kind: vfs.OpClose},
	"File.Fd":           {plain: true},
	"File.Cached":       {plain: true},
	"File.Prefetch":     {plain: true},
	"File.Evict":        {plain: true},
	"File.Name":         {plain: true},
	"Mapping.Bytes":     {plain: true},
	// With buffers a WriteSync is two operations: see TestInjectSplitsWriteSync.
	"DirectFile.WriteSync": {kind: vfs.OpSync, args: []any{[][]byte(nil), int64(0)}},
	"DirectFile.WriteAt":   {kind: vfs.OpWrite, args: []any{[][]byte(nil), int64(0)}},
	"DirectFile.Close":     {kind: vfs.OpClose},
	"DirectFile.Buffer":    {plain: true},
	"DirectFile.Name":      {plain: true},
	"Mapping.Flush":        {kind: vfs.OpFlush},
	"Mapping.Unmap":        {kind: vfs.OpUnmap},
}

// eachMethod calls test with every method of the contract, bound to a fresh tree
// wrapped by wrap. A method that the table lacks fails the test.
func eachMethod(t *testing.T, wrap func(vfs.FS) vfs.FS, test func(t *testing.T, kind vfs.Kind, call func() error)) {
	covered := map[vfs.Kind]bool{}
	for _, iface := range []reflect.Type{
		reflect.TypeFor[vfs.FS](), reflect.TypeFor[vfs.File](), reflect.TypeFor[vfs.Mapping](), reflect.TypeFor[io.Closer](),
		reflect.TypeFor[vfs.DirectFile](),
	} {
		for method := range iface.Methods() {
			name := iface.Name() + "." + method.Name
			m, known := methods[name]
			if !known {
				t.Errorf("%s has no kind in this table", name)
			}
			if m.plain || !known {
				continue
			}
			covered[m.kind] = true
			t.Run(name, func(t *testing.T) {
				mem := newMem(t)
				ok(t, create(t, mem, "/top/a", "abc").Close())
				sys := wrap(mem)
				f := must(sys.Open("/top/a"))(t)
				receivers := map[string]any{
					"FS": sys, "File": f, "Mapping": must(f.Map(3))(t), "Closer": must(sys.Lock("/top/HELD"))(t),
					"DirectFile": must(f.Direct(vfs.ViaCalls))(t),
				}
				var args []reflect.Value
				for _, a := range m.args {
					args = append(args, reflect.ValueOf(a))
				}
				test(t, m.kind, func() error {
					results := reflect.ValueOf(receivers[iface.Name()]).MethodByName(method.Name).Call(args)
					err, _ := results[len(results)-1].Interface().(error)
					return err
				})
			})
		}
	}
	for _, k := range vfs.Kinds() {
		if !covered[k] {
			t.Errorf("kind %v belongs to no method", k)
		}
	}
}

func TestInjectCoversEveryMethod(t *testing.T) {
	broken := errors.New("broken on purpose")
	var inject *vfs.Inject
	wrap := func(below vfs.FS) vfs.FS {
		inject = vfs.NewInject(below, nil)
		return inject
	}
	eachMethod(t, wrap, func(t *testing.T, kind vfs.Kind, call func() error) {
		var before, after []vfs.Kind
		inject.Before = func(op vfs.Op) error { before = append(before, op.Kind); return nil }
		inject.After = func(op vfs.Op, err error) error { after = append(after, op.Kind); return err }
		ok(t, call())
		if want := []vfs.Kind{kind}; !slices.Equal(before, want) || !slices.Equal(after, want) {
			t.Fatalf("hooks saw %v and %v, want %v", before, after, kind)
		}
	})
	eachMethod(t, wrap, func(t *testing.T, kind vfs.Kind, call func() error) {
		inject.Before = func(vfs.Op) error { return broken }
		refused(t, call(), broken, kind.String(), "/top")
	})
	eachMethod(t, wrap, func(t *testing.T, kind vfs.Kind, call func() error) {
		inject.After = func(op vfs.Op, err error) error {
			if op.Kind == kind {
				return broken
			}
			return err
		}
		refused(t, call(), broken, kind.String(), "/top")
	})
}

func TestTraceCoversEveryMethod(t *testing.T) {
	var out bytes.Buffer
	wrap := func(below vfs.FS) vfs.FS { return vfs.NewTrace(below, &out) }
	eachMethod(t, wrap, func(t *testing.T, kind vfs.Kind, call func() error) {
		out.Reset()
		ok(t, call())
		if got := out.String(); !strings.HasPrefix(got, kind.String()+": /top") || strings.Count(got, "\n") != 1 {
			t.Fatalf("trace is %q, want one line of %v", got, kind)
		}
	})
}

func TestInjectEndsReachBelow(t *testing.T) {
	mem := newMem(t)
	broken := errors.New("broken on purpose")
	sys := vfs.NewInject(mem, vfs.Rules(vfs.Rule{Kinds: []vfs.Kind{vfs.OpUnlock, vfs.OpClose, vfs.OpUnmap}, Err: broken}))
	l := must(sys.Lock("/LOCK"))(t)
	f := must(sys.Create("/a"))(t)
	ok(t, f.Preallocate(10))
	m := must(f.Map(10))(t)
	ok(t, sys.Remove("/a"))
	for _, c := range []func() error{l.Close, f.Close, m.Unmap} {
		if err := c(); !errors.Is(err, broken) {
			t.Fatalf("got %v", err)
		}
	}
	ok(t, must(mem.Lock("/LOCK"))(t).Close())
	if u := must(mem.Usage("/"))(t); u.Free != u.Size {
		t.Fatalf("file is still open below: %+v", u)
	}
}

func TestInjectShortWrite(t *testing.T) {
	for bytes, want := range map[int64]string{0: "", 1: "a", 3: "abc", 4: "abcd", 6: "abcdef", 99: "abcdef"} {
		mem := newMem(t)
		short := &vfs.ShortWrite{Bytes: bytes, Err: syscall.ENOSPC}
		sys := vfs.NewInject(mem, vfs.Rules(vfs.Rule{Kinds: []vfs.Kind{vfs.OpWrite}, Err: short}))
		f := must(sys.Create("/a"))(t)
		n, err := f.WriteAt([][]byte{[]byte("abc"), {}, []byte("def")}, 0)
		refused(t, err, vfs.ErrNoSpace, "write", "/a")
		if got := read(t, mem, "/a"); got != want || n != int64(len(want)) {
			t.Errorf("short write of %d left %q and said %d", bytes, got, n)
		}
	}
}

func TestInjectHidesDescriptors(t *testing.T) {
	name := t.TempDir() + "/a"
	if _, has := must(vfs.NewInject(vfs.OS{}, nil).Create(name))(t).Fd(); has {
		t.Error("Inject gave a descriptor, whose reads it cannot see")
	}
	if _, has := must(vfs.NewTrace(vfs.OS{}, io.Discard).Open(name))(t).Fd(); !has {
		t.Error("Trace changes what it observes: it gave no descriptor")
	}
}

func TestRules(t *testing.T) {
	one, two := errors.New("one"), errors.New("two")
	var waited []vfs.Op
	hook := vfs.Rules(
		vfs.Rule{Kinds: []vfs.Kind{vfs.OpSync}, Path: "*.log", Nth: 2, Times: 1, Err: one},
		vfs.Rule{Kinds: []vfs.Kind{vfs.OpSync, vfs.OpRename}, Path: "a/*.log", Nth: 3, Err: two},
		vfs.Rule{Wait: func(op vfs.Op) { waited = append(waited, op) }},
	)
	for i, step := range []struct {
		op   vfs.Op
		want error
	}{
		{vfs.Op{Kind: vfs.OpSync, Path: "a/1.log"}, nil},
		{vfs.Op{Kind: vfs.OpSync, Path: "a/1.index"}, nil},
		{vfs.Op{Kind: vfs.OpWrite, Path: "a/1.log"}, nil},
		{vfs.Op{Kind: vfs.OpSync, Path: "b/1.log"}, one},
		{vfs.Op{Kind: vfs.OpSync, Path: "a/2.log"}, nil},
		{vfs.Op{Kind: vfs.OpRename, Path: "x", To: "a/3.log"}, two},
		{vfs.Op{Kind: vfs.OpSync, Path: "a/4.log"}, two},
		{vfs.Op{Kind: vfs.OpSync, Path: "c/a/4.log"}, nil},
	} {
		if got := hook(step.op); got != step.want {
			t.Errorf("step %d, %v: got %v, want %v", i, step.op, got, step.want)
		}
	}
	if len(waited) != 8 {
		t.Errorf("the hook of a rule for everything was called %d times, want 8", len(waited))
	}
}

func TestRuleMayBlock(t *testing.T) {
	started, release := make(chan bool), make(chan bool)
	sys := vfs.NewInject(newMem(t), vfs.Rules(vfs.Rule{
		Kinds: []vfs.Kind{vfs.OpSync}, Wait: func(vfs.Op) { started <- true; <-release },
	}))
	f := must(sys.Create("/a"))(t)
	synced := make(chan error)
	go func() { synced <- f.Sync() }()
	<-started
	write(t, f, "beside a slow sync", 0)
	select {
	case <-synced:
		t.Fatal("the sync did not wait")
	default:
	}
	close(release)
	ok(t, <-synced)
}

func TestStop(t *testing.T) {
	program := func(sys vfs.FS) error {
		f, err := sys.Create("/a") // 1
		if err != nil {
			return err
		}
		if _, err := sys.Stat("/a"); err != nil { // does not count
			return err
		}
		_, werr := f.WriteAt([][]byte{[]byte("x")}, 0)                  // 2
		return errors.Join(werr, f.Sync(), sys.SyncDir("/"), f.Close()) // 3, 4
	}
	for n, want := range []string{"-", "", "x", "x", "x"} {
		mem := vfs.NewMem()
		stop := vfs.StopAfter(n)
		sys := vfs.NewInject(mem, stop.Before)
		err := program(sys)
		if stopped := n < 4; stop.Stopped() != stopped || errors.Is(err, vfs.ErrCrashed) != stopped {
			t.Fatalf("after %d operations: stopped %v, error %v", n, stop.Stopped(), err)
		}
		if got := read(t, mem.Crash(nil, 100), "/a"); got != want {
			t.Errorf("after %d operations the file is %q, want %q", n, got, want)
		}
		if _, err := sys.Stat("/"); errors.Is(err, vfs.ErrCrashed) != (n < 4) {
			t.Errorf("after %d operations a look at the disk gave %v", n, err)
		}
	}
}

func TestTrace(t *testing.T) {
	run := func(only ...vfs.Kind) string {
		var out strings.Builder
		mem := newMem(t)
		sys := vfs.NewTrace(mem, &out, only...)
		f := must(sys.Create("top/a"))(t)
		write(t, f, "hello", 0)
		_, err := f.ReadAt(make([]byte, 9), 2)
		if err != io.EOF {
			t.Fatal(err)
		}
		mem.SetCapacity(512)
		_, err = f.WriteAt([][]byte{make([]byte, 600)}, 5)
		refused(t, err, vfs.ErrNoSpace, "write", "top/a")
		mem.SetCapacity(-1)
		ok(t, f.Preallocate(2000))
		m := must(f.Map(1000))(t)
		ok(t, errors.Join(m.Flush(), m.Unmap(), f.Truncate(1), f.Sync(), f.Close()))
		ok(t, errors.Join(sys.Rename("top/a", "top/b"), sys.SyncDir("top")))
		_, err = sys.Open("top/a")
		refused(t, err, fs.ErrNotExist, "open", "top/a")
		return out.String()
	}
	want := `create: top/a
write: top/a 0+5
read: top/a 2+9: done 3: EOF
write: top/a 5+600: done 507: no space left on device
preallocate: top/a 2000
map: top/a 1000
flush: top/a 1000
unmap: top/a
truncate: top/a 1
sync: top/a
close: top/a
rename: top/a -> top/b
syncdir: top
open: top/a: file does not exist
`
	if got := run(); got != want {
		t.Errorf("trace is\n%swant\n%s", got, want)
	}
	var changes strings.Builder
	for line := range strings.Lines(want) {
		kind, _, _ := strings.Cut(line, ":")
		if !slices.Contains([]string{"read", "map", "unmap", "close", "open"}, kind) {
			changes.WriteString(line)
		}
	}
	if got := run(vfs.Changes()...); got != changes.String() {
		t.Errorf("trace of changes is\n%swant\n%s", got, changes.String())
	}
}
