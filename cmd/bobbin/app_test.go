package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the golden files anew")

// result is what a command line left.
type result struct {
	code        int
	out, stderr string
}

// runWith runs one command line in an environment.
func runWith(t *testing.T, environ []string, stdin string, args ...string) result {
	t.Helper()
	var out, stderr bytes.Buffer
	a := &app{started: time.Now(), environ: environ, stdin: strings.NewReader(stdin), stdout: &out, stderr: &stderr}
	code := a.run(t.Context(), patient(args))
	return result{code, out.String(), stderr.String()}
}

// patient has a command that talks to a broker wait for it however slow the
// machine is: a test that hangs is ended by go test.
func patient(args []string) []string {
	cmd, _, err := (&app{}).root().Find(args)
	if err != nil || cmd.Flags().Lookup("timeout") == nil {
		return args
	}
	return append(slices.Clip(args), "--timeout=1h")
}

func run(t *testing.T, args ...string) result { return runWith(t, nil, "", args...) }

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it anew):\n--- got\n%s\n--- want\n%s", path, got, want)
	}
}

// TestHelp holds every command's help against a golden file, and wants an
// example in each.
func TestHelp(t *testing.T) {
	var all strings.Builder
	root := (&app{}).root()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Example == "" && c.Name() != "completion" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		path := strings.Fields(c.CommandPath())[1:]
		r := run(t, append(path, "--help")...)
		if r.code != exitOK || r.stderr != "" {
			t.Errorf("%s --help: exit code %d, stderr %q", c.CommandPath(), r.code, r.stderr)
		}
		all.WriteString("=== " + c.CommandPath() + "\n" + r.out + "\n")
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	golden(t, "help.txt", all.String())
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"topc"}, `"topc" is no command of bobbin; did you mean topic?`},
		{[]string{"topic"}, "needs to know what to do: alter, create, delete, describe, list"},
		{[]string{"topic", "crate"}, "did you mean create?"},
		{[]string{"topic", "create"}, "say which topic"},
		{[]string{"topic", "create", "x", "-c", "novalue"}, `"novalue" is not of the form key=value`},
		{[]string{"topic", "create", "x", "-p", "many"}, "invalid argument"},
		{[]string{"topic", "alter", "x"}, "say what to change"},
		{[]string{"topic", "alter", "x", "--set", "a=1", "-d", "a"}, "a is to be both set and deleted"},
		{[]string{"topic", "list", "("}, "missing closing )"},
		{[]string{"topic", "list", "-o", "xml"}, "there are: table, json, yaml"},
		{[]string{"version", "extra"}, "unknown command"},
		{[]string{"produce"}, "say which topic"},
		{[]string{"produce", "t", "-z", "rar"}, "there are: none, gzip, snappy, lz4, zstd"},
		{[]string{"produce", "t", "--acks", "2"}, `--acks "2" is not all, 1 or 0`},
		{[]string{"produce", "t", "-H", "nothing"}, "not of the form name=value"},
		{[]string{"produce", "t", "-f", "%q"}, "--format"},
		{[]string{"produce", "t", "--max-message-bytes", "3"}, "not between"},
		{[]string{"produce", "-t", ""}, "say which topic"},
		{[]string{"consume"}, "say which topic"},
		{[]string{"consume", "t", "-o", "start"}, "offsets are given by -O"},
		{[]string{"consume", "t", "-o", "yaml"}, "not as yaml"},
		{[]string{"consume", "t", "-o", "json", "-f", "%v"}, "exclude each other"},
		{[]string{"consume", "t", "-f", "%q"}, "--format"},
		{[]string{"consume", "t", "-O", "soon"}, `offset "soon" is not`},
		{[]string{"log", "inspect"}, "requires at least 1 arg"},
		{[]string{"log", "inspect", ".", "-o", "yaml"}, "not as yaml"},
		{[]string{"log", "verify", "app_test.go"}, "no file that can be verified"},
		{[]string{"bench"}, "needs to know what to do: catchup, compare, engine"},
		{[]string{"bench", "engine", "--designs", "tape"}, "nothing is called \"tape\"; there are: pwrite, "},
		{[]string{"bench", "engine", "--partitions", "some"}, "is not a number"},
		{[]string{"bench", "engine", "--time", "-1s"}, "must be positive"},
		{[]string{"bench", "engine", "--config", "fsync=1"}, "is not known"},
		{[]string{"bench", "compare", "a.json"}, "accepts 2 arg(s)"},
		{[]string{"bench", "catchup", "--design", "tape+mmap+always+time"}, "tape"},
		{[]string{"serve", "a", "b"}, "accepts at most 1 arg"},
		{[]string{"serve", "/no/such/file"}, "no such file"},
		{[]string{"serve", "--override", "x"}, "not of the form key=value"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			r := run(t, c.args...)
			if r.code != exitUsage {
				t.Errorf("exit code %d, want %d", r.code, exitUsage)
			}
			if !strings.Contains(r.stderr, c.says) || !strings.Contains(r.stderr, "--help'") {
				t.Errorf("stderr %q does not say %q and where help is", r.stderr, c.says)
			}
			if r.out != "" {
				t.Errorf("stdout is %q", r.out)
			}
		})
	}
}

func TestNoBroker(t *testing.T) {
	const nobody = "127.0.0.1:1" // a port that nothing listens at
	for _, args := range [][]string{{"topic", "list"}, {"produce", "t"}, {"consume", "t"}} {
		for _, r := range []result{
			run(t, append(args, "-b", nobody)...),
			runWith(t, []string{"BOBBIN_BROKERS=" + nobody}, "", args...),
			runWith(t, []string{"RPK_BROKERS=" + nobody}, "", args...),
		} {
			if r.code != exitError || !strings.Contains(r.stderr, "no broker listens at "+nobody) {
				t.Errorf("%v: exit code %d, stderr %q", args, r.code, r.stderr)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	for format, says := range map[string]string{"table": "bobbin", "json": `"version":`, "yaml": `"version": `} {
		r := run(t, "version", "-o", format)
		if r.code != exitOK || !strings.Contains(r.out, says) {
			t.Errorf("-o %s: exit code %d, %q", format, r.code, r.out)
		}
	}
}

func TestCompletion(t *testing.T) {
	r := run(t, "completion", "bash")
	if r.code != exitOK || !strings.Contains(r.out, "__start_bobbin") {
		t.Errorf("exit code %d, stderr %q, no script in %.80q", r.code, r.stderr, r.out)
	}
	r = run(t, cobra.ShellCompRequestCmd, "topic", "")
	if !strings.Contains(r.out, "create\t") {
		t.Errorf("the commands of topic are not offered: %q", r.out)
	}
	r = run(t, cobra.ShellCompRequestCmd, "topic", "list", "-o", "")
	if !strings.Contains(r.out, "json\n") {
		t.Errorf("the formats are not offered: %q", r.out)
	}
}

// TestInterrupted: a command that waits ends when it is told to.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := &app{started: time.Now(), stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	if code := a.run(ctx, []string{"topic", "list", "-b", "192.0.2.1:9092"}); code != exitError {
		t.Errorf("exit code %d", code)
	}
}
