package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// app is everything a command may touch of the world around it, so that a test
// can hand in its own.
type app struct {
	started time.Time // of the process
	environ []string  // KEY=value
	args    []string  // the command line that run was given
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer

	format outputFormat // -o
	began  bool         // a command's own code was reached: errors are no longer about usage
}

// run executes one command line and returns its exit code. Cancelling ctx asks
// the command to stop cleanly.
func (a *app) run(ctx context.Context, args []string) int {
	a.args = args
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if !a.began {
		err = &usageError{err}
	}
	code := exitCode(err)
	fmt.Fprintf(a.stderr, "bobbin: %s\n", message(err))
	if code == exitUsage {
		fmt.Fprintf(a.stderr, "See '%s --help'.\n", cmd.CommandPath())
	}
	return code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "bobbin",
		Short: "A Kafka-wire event log: the broker and its tools",
		Long: `Bobbin is an event log that speaks Apache Kafka's protocol: a broker in one
binary, and the tools to use it and to look at what it stores.`,
		Example: `  bobbin serve                                a broker on 127.0.0.1:9092, data in ./data
  bobbin topic create orders -p 3             a topic of three partitions
  echo 'hello' | bobbin produce orders        one record for every line
  bobbin consume orders -O start              everything from the first record on`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	a.format = formatTable
	root.PersistentFlags().VarP(&a.format, "output", "o", "how results are printed: table, json or yaml")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputFormats(), cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that is not there
	root.AddCommand(
		a.serveCommand(),
		a.configCommand(),
		a.topicCommand(),
		a.produceCommand(),
		a.consumeCommand(),
		a.logCommand(),
		a.benchCommand(),
		a.versionCommand(),
	)
	a.group(root)
	return root
}

// group prepares a tree of commands: one that only has commands below it says
// so when it is run, and every other one notes that its own code was reached.
func (a *app) group(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		a.group(c)
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(c *cobra.Command, args []string) error {
			a.began = true
			return run(c, args)
		}
		return
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		text := fmt.Sprintf("%q is no command of %s", args[0], c.CommandPath())
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			text += "; did you mean " + near[0] + "?"
		}
		return fmt.Errorf("%s", text)
	}
	cmd.RunE = func(c *cobra.Command, _ []string) error {
		if c == c.Root() {
			return c.Help()
		}
		names := make([]string, 0, len(c.Commands()))
		for _, sub := range c.Commands() {
			names = append(names, sub.Name())
		}
		return fmt.Errorf("%s needs to know what to do: %s", c.CommandPath(), strings.Join(names, ", "))
	}
}

// getenv returns an environment variable, "" if it is not set.
func (a *app) getenv(name string) string {
	// The last one wins, as in os/exec.
	for _, kv := range slices.Backward(a.environ) {
		if k, v, _ := strings.Cut(kv, "="); k == name {
			return v
		}
	}
	return ""
}

// isTerminal tells whether somebody watches what is written to w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
