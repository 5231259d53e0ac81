package vfs_test

import (
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

func TestKillLosesOnlyLocks(t *testing.T) {
	mem := vfs.NewMem()
	f := synced(t, mem, "/a", "abc")
	must(mem.Lock("/LOCK"))(t)
	write(t, f, blocks("B"), block)
	m := must(f.Map(block))(t)
	copy(m.Bytes(), blocks("A"))
	ok(t, mem.Rename("/a", "/b"))

	killed := mem.Kill()
	if got := both(t, "/a", "/b")(killed); got != "-ABc" {
		t.Fatalf("kill left %q", got)
	}
	ok(t, must(killed.Lock("/LOCK"))(t).Close())
	look := func(m *vfs.Mem) string { return strings.Trim(both(t, "/a", "/b")(m), "-") }
	wantOutcomes(t, outcomes(killed, look), "abc", "Abc", "aBc", "ABc")
	if got := both(t, "/a", "/b")(killed.Crash(nil, 0)); got != "abc-" {
		t.Fatalf("power lost after a kill left %q", got)
	}
	again := killed.Kill().Kill()
	ok(t, again.SyncDir("/"))
	ok(t, must(again.Open("/b"))(t).Sync())
	if got := both(t, "/a", "/b")(again.Crash(nil, 0)); got != "-ABc" {
		t.Fatalf("synced after a kill, then power lost: %q", got)
	}
}

func TestCrashReleasesLocks(t *testing.T) {
	mem := vfs.NewMem()
	must(mem.Lock("/LOCK"))(t)
	ok(t, mem.SyncDir("/"))
	ok(t, must(mem.Crash(nil, 0).Lock("/LOCK"))(t).Close())
	_, err := mem.Lock("/LOCK")
	refused(t, err, vfs.ErrLocked, "lock", "LOCK")
}

// Clones share what is whole until somebody changes it.
func TestClonesAreIndependent(t *testing.T) {
	clones := map[string]func(m *vfs.Mem) *vfs.Mem{
		"crash 0":   func(m *vfs.Mem) *vfs.Mem { return m.Crash(nil, 0) },
		"crash 100": func(m *vfs.Mem) *vfs.Mem { return m.Crash(nil, 100) },
		"kill":      (*vfs.Mem).Kill,
	}
	for name, clone := range clones {
		for _, letters := range []string{"x", strings.Repeat("x", 100)} { // also whole chunks
			mem := vfs.NewMem()
			before := strings.Repeat("a", 200)
			synced(t, mem, "/a", before)
			one, two := clone(mem), clone(mem)
			for i, m := range []*vfs.Mem{mem, one} {
				write(t, must(m.Open("/a"))(t), blocks(letters), 0)
				ok(t, create(t, m, "/new", "").Close())
				want := letters + before[len(letters):]
				if got := briefOf(t, "/a")(m); got != want {
					t.Errorf("%s: written, %d is %q", name, i, got)
				}
				for _, other := range []*vfs.Mem{one, two}[i:] {
					if got := briefOf(t, "/a")(other) + list(t, other, "/"); got != before+"a" {
						t.Errorf("%s: a write to %d shows elsewhere: %q", name, i, got)
					}
				}
			}
		}
	}
}

// The durable state of blocks that a clone has changed is its own, too.
func TestKillKeepsTheDurableState(t *testing.T) {
	mem := vfs.NewMem()
	f := synced(t, mem, "/a", strings.Repeat("a", 200))
	write(t, f, blocks("b"), 0)
	killed := mem.Kill()
	ok(t, f.Sync())
	write(t, f, blocks("c"), 0)
	write(t, f, blocks("d"), 100*block)
	if got := briefOf(t, "/a")(killed.Crash(nil, 0)); got != strings.Repeat("a", 200) {
		t.Fatalf("the durable state after kill became %q", got)
	}
}
