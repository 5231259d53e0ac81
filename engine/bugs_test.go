//go:build bugs

package engine

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// seenBy names, for each bug, a test that must fail with it. The designs are the
// ones whose promise the bug breaks.
var seenBy = []struct {
	bug  bug
	test string
}{
	{bugNoDirSync, "TestCrashAfterEveryOperation/design=file[+]mmap[+]always[+]time[+]size$/truncate_without_a_checkpoint"},
	{bugAckEarly, "TestCrashAfterEveryOperation/design=file[+]mmap[+]always[+]time[+]size$/^append$"},
	{bugHandedEarly, "TestCrashAfterEveryOperation/design=direct[+]mmap[+]none[+]time[+]size$/^append$"},
	{bugServeEarly, "TestCrashAfterEveryOperation/design=file[+]mmap[+]none[+]time[+]size$/^recover$"},
	{bugSyncIgnored, "TestFailedWriteOrSync/sync"},
	{bugNamesUnkept, "TestCrashAfterEveryOperation/design=file[+]mmap[+]always[+]time[+]size$/^retention$"},
	{bugTruncateLazy, "TestCrashAfterEveryOperation/design=file[+]mmap[+]always[+]time[+]size$/^truncate_an_epoch$"},
	{bugCheckpointEarly, "TestCrashAfterEveryOperation/design=file[+]mmap[+]none[+]time[+]size$/^retention$"},
	{bugCheckpointKept, "TestCrashAfterEveryOperation/design=file[+]mmap[+]always[+]time[+]size$/^reset$"},
	{bugSkipCRC, "TestTorn/last_bit"},
	{bugSkipCRC, "TestCrashAfterEveryOperation/design=file[+]mmap[+]none[+]time[+]size$/^(roll|recover)$"},
	{bugIndexTrusted, "TestCrashAfterEveryOperation/design=file[+]mmap[+]none[+]time[+]size$/^(roll|recover)$"},
	{bugRetentionBlind, "TestDamagedIndex/.timeindex"},
	{bugMarkerKept, "TestCrashAfterEveryOperation/design=file[+]mmap[+]always[+]time[+]size$/^create$"},
	{bugMarkerEarly, "TestMarkerOnlyAfterFullRecovery"},
	{bugSnapshotNewer, "TestCrashAfterEveryOperation/design=file[+]mmap[+]always[+]time[+]size$/^truncate_an_epoch$"},
	{bugEpochsKept, "TestCrashAfterEveryOperation/design=file[+]mmap[+]always[+]time[+]size$/^truncate_an_epoch$"},
	{bugColdTruncated, "TestQuarantine"},
	{bugHoleKept, "TestGoOnAfterACutAtTheEndOfABatch/design=file[+]mmap[+]always[+]time[+]size/"},
	{bugSnapshotEarly, "TestCheckpointProvesNoSync"},
	{bugMarkersEarly, "TestCompactTransactions"},
	{bugTombstonesEarly, "TestCompact$"},
	{bugProducerDropped, "TestCompactKeepsProducers"},
	{bugCleanedKept, "TestCompactAfterTruncate"},
	{bugSwapEarly, "TestCompactCrashAfterEveryOperation/design=file[+](none|btree)[+]always[+]time[+]size$"},
	{bugJournalFreed, "TestJournalCrashAfterEveryOperation"},
	{bugJournalTorn, "TestJournalDamage"},
	{bugJournalGhost, "TestJournalCrashAfterEveryOperation"},
}

// Each bug makes a test fail, and every one of these tests passes without it.
func TestEveryBugIsSeen(t *testing.T) {
	if os.Getenv("BOBBIN_BUG") != "" {
		t.Skip("a bug is being made")
	}
	t.Run("all are in the table", func(t *testing.T) {
		source, err := os.ReadFile("bugs.go")
		if err != nil {
			t.Fatal(err)
		}
		known := string(source)
		for _, s := range seenBy {
			known = strings.ReplaceAll(known, `"`+string(s.bug)+`"`, "")
		}
		for line := range strings.Lines(known) {
			if strings.HasPrefix(line, "\tbug") && strings.Contains(line, `"`) {
				t.Errorf("no test is named that sees %s", strings.TrimSpace(line))
			}
		}
	})
	for _, s := range seenBy {
		t.Run(string(s.bug), func(t *testing.T) {
			t.Parallel()
			if out, failed := runWith(t, "", s.test); failed || !bytes.Contains(out, []byte("--- PASS")) {
				t.Errorf("%s fails, or is not there, without any bug:\n%s", s.test, out)
			}
			if out, failed := runWith(t, s.bug, s.test); !failed || !bytes.Contains(out, []byte("--- FAIL")) {
				t.Errorf("%s does not see %s:\n%s", s.test, s.bug, out)
			}
		})
	}
}

// runWith runs tests of this binary in a process that makes the bug. Whether one of
// a few crashes meets it is up to the workers, which may have synced by then or not:
// no crash is left out.
func runWith(t *testing.T, b bug, test string) (out []byte, failed bool) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run", test, "-test.v", "-test.timeout", "20m", "-crash.seed", "1", "-crash.every")
	c.Env = append(os.Environ(), "BOBBIN_BUG="+string(b))
	out, err := c.CombinedOutput()
	return out, err != nil
}
