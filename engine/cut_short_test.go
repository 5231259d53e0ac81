package engine_test

import (
	"fmt"
	"math/rand/v2"
	"path"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A crash can take the bytes of a segment and leave the name of the one that
// followed on it. The log then ends with the first, and goes on from there.
func TestGoOnAfterACutAtTheEndOfABatch(t *testing.T) {
	for _, d := range designs() {
		if !durable(d) {
			continue
		}
		for _, kept := range []string{"nothing", "one batch"} {
			t.Run(fmt.Sprintf("design=%s/kept=%s", d, kept), func(t *testing.T) {
				mem, c := vfs.NewMem(), smallConfig(d)
				s := openStore(t, mem, "/data")
				l := create(t, s, "t-0", c)
				first := records(5, "first", 1000)
				mustAppend(t, l, first)
				fill(t, l, rand.New(rand.NewPCG(1, 1)), []string{"", "", "", "", ""}, 200)
				mem = mem.Crash(rand.New(rand.NewPCG(1, 2)), 100)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				size, want := int64(0), int64(0)
				if kept == "one batch" {
					size, want = int64(len(first.Bytes())), 5
				}
				if err := mem.RemoveAll("/data/journal"); err != nil { // it would give back what the segment lost
					t.Fatal(err)
				}
				truncate(t, mem, path.Join("/data/t-0", "00000000000000000000.log"), size)

				s = openStore(t, mem, "/data")
				l = reopen(t, s, "t-0", c)
				if m := l.Marks(); m.Start != 0 || m.End != want {
					t.Fatalf("the log is [%d, %d), want [0, %d)", m.Start, m.End, want)
				}
				if a := mustAppend(t, l, records(3, "second", 2000)); a.Base != want {
					t.Errorf("appended at %d, want %d", a.Base, want)
				}
				var all []string
				for i := range want {
					all = append(all, fmt.Sprintf("first/%d", i))
				}
				all = append(all, "second/0", "second/1", "second/2")
				checkValues(t, readAll(t, l, 0, want+3, 1<<20), 0, all)
				closeStore(t, s, l)
			})
		}
	}
}

func truncate(t *testing.T, fs vfs.FS, name string, size int64) {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
