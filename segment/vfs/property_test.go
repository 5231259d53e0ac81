package vfs_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// TestMemBehavesLikeOS runs the same random operations on the operating system
// and in memory and wants the same results: contents, lists and kinds of errors.
func TestMemBehavesLikeOS(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			one := &random{sys: vfs.OS{}, root: t.TempDir(), rng: rand.New(rand.NewPCG(seed, 3)), open: map[string]vfs.File{}}
			two := &random{sys: newMem(t), root: "/top/dir", rng: rand.New(rand.NewPCG(seed, 3)), open: map[string]vfs.File{}}
			for i := range 600 {
				if a, b := one.step(), two.step(); a != b {
					t.Fatalf("step %d: the operating system gives\n\t%s\nand memory\n\t%s", i, a, b)
				}
			}
			for _, r := range []*random{one, two} {
				for _, f := range r.open {
					ok(t, f.Close())
				}
			}
		})
	}
}

// random does random operations on a few names.
type random struct {
	sys  vfs.FS
	root string
	rng  *rand.Rand
	open map[string]vfs.File
}

func (r *random) pick(from ...string) string { return from[r.rng.IntN(len(from))] }

func (r *random) path() string {
	name := ""
	for range 1 + r.rng.IntN(3) {
		name = path.Join(name, r.pick("a", "b", "c"))
	}
	return name
}

func (r *random) step() string {
	name, other := r.path(), r.path()
	at := path.Join(r.root, name)
	switch op := r.rng.IntN(14); op {
	case 0, 1:
		f, err := r.sys.Create(at)
		r.keep(name, f, err)
		return "create " + name + ": " + kindOf(err)
	case 2:
		f, err := r.sys.Open(at)
		r.keep(name, f, err)
		return "open " + name + ": " + kindOf(err)
	case 3:
		return "remove " + name + ": " + kindOf(r.sys.Remove(at))
	case 4:
		if r.rng.IntN(3) > 0 {
			return "nothing"
		}
		return "removeall " + name + ": " + kindOf(r.sys.RemoveAll(at))
	case 5, 6:
		return "rename " + name + " " + other + ": " + kindOf(r.sys.Rename(at, path.Join(r.root, other)))
	case 7, 8:
		return "mkdirall " + name + ": " + kindOf(r.sys.MkdirAll(at))
	case 9:
		return "syncdir " + name + ": " + kindOf(r.sys.SyncDir(at))
	case 10:
		entries, err := r.sys.ReadDir(path.Dir(at))
		return "readdir " + fmt.Sprint(names(entries)) + kindOf(err)
	case 11:
		info, err := r.sys.Stat(at)
		if err != nil {
			return "stat " + name + ": " + kindOf(err)
		}
		size := info.Size()
		if info.IsDir() {
			size = 0 // each file system has its own idea
		}
		// What others may do with it hangs on the umask.
		return fmt.Sprint("stat ", name, info.Name(), info.IsDir(), info.Mode().Perm()&0o700, size)
	default:
		return r.useFile(name)
	}
}

func names(entries []fs.DirEntry) (all []string) {
	for _, e := range entries {
		all = append(all, fmt.Sprint(e.Name(), e.IsDir()))
	}
	return all
}

func (r *random) keep(name string, f vfs.File, err error) {
	if err != nil {
		return
	}
	if old := r.open[name]; old != nil {
		_ = old.Close()
	}
	r.open[name] = f
}

// useFile does something with a file that was opened by name, which may have
// been renamed or removed since.
func (r *random) useFile(name string) string {
	off, n := r.rng.Int64N(100_000), r.rng.IntN(40_000)
	op := r.rng.IntN(6)
	f := r.open[name]
	if f == nil {
		return "not open"
	}
	switch op {
	case 0, 1:
		data := []byte(strings.Repeat(name, n/len(name)))
		written, err := f.WriteAt([][]byte{data[:len(data)/2], data[len(data)/2:]}, off)
		return fmt.Sprint("write ", written, kindOf(err))
	case 2:
		return "truncate " + kindOf(f.Truncate(off))
	case 3:
		return "preallocate " + kindOf(f.Preallocate(off))
	case 4:
		buf := make([]byte, n)
		got, err := f.ReadAt(buf, off)
		size, sizeErr := f.Size()
		return fmt.Sprintf("read %d %x %v %d %v", got, buf[:got], kindOf(err), size, kindOf(sizeErr))
	default:
		return r.useMapping(f, n)
	}
}

func (r *random) useMapping(f vfs.File, n int) string {
	m, err := f.Map(int64(n))
	if err != nil {
		return "map refused" // in words of its own
	}
	defer m.Unmap()
	if n > 0 {
		m.Bytes()[n/2]++
	}
	return fmt.Sprintf("map %x %s", m.Bytes(), kindOf(m.Flush()))
}

// kindOf words the innermost error, so that both sides' wrapping is the same.
func kindOf(err error) string {
	for _, kind := range []error{nil, io.EOF, fs.ErrNotExist, fs.ErrExist, fs.ErrClosed, fs.ErrPermission} {
		if err == kind || kind != nil && errors.Is(err, kind) {
			return fmt.Sprint(kind)
		}
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}
