//go:build bugs

package fuzz_test

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

// The seeds of FuzzLog and FuzzRecover alone see these of the bugs that engine/bugs.go lists.
func TestEveryBugIsSeen(t *testing.T) {
	if os.Getenv("BOBBIN_BUG") != "" {
		t.Skip("a bug is being made")
	}
	for _, bug := range []string{
		"no_dirsync", "ack_before_sync", "serve_unsynced", "truncate_lazy", "checkpoint_early", "checkpoint_kept",
		"index_trusted", "marker_kept", "snapshot_newer", "epochs_kept", "cold_truncated", "hole_kept",
		"tombstones_early", "producer_dropped", "cleaned_kept", "swap_early",
	} {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^(FuzzLog|FuzzRecover)$", "-test.failfast", "-test.timeout", "20m")
			c.Env = append(os.Environ(), "BOBBIN_BUG="+bug)
			if out, err := c.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("--- FAIL")) {
				t.Errorf("%s is not seen:\n%s", bug, out)
			}
		})
	}
}
