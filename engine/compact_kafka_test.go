package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// What Apache Kafka leaves when it is killed in a swap is undone or completed as
// Kafka would. It renames the log first, where we rename it last, and it renames
// the old files to .deleted before it removes them.
func TestKafkaSwaps(t *testing.T) {
	x := newCompaction(t, engine.DefaultDesign)
	done := x.disk.Kill()
	s, l, err := x.open(done)
	if err != nil {
		t.Fatal(err)
	}
	s.Compact()
	closeStore(t, s, l)
	all := []string{".log", ".index", ".timeindex"}
	base := x.bases[0]
	for _, test := range []struct {
		name string
		// made are suffixes of the new segment's files behind their own, in the
		// order of all; "": it has its name, "-": there is none.
		made []string
		old  string // what became of the old files: kept, deleted or gone
		new  bool
	}{
		{"the log is renamed", []string{".swap", ".cleaned", ".cleaned"}, "kept", false},
		{"all but one are renamed", []string{".swap", ".swap", ".cleaned"}, "kept", false},
		{"written", []string{".cleaned", ".cleaned", ".cleaned"}, "kept", false},
		{"all are renamed", []string{".swap", ".swap", ".swap"}, "kept", true},
		{"the old ones are on their way out", []string{".swap", ".swap", ".swap"}, "deleted", true},
		{"and gone", []string{".swap", ".swap", ".swap"}, "gone", true},
		{"the log has its name", []string{"", ".swap", ".swap"}, "deleted", true},
		{"an index is missing", []string{".swap", "-", ".swap"}, "kept", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			fs := x.disk.Kill()
			for _, name := range listing(t, fs) {
				at, suffix := int64(-1), ""
				_, _ = fmt.Sscanf(name, "%020d%s", &at, &suffix)
				if at < base || at >= x.bases[1] || suffix == ".snapshot" || test.old == "kept" {
					continue
				}
				if test.old == "deleted" {
					copyFile(t, fs, name, fs, name+".deleted")
				}
				if err := fs.Remove("/data/t-0/" + name); err != nil {
					t.Fatal(err)
				}
			}
			for i, suffix := range test.made {
				if name := fmt.Sprintf("%020d%s", base, all[i]); suffix != "-" {
					copyFile(t, done, name, fs, name+suffix)
				}
			}
			s, l, err := x.open(fs)
			if err != nil {
				t.Fatal(err)
			}
			want := x.before
			if test.new {
				want = x.after
			}
			got := between(readAll(t, l, 0, l.Marks().End, 1<<20), base, x.bases[1])
			if want := between(want, base, x.bases[1]); !sameRecords(got, want) {
				t.Errorf("%d records, want %d", len(got), len(want))
			}
			if leftover(t, fs) {
				t.Errorf("something is left: %s", strings.Join(listing(t, fs), " "))
			}
			closeStore(t, s, l)
		})
	}
}

func copyFile(t *testing.T, from *vfs.Mem, name string, to *vfs.Mem, as string) {
	t.Helper()
	b, err := vfs.ReadFile(from, "/data/t-0/"+name, 1<<20)
	if err == nil {
		err = vfs.WriteFile(to, "/data/t-0/"+as, b)
	}
	if err != nil {
		t.Fatal(err)
	}
}
