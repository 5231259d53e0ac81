package vfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"syscall"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// save is the program under test: a file replaced so that a crash leaves the
// old content or the new.
func save(sys vfs.FS, content string) error {
	f, err := sys.Create("/state.tmp")
	if err != nil {
		return err
	}
	_, err = f.WriteAt([][]byte{[]byte(content)}, 0)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return errors.Join(sys.Rename("/state.tmp", "/state"), sys.SyncDir("/"))
}

func load(sys vfs.FS) string {
	f, err := sys.OpenRead("/state")
	if errors.Is(err, fs.ErrNotExist) {
		return "nothing"
	}
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	buf := make([]byte, 100)
	n, _ := f.ReadAt(buf, 0)
	return string(buf[:n])
}

// A crash at every operation of a program: each state that the disk may be in,
// from a single run.
func ExampleMem_Crash() {
	mem := vfs.NewMem()
	sys := vfs.NewInject(mem, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	found := map[string]bool{}
	sys.After = func(_ vfs.Op, err error) error {
		for _, keep := range []int{0, 50, 100} {
			found[load(mem.Crash(rng, keep))] = true
		}
		return err
	}
	fmt.Println(save(sys, "new"))
	fmt.Println(found)
	// Output:
	// <nil>
	// map[new:true nothing:true]
}

// The same by running the program again and again, killed one operation later
// each time: this also shows what the program does when operations fail.
func ExampleStopAfter() {
	for n := 0; ; n++ {
		mem := vfs.NewMem()
		stop := vfs.StopAfter(n)
		err := save(vfs.NewInject(mem, stop.Before), "new")
		fmt.Println(n, load(mem.Crash(nil, 0)), errors.Is(err, vfs.ErrCrashed))
		if !stop.Stopped() {
			break
		}
	}
	// Output:
	// 0 nothing true
	// 1 nothing true
	// 2 nothing true
	// 3 nothing true
	// 4 nothing true
	// 5 new false
}

func ExampleRules() {
	sys := vfs.NewInject(vfs.NewMem(), vfs.Rules(vfs.Rule{
		Kinds: []vfs.Kind{vfs.OpSync}, Path: "*.tmp", Nth: 1, Times: 1, Err: syscall.EIO,
	}))
	fmt.Println(save(sys, "new"))
	// Output: sync /state.tmp: input/output error
}

func ExampleTrace() {
	fmt.Println(save(vfs.NewTrace(vfs.NewMem(), os.Stdout, vfs.Changes()...), "new"))
	// Output:
	// create: /state.tmp
	// write: /state.tmp 0+3
	// sync: /state.tmp
	// rename: /state.tmp -> /state
	// syncdir: /
	// <nil>
}
