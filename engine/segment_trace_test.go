package engine_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/bobbin-log/bobbin/engine"
)

// What the segment designs other than the default ask of the disk, for an append,
// a roll and the stop. A ring's operations are those of plain calls.
func TestSegmentTraces(t *testing.T) {
	rolls := []int{1, 5, 1}
	for _, s := range []struct {
		segment, sync, golden string
		appends               []int
	}{
		{"mmap", "always", "segment_mmap", rolls},
		{"direct", "always", "segment_direct", rolls},
		{"direct", "none", "segment_direct_none", []int{1, 1}},
		{"uring", "always", "segment_direct", rolls},
	} {
		t.Run(s.segment+"+"+s.sync, func(t *testing.T) {
			d := engine.DefaultDesign
			d.Segment, d.Sync = s.segment, s.sync
			var got string
			synctest.Test(t, func(t *testing.T) {
				filled := func(h *history) error {
					return steps(h.create, func() error { return h.append(5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5) })
				}
				got = traceOf(t, d, filled, func(h *history) error {
					return steps(func() error { return h.append(s.appends...) }, h.close)
				})
			})
			name := filepath.Join("testdata", s.golden+".txt")
			if *update && s.segment != "uring" {
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
