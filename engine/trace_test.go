package engine_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

var update = flag.Bool("update", false, "write the golden traces anew")

// The order of writes and syncs is a specification: what is durable before an
// append is acknowledged, and that nothing is synced for nothing. Each trace is
// of what the script's run does alone; a lost or an added fsync is a diff.
func TestTraces(t *testing.T) {
	random := regexp.MustCompile(`\.[0-9a-f]{16}-`)
	nothing := func(*history) error { return nil }
	filled := func(sizes ...int) func(*history) error {
		return func(h *history) error { return steps(h.create, func() error { return h.append(sizes...) }) }
	}
	for _, s := range []struct {
		name, design string // sync policy, or segment design and sync policy; the rest is the default's
		before, run  func(*history) error
	}{
		{"create", "always", nothing, func(h *history) error { return h.create() }},
		{"append_always", "always", filled(2), func(h *history) error { return h.append(1, 1) }},
		{"append_first", "always", func(h *history) error { return h.create() }, func(h *history) error { return h.append(1) }},
		{"append_journal", "journal", filled(2), func(h *history) error { return h.append(1) }},
		{"append_journal_first", "journal", func(h *history) error { return h.create() }, func(h *history) error { return h.append(1) }},
		{"truncate_journal", "journal", filled(5, 5, 5), func(h *history) error { return h.truncate(10) }},
		{"close_journal", "journal", filled(2), func(h *history) error { return h.close() }},
		{"open_journal", "journal", filled(2, 1), nil},
		{"append_dsync", "dsync", filled(2), func(h *history) error { return h.append(1, 1) }},
		{"append_mmap", "mmap+always", filled(2), func(h *history) error { return h.append(1, 1) }},
		{"append_direct", "direct+always", filled(2), func(h *history) error { return h.append(1, 1) }},
		{"append_uring", "uring+always", filled(2), func(h *history) error { return h.append(1, 1) }},
		{"append_none", "none", filled(2), func(h *history) error { return h.append(1, 1) }},
		{"roll", "always", filled(5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5), func(h *history) error { return h.append(5, 1) }},
		{"roll_dsync", "dsync", filled(5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5), func(h *history) error { return h.append(5, 1) }},
		{"truncate", "always", func(h *history) error {
			return steps(func() error { return filled(5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5)(h) }, h.tick)
		}, func(h *history) error { return h.truncate(20) }},
		{"trim", "always", filled(5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5), func(h *history) error { return h.trim(75) }},
		{"reset", "always", filled(5), func(h *history) error { return h.reset(100) }},
		{"compact", "always", func(h *history) error {
			h.config.Compact, h.config.MinDirtyRatio = true, 0
			return filled(slices.Repeat([]int{5}, 32)...)(h)
		}, func(h *history) error { h.store.Compact(); return nil }},
		{"checkpoint", "always", filled(2), func(h *history) error { return h.tick() }},
		{"checkpoint_again", "always", func(h *history) error { return steps(func() error { return filled(2)(h) }, h.tick) }, func(h *history) error { return h.tick() }},
		{"delete", "always", filled(2), func(h *history) error { return h.delete() }},
		{"close", "always", filled(2), func(h *history) error { return h.close() }},
		{"open_clean", "always", func(h *history) error { return steps(func() error { return filled(2)(h) }, h.close) }, nil},
		{"open_unclean", "always", filled(2), nil},
	} {
		t.Run(s.name, func(t *testing.T) {
			d := engine.DefaultDesign
			d.Sync = s.design
			if segment, sync, ok := strings.Cut(s.design, "+"); ok {
				d.Segment, d.Sync = segment, sync
			}
			var got string
			synctest.Test(t, func(t *testing.T) { got = traceOf(t, d, s.before, s.run) })
			got = random.ReplaceAllString(got, ".ID-")
			name := filepath.Join("testdata", s.name+".txt")
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the operations are not those of %s (go test -update writes it anew):\n%s\nwant\n%s", name, got, want)
			}
		})
	}
}

// traceOf traces run from the moment when all is at rest after before, until it
// is again; without run, opening what before has left.
func traceOf(t *testing.T, d engine.Design, before, run func(*history) error) string {
	t.Helper()
	var out strings.Builder
	mem := vfs.NewMem()
	h := newHistory(t, smallConfig(d))
	if err := h.open(vfs.NewTrace(mem, &out, vfs.Changes()...)); err != nil {
		t.Fatal(err)
	}
	if err := before(h); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	if run == nil {
		old := h.store
		mem = mem.Kill()
		out.Reset()
		if err := h.open(vfs.NewTrace(mem, &out, vfs.Changes()...)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := out.String()
		_ = old.Close()
		_ = h.store.Close()
		return got
	}
	out.Reset()
	if err := run(h); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	got := out.String()
	_ = h.store.Close()
	return got
}
