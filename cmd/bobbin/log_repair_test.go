package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// flip turns a bit of the n-th batch of a segment, in its records.
func (f *fixture) flip(segment, n int) {
	f.t.Helper()
	name := fmt.Sprintf("%020d.log", []int{0, 12}[segment])
	f.change(name, func(b []byte) []byte {
		b[f.pos[segment][n]+batch.HeaderSize+2] ^= 1
		return b
	})
}

// tree is all files below dir, and what is in them.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		all[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// offsets lists those of the records that a log's segments have.
func offsets(t *testing.T, dir string) (all []int64) {
	t.Helper()
	l, err := readStoredLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range l.segments {
		scan, err := openSegment(s.path, s.base)
		if err != nil {
			t.Fatal(err)
		}
		for {
			b, err := scan.read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				continue // damage
			}
			for r, err := range b.Records(0) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, r.Offset)
			}
		}
		scan.close()
	}
	return all
}

func without(all []int64, first, last int64) []int64 {
	return slices.DeleteFunc(slices.Clone(all), func(o int64) bool { return o >= first && o <= last })
}

func TestRepair(t *testing.T) {
	for name, c := range map[string]struct {
		segment, batch int
		first, last    int64
	}{
		"first batch": {0, 0, 0, 2}, "in the middle": {0, 1, 3, 5}, "end of a segment": {0, 3, 9, 11}, "last segment": {1, 0, 12, 14},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			whole := offsets(t, f.log)
			f.flip(c.segment, c.batch)
			before := tree(t, f.dir)
			dry := run(t, "log", "repair", f.dir, "--dry-run")
			said := fmt.Sprintf("offsets %d-%d are lost, 3 records at most", c.first, c.last)
			if dry.code != exitCorrupt || !strings.Contains(dry.out, said) {
				t.Errorf("dry run: code %d\n%s%s", dry.code, dry.out, dry.stderr)
			}
			refused := runWith(t, nil, "n\n", "log", "repair", f.dir)
			if refused.code != exitError || !strings.Contains(refused.stderr, said) {
				t.Errorf("refused: code %d\n%s", refused.code, refused.stderr)
			}
			after := tree(t, f.dir)
			delete(after, ".lock")
			if fmt.Sprint(after) != fmt.Sprint(before) {
				t.Error("something was changed that nobody agreed to")
			}
			done := runWith(t, nil, "yes\n", "log", "repair", f.dir)
			if done.code != exitOK {
				t.Fatalf("code %d\n%s%s", done.code, done.out, done.stderr)
			}
			if got, want := offsets(t, f.log), without(whole, c.first, c.last); !slices.Equal(got, want) {
				t.Errorf("the log has %v, want %v", got, want)
			}
			if v := run(t, "log", "verify", f.dir, "--strict"); v.code != exitOK {
				t.Errorf("verify: code %d\n%s", v.code, v.out)
			}
			if _, err := os.Stat(filepath.Join(f.log, fmt.Sprintf("%020d.index", []int{0, 12}[c.segment]))); err != nil {
				t.Errorf("the index is not made anew: %v", err)
			}
			damaged := before[fmt.Sprintf("orders-0/%020d.log", []int{0, 12}[c.segment])]
			aside, err := os.ReadFile(filepath.Join(f.log, fmt.Sprintf("%020d.log.damaged-%d", []int{0, 12}[c.segment], f.pos[c.segment][c.batch])))
			if err != nil || len(aside) == 0 || !strings.Contains(damaged, string(aside)) {
				t.Errorf("the damaged bytes are not kept: %d, %v", len(aside), err)
			}
			if again := run(t, "log", "repair", f.dir, "--yes", "-o", "json"); again.code != exitOK {
				t.Errorf("again: code %d\n%s", again.code, again.stderr)
			} else {
				var r repairReport
				if err := json.Unmarshal([]byte(again.out), &r); err != nil || len(r.Repairs) != 0 {
					t.Errorf("a second repair does %+v, %v", r, err)
				}
			}
		})
	}
}

// Wherever a repair is interrupted, the log has either its old segment, or the
// new one, and a second repair ends what the first one began.
func TestRepairInterrupted(t *testing.T) {
	f := newFixture(t)
	f.flip(0, 1)
	logs, err := storedLogs(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	segment := logs[0].segments[0]
	old, err := os.ReadFile(segment.path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		stop := vfs.StopAfter(n)
		plan, err := planRepair("orders-0", segment, 12, logRule{clean: true}, func(batch.Batch) {})
		if err != nil || plan == nil {
			t.Fatalf("after %d operations: %+v, %v", n-1, plan, err)
		}
		err = plan.do(vfs.NewInject(vfs.OS{}, stop.Before))
		got, bad := os.ReadFile(segment.path)
		if bad != nil {
			t.Fatal(bad)
		}
		if err == nil {
			break
		}
		if string(got) != string(old) && n == 0 {
			t.Fatalf("stopped before anything was done, and the segment is another")
		}
		if string(got) != string(old) {
			break // renamed, but the directory's sync failed
		}
	}
	if v := run(t, "log", "repair", f.dir, "--yes"); v.code != exitOK {
		t.Errorf("code %d\n%s", v.code, v.stderr)
	}
	if v := run(t, "log", "verify", f.dir, "--strict"); v.code != exitOK {
		t.Errorf("verify: code %d\n%s", v.code, v.out)
	}
}

func TestExport(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"00000000000000000000.index", "00000000000000000000.timeindex", "00000000000000000012.snapshot"} {
		if err := os.Remove(filepath.Join(f.log, name)); err != nil { // as logs of other index designs are
			t.Fatal(err)
		}
	}
	// Room that was reserved, and is not exported.
	f.change("00000000000000000012.log", func(b []byte) []byte { return append(b, make([]byte, 4096)...) })
	to := filepath.Join(t.TempDir(), "kafka")
	if r := run(t, "log", "export", "--format=kafka", f.dir, to); r.code != exitOK {
		t.Fatalf("code %d\n%s", r.code, r.stderr)
	}
	if got, want := offsets(t, filepath.Join(to, "orders-0")), offsets(t, f.log); !slices.Equal(got, want) {
		t.Errorf("exported are %v, want %v", got, want)
	}
	if v := run(t, "log", "verify", to, "--strict"); v.code != exitOK {
		t.Errorf("verify: code %d\n%s", v.code, v.out)
	}
	for _, name := range []string{"00000000000000000000.index", "00000000000000000000.timeindex", "partition.metadata", "leader-epoch-checkpoint"} {
		if _, err := os.Stat(filepath.Join(to, "orders-0", name)); err != nil {
			t.Error(err)
		}
	}
	if r := run(t, "log", "export", f.dir, to); r.code != exitUsage {
		t.Errorf("onto what is there: code %d\n%s", r.code, r.stderr)
	}
	f.flip(0, 2)
	if r := run(t, "log", "export", f.dir, to+"2"); r.code != exitCorrupt || !strings.Contains(r.stderr, "offsets 6-8 are lost") {
		t.Errorf("damaged: code %d\n%s", r.code, r.stderr)
	}
	if r := run(t, "log", "export", f.dir, to+"3", "--leave-out-damage"); r.code != exitOK {
		t.Errorf("damaged and left out: code %d\n%s", r.code, r.stderr)
	}
	if got, want := offsets(t, filepath.Join(to+"3", "orders-0")), without(offsets(t, f.log), 6, 8); !slices.Equal(got, want) {
		t.Errorf("exported are %v, want %v", got, want)
	}
}
