package vfs_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

func free(t *testing.T, mem *vfs.Mem) int {
	t.Helper()
	return int(must(mem.Usage("/"))(t).Free)
}

func TestCapacity(t *testing.T) {
	mem := vfs.NewMem()
	mem.SetCapacity(10*block + 100)
	f := create(t, mem, "/a", blocks("abcd"))
	if got := free(t, mem); got != 6*block {
		t.Fatalf("%d bytes are free, want 6 blocks", got)
	}
	n, err := f.WriteAt([][]byte{[]byte(blocks("efg")), []byte(blocks("hijkl"))}, 4*block)
	refused(t, err, vfs.ErrNoSpace, "write", "/a")
	if n != 6*block || briefOf(t, "/a")(mem) != "abcdefghij" {
		t.Fatalf("a write into a full disk wrote %d bytes, file is %q", n, briefOf(t, "/a")(mem))
	}
	write(t, f, blocks("ABC"), 0) // needs no room
	ok(t, f.Sync())
	if n, err := f.WriteAt([][]byte{{1}}, 10*block); n != 0 || !errors.Is(err, vfs.ErrNoSpace) {
		t.Fatalf("wrote %d bytes to a full disk: %v", n, err)
	}

	mem.SetCapacity(11 * block) // heals
	write(t, f, "k", 10*block)
	mem.SetCapacity(5 * block) // below what is in use
	if got := free(t, mem); got != 0 {
		t.Fatalf("%d bytes are free", got)
	}
	ok(t, f.Truncate(5*block-1))
	_, err = f.WriteAt([][]byte{{1}}, 5*block)
	refused(t, err, vfs.ErrNoSpace, "write", "/a")
	ok(t, f.Truncate(4*block))
	write(t, f, "e", 4*block)
	mem.SetCapacity(-1)
	write(t, f, blocks("fghijklmnop"), 5*block)
}

func TestCapacityPreallocate(t *testing.T) {
	mem := vfs.NewMem()
	mem.SetCapacity(100 * block)
	f := create(t, mem, "/a", "")
	write(t, f, blocks("x"), 70*block)
	err := f.Preallocate(101 * block)
	refused(t, err, vfs.ErrNoSpace, "preallocate", "/a")
	if got := free(t, mem); got != 99*block {
		t.Fatalf("a refused Preallocate kept room: %d free", got)
	}
	ok(t, f.Preallocate(100*block))
	if got := free(t, mem); got != 0 {
		t.Fatalf("%d bytes are free", got)
	}
	write(t, f, blocks(strings.Repeat("y", 100)), 0) // cannot fail any more
	ok(t, f.Truncate(30*block))
	if got := free(t, mem); got != 70*block {
		t.Fatalf("%d bytes are free, want 70 blocks", got)
	}
	mem.SetCapacity(30 * block)
	_, err = f.WriteAt([][]byte{{1}}, 30*block) // no longer reserved
	refused(t, err, vfs.ErrNoSpace, "write", "/a")
}

func TestCapacityKeepsSyncedReservations(t *testing.T) {
	mem := vfs.NewMem()
	mem.SetCapacity(100 * block)
	f := synced(t, mem, "/a", "")
	ok(t, f.Preallocate(10*block))
	if got := free(t, mem.Crash(nil, 0)); got != 100*block {
		t.Fatalf("an unsynced reservation survived: %d bytes free", got)
	}
	ok(t, f.Sync())
	after := mem.Crash(nil, 0)
	if got := free(t, after); got != 90*block {
		t.Fatalf("after a crash %d bytes are free, want 90 blocks", got)
	}
	after.SetCapacity(10 * block)
	write(t, must(after.Open("/a"))(t), blocks("0123456789"), 0) // cannot fail
}

func TestCapacityOfRemovedFiles(t *testing.T) {
	mem := vfs.NewMem()
	mem.SetCapacity(100 * block)
	expect := func(blocks int) {
		t.Helper()
		if got := 100*block - free(t, mem); got != blocks*block {
			t.Fatalf("%d bytes are in use, want %d blocks", got, blocks)
		}
	}
	f := create(t, mem, "/a", blocks("a"))
	g := create(t, mem, "/b", blocks("bb"))
	ok(t, g.Close())
	m := must(f.Map(block))(t)
	expect(3)
	ok(t, mem.Rename("/a", "/b"))
	expect(1) // what was replaced and is not open
	ok(t, mem.Remove("/b"))
	ok(t, f.Close())
	expect(1) // still mapped
	ok(t, m.Unmap())
	expect(0)
	ok(t, mem.MkdirAll("/d/e"))
	ok(t, create(t, mem, "/d/e/f", blocks("f")).Close())
	ok(t, mem.RemoveAll("/d"))
	expect(0)
}

func TestCapacityAfterCrash(t *testing.T) {
	mem := vfs.NewMem()
	mem.SetCapacity(100 * block)
	f := synced(t, mem, "/a", "abc")
	write(t, f, blocks("defg"), 3*block)
	ok(t, must(mem.Create("/b"))(t).Preallocate(10*block))
	for _, test := range []struct {
		name string
		mem  *vfs.Mem
		used int
	}{
		{"source", mem, 17}, {"kill", mem.Kill(), 17}, {"all kept", mem.Crash(nil, 100), 17},
		{"none kept", mem.Crash(nil, 0), 3},
	} {
		if got := 100*block - free(t, test.mem); got != test.used*block {
			t.Errorf("%s: %d bytes in use, want %d blocks", test.name, got, test.used)
		}
		ok(t, test.mem.RemoveAll("/a"))
		ok(t, test.mem.RemoveAll("/b"))
		if got := free(t, test.mem); test.mem != mem && got != 100*block {
			t.Errorf("%s: %d bytes free after all was removed", test.name, got)
		}
	}
}
