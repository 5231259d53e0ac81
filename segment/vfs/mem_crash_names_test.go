package vfs_test

import (
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

func TestCrashSyncedFileVanishesWithItsEntry(t *testing.T) {
	mem := vfs.NewMem()
	f := create(t, mem, "/a", "x")
	ok(t, f.Sync())
	look := func(m *vfs.Mem) string { return read(t, m, "/a") }
	wantOutcomes(t, outcomes(mem, look), "-", "x")
	ok(t, mem.SyncDir("/"))
	wantOutcomes(t, outcomes(mem, look), "x")
}

func TestCrashEntryWithoutContent(t *testing.T) {
	mem := vfs.NewMem()
	create(t, mem, "/a", "x")
	ok(t, mem.SyncDir("/"))
	look := func(m *vfs.Mem) string { return read(t, m, "/a") }
	wantOutcomes(t, outcomes(mem, look), "", "x", "\x00")
}

func TestCrashEntriesSurviveByThemselves(t *testing.T) {
	mem := vfs.NewMem()
	create(t, mem, "/a", "")
	create(t, mem, "/b", "")
	look := func(m *vfs.Mem) string { return list(t, m, "/") }
	wantOutcomes(t, outcomes(mem, look), "", "a", "b", "a b")
}

func TestCrashRemovedComesBack(t *testing.T) {
	mem := vfs.NewMem()
	f := synced(t, mem, "/a", "a")
	write(t, f, blocks("A"), 0) // never synced
	ok(t, f.Close())
	ok(t, mem.Remove("/a"))
	wantOutcomes(t, outcomes(mem, briefOf(t, "/a")), "-", "a", "A")
	if got := briefOf(t, "/a")(mem.Crash(nil, 0)); got != "a" {
		t.Errorf("the durable content is %q", got)
	}
	ok(t, mem.SyncDir("/"))
	wantOutcomes(t, outcomes(mem, briefOf(t, "/a")), "-")
}

func TestCrashRemovedTreeComesBackInParts(t *testing.T) {
	mem := vfs.NewMem()
	ok(t, mem.MkdirAll("/d"))
	ok(t, create(t, mem, "/d/a", "").Close())
	ok(t, create(t, mem, "/d/b", "").Close())
	ok(t, mem.SyncDir("/d"))
	ok(t, mem.RemoveAll("/d"))
	wantOutcomes(t, outcomes(mem, func(m *vfs.Mem) string {
		if list(t, m, "/") == "" {
			return "gone"
		}
		return list(t, m, "/d")
	}), "gone", "", "a", "b", "a b")
}

// both words which of two files are there, and what they hold.
func both(t *testing.T, one, two string) func(*vfs.Mem) string {
	return func(m *vfs.Mem) string { return brief(read(t, m, one)) + brief(read(t, m, two)) }
}

func TestCrashRenameShowsOldOrNew(t *testing.T) {
	mem := vfs.NewMem()
	synced(t, mem, "/new", "n")
	synced(t, mem, "/old", "o")
	ok(t, mem.Rename("/old", "/new"))
	wantOutcomes(t, outcomes(mem, both(t, "/old", "/new")), "on", "-o")
	ok(t, mem.SyncDir("/"))
	wantOutcomes(t, outcomes(mem, both(t, "/old", "/new")), "-o")
}

func TestCrashRenameOfAFileWithoutADurableName(t *testing.T) {
	mem := vfs.NewMem()
	synced(t, mem, "/new", "n")
	ok(t, create(t, mem, "/old", blocks("o")).Sync())
	ok(t, mem.Rename("/old", "/new"))
	// Either change is lost or kept, yet the replaced file is never lost alone.
	wantOutcomes(t, outcomes(mem, both(t, "/old", "/new")), "-n", "on", "-o")
}

func TestCrashRenameAcrossDirectories(t *testing.T) {
	for _, test := range []struct {
		sync []string
		want []string
	}{
		{nil, []string{"f-", "-f"}},
		{[]string{"/to"}, []string{"-f", "ff"}},
		{[]string{"/from"}, []string{"f-", "-f"}},
		{[]string{"/to", "/from"}, []string{"-f"}},
		{[]string{"/from", "/to"}, []string{"-f", "ff"}}, // the old name waited for the new
		{[]string{"/from", "/to", "/from"}, []string{"-f"}},
	} {
		mem := vfs.NewMem()
		ok(t, mem.MkdirAll("/from"))
		ok(t, mem.MkdirAll("/to"))
		ok(t, create(t, mem, "/from/f", blocks("f")).Sync())
		ok(t, mem.SyncDir("/from"))
		ok(t, mem.Rename("/from/f", "/to/f"))
		for _, dir := range test.sync {
			ok(t, mem.SyncDir(dir))
		}
		wantOutcomes(t, outcomes(mem, both(t, "/from/f", "/to/f")), test.want...)
	}
}

func TestCrashRenameThereAndBack(t *testing.T) {
	mem := vfs.NewMem()
	ok(t, mem.MkdirAll("/x"))
	ok(t, mem.MkdirAll("/y"))
	ok(t, create(t, mem, "/x/f", blocks("f")).Sync())
	ok(t, mem.SyncDir("/x"))
	ok(t, mem.Rename("/x/f", "/y/f"))
	ok(t, mem.Rename("/y/f", "/x/f"))
	for _, dir := range []string{"/x", "/y", "/x"} {
		ok(t, mem.SyncDir(dir))
		if got := both(t, "/x/f", "/y/f")(mem.Crash(nil, 0)); !strings.HasPrefix(got, "f") {
			t.Fatalf("after the sync of %s the file is lost: %q", dir, got)
		}
	}
	wantOutcomes(t, outcomes(mem, both(t, "/x/f", "/y/f")), "f-")
}

func TestCrashKeepsMadeDirectories(t *testing.T) {
	mem := vfs.NewMem()
	ok(t, mem.MkdirAll("/a/b/c"))
	wantOutcomes(t, outcomes(mem, func(m *vfs.Mem) string { return list(t, m, "/a/b") }), "c/")
}

// An older file that stands under the name because other changes were lost is
// replaced by what was kept of them, but not taken away by a rename of another file.
func TestCrashRenameTakesAwayItsOwnFile(t *testing.T) {
	mem := vfs.NewMem()
	synced(t, mem, "/a", "o")
	ok(t, mem.Rename("/a", "/b"))
	ok(t, create(t, mem, "/a", blocks("n")).Sync())
	ok(t, mem.Rename("/a", "/c"))
	look := func(m *vfs.Mem) string { return both(t, "/a", "/b")(m) + briefOf(t, "/c")(m) }
	wantOutcomes(t, outcomes(mem, look), "o--", "n--", "-o-", "no-", "o-n", "-on", "--n")
}
