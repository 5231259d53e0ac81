package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/bench"
)

// TestBenchEngine measures for a moment, writes the report, and compares it with
// itself.
func TestBenchEngine(t *testing.T) {
	dir := t.TempDir()
	base := filepath.Join(dir, "report")
	r := run(t, "bench", "engine", "--dir", dir, "--designs", "pwrite,file+mmap+none", "--partitions", "1,2", "--writers", "2",
		"--batch", "4KiB", "--time", "10ms", "--warmup", "0s", "--rounds", "1", "--report", base, "-o", "json")
	if r.code != exitOK {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	var got bench.Report
	if err := json.Unmarshal([]byte(r.out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) != 4 || !strings.HasPrefix(got.Command, "bobbin bench engine --dir "+dir) {
		t.Errorf("%d rows by the command %q", len(got.Rows), got.Command)
	}
	text, err := os.ReadFile(base + ".md")
	if err != nil || !strings.Contains(string(text), "| 2 | file+mmap+none | no |") {
		t.Errorf("%v, the report is\n%s", err, text)
	}
	c := run(t, "bench", "compare", base+".json", base+".json")
	if c.code != exitOK || strings.Count(c.out, "within the noise") != 4 {
		t.Errorf("exit code %d, %s%s", c.code, c.out, c.stderr)
	}
	if c = run(t, "bench", "compare", base+".json", base+".md"); c.code != exitError || !strings.Contains(c.stderr, "is not the JSON file of a report") {
		t.Errorf("exit code %d, %s", c.code, c.stderr)
	}
}

func TestCommandLine(t *testing.T) {
	a := &app{args: []string{"bench", "--designs", "*+mmap", "it's", ""}}
	if got, want := a.commandLine(), `bobbin bench --designs '*+mmap' 'it'\''s' ''`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBenchCatchup(t *testing.T) {
	r := run(t, "bench", "catchup", "--dir", t.TempDir(), "--cold-mb", "4", "--writers", "2", "--batch", "4KiB", "--time", "20ms", "--warmup", "0s", "--rounds", "1")
	if r.code != exitOK || !strings.Contains(r.out, "\npaced ") {
		t.Errorf("exit code %d: %s%s", r.code, r.out, r.stderr)
	}
}
