package vfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// systems are the file systems that the conformance tests run over. new returns
// one and a directory in it to work in.
var systems = []struct {
	name string
	new  func(t *testing.T) (vfs.FS, string)
}{
	{"os", func(t *testing.T) (vfs.FS, string) { return vfs.OS{}, t.TempDir() }},
	{"mem", func(t *testing.T) (vfs.FS, string) { return newMem(t), "/top/dir" }},
	{"inject", func(t *testing.T) (vfs.FS, string) { return vfs.NewInject(newMem(t), vfs.Rules()), "/top/dir" }},
	{"inject os", func(t *testing.T) (vfs.FS, string) { return vfs.NewInject(vfs.OS{}, nil), t.TempDir() }},
	{"trace", func(t *testing.T) (vfs.FS, string) { return vfs.NewTrace(newMem(t), io.Discard), "/top/dir" }},
	{"trace os", func(t *testing.T) (vfs.FS, string) { return vfs.NewTrace(vfs.OS{}, io.Discard), t.TempDir() }},
	// What kill -9 leaves is a file system like any other.
	{"kill", func(t *testing.T) (vfs.FS, string) { return newMem(t).Kill(), "/top/dir" }},
	{"crash", func(t *testing.T) (vfs.FS, string) { return newMem(t).Crash(nil, 0), "/top/dir" }},
}

// conform runs test over every file system.
func conform(t *testing.T, test func(t *testing.T, sys vfs.FS, dir string)) {
	for _, s := range systems {
		t.Run(s.name, func(t *testing.T) {
			sys, dir := s.new(t)
			test(t, sys, dir)
		})
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		name := path.Join(dir, "a")
		ok(t, create(t, sys, name, "first").Close())
		_, err := sys.Create(name)
		refused(t, err, fs.ErrExist, "create", name)
		if got := read(t, sys, name); got != "first" {
			t.Fatalf("content is %q after a refused Create", got)
		}
		_, err = sys.Create(path.Join(dir, "none", "a"))
		refused(t, err, fs.ErrNotExist, "create", "none/a")
		_, err = sys.Create(dir)
		refused(t, err, fs.ErrExist, "create", dir)
	})
}

func TestWriteAt(t *testing.T) {
	const limit = 1024 // IOV_MAX
	split := func(s string, n int) (bufs [][]byte) {
		for len(s) > n {
			bufs, s = append(bufs, []byte(s[:n])), s[n:]
		}
		return append(bufs, []byte(s))
	}
	long := strings.Repeat("0123456789abcdef", 9000) // several chunks of Mem
	tests := []struct {
		name string
		bufs [][]byte
		off  int64
	}{
		{"none", nil, 0},
		{"one", split("hello", 9), 0},
		{"one empty", [][]byte{{}}, 3},
		{"two", split("hello", 3), 0},
		{"empty ones between", [][]byte{{}, []byte("a"), {}, {}, []byte("b"), {}}, 1},
		{"past the end", split("tail", 2), 70_000},
		{"across chunks", split(long, 40_000), 100},
		{"vector at the limit", split(long[:limit*3], 3), 7},
		{"vector over the limit", split(long[:limit*3+1], 3), 7},
		{"only empty ones over the limit", make([][]byte, limit+1), 0},
	}
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		for _, test := range tests {
			f := create(t, sys, path.Join(dir, test.name), "")
			n, err := f.WriteAt(test.bufs, test.off)
			ok(t, err)
			content := bytes.Join(test.bufs, nil)
			want := ""
			if len(content) > 0 {
				want = strings.Repeat("\x00", int(test.off)) + string(content)
			}
			if got := contentOf(t, f); n != int64(len(content)) || got != want {
				t.Errorf("%s: wrote %d of %d bytes, file has %d of %d", test.name, n, len(content), len(got), len(want))
			}
			ok(t, f.Close())
		}
	})
}

func TestReadAt(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		f := create(t, sys, path.Join(dir, "a"), "hello")
		defer f.Close()
		for _, test := range []struct {
			off  int64
			n    int
			want string
			err  error
		}{
			{0, 5, "hello", nil}, {1, 3, "ell", nil}, {3, 9, "lo", io.EOF},
			{5, 1, "", io.EOF}, {99, 1, "", io.EOF}, {0, 0, "", nil}, {99, 0, "", nil},
		} {
			buf := make([]byte, test.n)
			n, err := f.ReadAt(buf, test.off)
			if string(buf[:n]) != test.want || err != test.err {
				t.Errorf("ReadAt %d+%d: got %q, %v; want %q, %v", test.off, test.n, buf[:n], err, test.want, test.err)
			}
		}
		if _, err := f.ReadAt(make([]byte, 1), -1); err == nil {
			t.Error("reading before the start succeeded")
		}
		if _, err := f.WriteAt([][]byte{{1}}, -1); err == nil {
			t.Error("writing before the start succeeded")
		}
	})
}

func TestTruncateAndPreallocate(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		f := create(t, sys, path.Join(dir, "a"), "0123456789")
		defer f.Close()
		expect := func(want string) {
			t.Helper()
			if got := contentOf(t, f); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		ok(t, f.Truncate(4))
		expect("0123")
		ok(t, f.Truncate(6))
		expect("0123\x00\x00") // not the old bytes
		ok(t, f.Preallocate(0))
		ok(t, f.Preallocate(3)) // never shrinks
		expect("0123\x00\x00")
		ok(t, f.Preallocate(8))
		expect("0123\x00\x00\x00\x00")
		ok(t, f.Preallocate(100_000))
		write(t, f, "end", 99_997)
		expect("0123" + strings.Repeat("\x00", 99_993) + "end")
		ok(t, f.Truncate(0))
		expect("")
		write(t, f, "x", 2)
		expect("\x00\x00x")
		if f.Truncate(-1) == nil || f.Preallocate(-1) == nil {
			t.Fatal("a negative size was taken")
		}
	})
}

func TestOpenReadRefusesChanges(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		name := path.Join(dir, "a")
		ok(t, create(t, sys, name, "abc").Close())
		f, err := sys.OpenRead(name)
		ok(t, err)
		defer f.Close()
		_, err = f.WriteAt([][]byte{{1}}, 0)
		refused(t, err, fs.ErrPermission, "write", name)
		refused(t, f.Truncate(0), fs.ErrPermission, "truncate", name)
		refused(t, f.Preallocate(9), fs.ErrPermission, "preallocate", name)
		m, err := f.Map(3)
		ok(t, err)
		if string(m.Bytes()) != "abc" {
			t.Fatalf("mapping shows %q", m.Bytes())
		}
		ok(t, m.Unmap())
	})
}

func TestMappingIsTheFile(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		const size = 100_000
		name := path.Join(dir, "a")
		f := create(t, sys, name, "head")
		ok(t, f.Preallocate(size))
		m, err := f.Map(size)
		ok(t, err)
		if len(m.Bytes()) != size {
			t.Fatalf("mapped %d bytes, want %d", len(m.Bytes()), size)
		}
		copy(m.Bytes()[size-4:], "tail")
		write(t, f, "MID", 50_000)
		want := "head" + strings.Repeat("\x00", 49_996) + "MID" + strings.Repeat("\x00", size-50_007) + "tail"
		if string(m.Bytes()) != want || contentOf(t, f) != want {
			t.Fatal("the mapping and the file differ")
		}
		ok(t, m.Flush())
		ok(t, f.Close()) // a mapping outlives the opening
		m.Bytes()[0] = 'H'
		ok(t, m.Flush())
		ok(t, m.Unmap())
		ok(t, m.Unmap()) // harmless
		if got := read(t, sys, name); got != "H"+want[1:] {
			t.Fatal("stores through the mapping are gone after Unmap")
		}
	})
}

func TestMapBounds(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		name := path.Join(dir, "a")
		f := create(t, sys, name, "")
		defer f.Close()
		m, err := f.Map(0)
		ok(t, err)
		ok(t, m.Flush())
		ok(t, m.Unmap())
		for _, size := range []int64{1, -1} {
			if _, err := f.Map(size); err == nil || !strings.Contains(err.Error(), name) {
				t.Fatalf("mapping %d bytes of an empty file: %v", size, err)
			}
		}
	})
}

func TestNames(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		at := func(name string) string { return path.Join(dir, name) }
		expect := func(want string) {
			t.Helper()
			if got := list(t, sys, dir); got != want {
				t.Fatalf("directory is %q, want %q", got, want)
			}
		}
		ok(t, create(t, sys, at("b"), "b").Close())
		ok(t, create(t, sys, at("a"), "a").Close())
		ok(t, sys.MkdirAll(at("d/e/f")))
		ok(t, sys.MkdirAll(at("d/e")))
		expect("a b d/")
		ok(t, sys.Rename(at("a"), at("b"))) // replaces
		expect("b d/")
		if got := read(t, sys, at("b")); got != "a" {
			t.Fatalf("renamed file holds %q", got)
		}
		ok(t, sys.Rename(at("b"), at("b")))
		ok(t, sys.Rename(at("b"), at("d/e/b")))
		ok(t, sys.Rename(at("d"), at("c"))) // a whole directory
		expect("c/")
		if got := read(t, sys, at("c/e/b")); got != "a" {
			t.Fatalf("file in the moved directory holds %q", got)
		}
		ok(t, sys.SyncDir(dir))
		ok(t, sys.Remove(at("c/e/f")))
		ok(t, sys.RemoveAll(at("c")))
		ok(t, sys.RemoveAll(at("c")))
		expect("")
	})
}

func TestNameErrors(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		at := func(name string) string { return path.Join(dir, name) }
		ok(t, create(t, sys, at("file"), "x").Close())
		ok(t, sys.MkdirAll(at("full/sub")))
		none := at("none")
		_, err := sys.Open(none)
		refused(t, err, fs.ErrNotExist, "open", none)
		_, err = sys.OpenRead(none)
		refused(t, err, fs.ErrNotExist, "open", none)
		_, err = sys.Stat(none)
		refused(t, err, fs.ErrNotExist, "stat", none)
		_, err = sys.ReadDir(none)
		refused(t, err, fs.ErrNotExist, "readdir", none)
		_, err = sys.Usage(none)
		refused(t, err, fs.ErrNotExist, "usage", none)
		refused(t, sys.Remove(none), fs.ErrNotExist, "remove", none)
		refused(t, sys.SyncDir(none), fs.ErrNotExist, "syncdir", none)
		refused(t, sys.Rename(none, at("x")), fs.ErrNotExist, "rename", none)
		refused(t, sys.Rename(at("file"), at("full")), fs.ErrExist, "rename", "full")
		for what, err := range map[string]error{
			"remove of a full directory":       sys.Remove(at("full")),
			"mkdir below a file":               sys.MkdirAll(at("file/sub")),
			"mkdir over a file":                sys.MkdirAll(at("file")),
			"syncdir of a file":                sys.SyncDir(at("file")),
			"rename of a directory to a file":  sys.Rename(at("full"), at("file")),
			"rename of a directory below self": sys.Rename(at("full"), at("full/sub/x")),
			"open of a directory":              second(sys.Open(at("full"))),
			"openread of a directory":          second(sys.OpenRead(at("full"))),
			"readdir of a file":                second(sys.ReadDir(at("file"))),
			"lock of a directory":              second(sys.Lock(at("full"))),
		} {
			if err == nil {
				t.Errorf("%s succeeded", what)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestStat(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		name := path.Join(dir, "a")
		ok(t, create(t, sys, name, "12345").Close())
		info := must(sys.Stat(name))(t)
		if info.Name() != "a" || info.Size() != 5 || info.IsDir() || !info.Mode().IsRegular() {
			t.Errorf("Stat of a file: %v", fs.FormatFileInfo(info))
		}
		if info = must(sys.Stat(dir))(t); !info.IsDir() || info.Name() != path.Base(dir) {
			t.Errorf("Stat of a directory: %v", fs.FormatFileInfo(info))
		}
		entry := must(sys.ReadDir(dir))(t)[0]
		if info = must(entry.Info())(t); info.Size() != 5 || entry.Name() != "a" {
			t.Errorf("entry: %v", fs.FormatDirEntry(entry))
		}
	})
}

func TestRemovedFileStaysOpen(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		name := path.Join(dir, "a")
		f := create(t, sys, name, "one")
		ok(t, sys.Remove(name))
		ok(t, create(t, sys, name, "other").Close())
		write(t, f, "two", 3)
		if got := contentOf(t, f); got != "onetwo" {
			t.Fatalf("removed file holds %q", got)
		}
		if f.Name() != name {
			t.Fatalf("Name is %q, want %q", f.Name(), name)
		}
		ok(t, f.Close())
		if got := read(t, sys, name); got != "other" {
			t.Fatalf("new file holds %q", got)
		}
	})
}

func TestClosedFile(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		name := path.Join(dir, "a")
		f := create(t, sys, name, "abc")
		ok(t, f.Close())
		for what, err := range map[string]error{
			"read": second(f.ReadAt(make([]byte, 1), 0)), "write": second(f.WriteAt([][]byte{{1}}, 0)),
			"write2": second(f.WriteAt([][]byte{{1}, {2}}, 0)), "sync": f.Sync(), "truncate": f.Truncate(0),
			"preallocate": f.Preallocate(9), "size": second(f.Size()), "map": second(f.Map(1)), "close": f.Close(),
		} {
			if !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%s on a closed file gave %v", what, err)
			}
		}
		if got := read(t, sys, name); got != "abc" {
			t.Errorf("a closed file was changed to %q", got)
		}
	})
}

func TestLock(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		name := path.Join(dir, "LOCK")
		l := must(sys.Lock(name))(t)
		_, err := sys.Lock(name)
		refused(t, err, vfs.ErrLocked, "lock", name)
		ok(t, l.Close())
		if l.Close() == nil {
			t.Fatal("a lock was released twice")
		}
		l = must(sys.Lock(name))(t)
		ok(t, l.Close())
	})
}

func TestUsage(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		if u := must(sys.Usage(dir))(t); u.Free == 0 || u.Size < u.Free {
			t.Fatalf("usage is %+v", u)
		}
	})
}

// Readers, one writer and syncs at once: what the contract of File allows.
func TestConcurrentFile(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		const records, size = 400, 1000
		record := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, size) }
		f := create(t, sys, path.Join(dir, "a"), "")
		defer f.Close()
		written := make(chan int, records)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				buf := make([]byte, size)
				for i := range written {
					if n, err := f.ReadAt(buf, int64(i*size)); err != nil || !bytes.Equal(buf[:n], record(i)) {
						t.Errorf("record %d: %v", i, err)
					}
					if i%10 == 0 {
						if err := f.Sync(); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		for i := range records {
			r := record(i)
			if _, err := f.WriteAt([][]byte{r[:100], r[100:]}, int64(i*size)); err != nil {
				t.Fatal(err)
			}
			written <- i
		}
		close(written)
		wg.Wait()
	})
}

func TestConcurrentNames(t *testing.T) {
	conform(t, func(t *testing.T, sys vfs.FS, dir string) {
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 20 {
					sub := path.Join(dir, fmt.Sprintf("d%d", i), "x") // raced for
					name := path.Join(sub, fmt.Sprintf("f%d", g))
					f, err := fs.FileInfo(nil), sys.MkdirAll(sub)
					if err == nil {
						var file vfs.File
						if file, err = sys.Create(name); err == nil {
							err = errors.Join(file.Sync(), file.Close(), sys.SyncDir(sub))
						}
					}
					if err == nil {
						f, err = sys.Stat(name)
					}
					if err != nil || f.Size() != 0 {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}
