package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bobbin-log/bobbin/bench"
	"github.com/bobbin-log/bobbin/engine"
)

// catchupReadBytes is what a consumer asks a partition for, if nothing is set.
const catchupReadBytes = 1 << 20

func (a *app) benchCatchupCommand() *cobra.Command {
	var (
		flags   bench.Flags
		name    string
		readers []string
		coldMB  int64
	)
	cmd := &cobra.Command{
		Use:   "catchup",
		Short: "Read a cold log beside live writers",
		Long: `Measure writers alone, and beside a reader of a log that is not in memory, with
several ways to read it: by the kernel's read-ahead, by the reader's own, with what
was read dropped behind it, and paced by the engine (the default). The reader wants
as much as it can get. The scrub of that log is measured in the same way, at some
rates.`,
		Example: `  bobbin bench catchup --dir /mnt/disk
  bobbin bench catchup --dir /mnt/disk --readers scrub-10,scrub-100
  bobbin bench catchup --rate 2000 --time 10s
  bobbin bench catchup --design file+mmap+none+keep --cold-mb 8000`,
		Args: cobra.NoArgs,
	}
	goFlags := flag.NewFlagSet("catchup", flag.ContinueOnError)
	flags.DefineWork(goFlags)
	goFlags.Lookup("writers").DefValue = "16"
	flags.Work.Writers = 16
	cmd.Flags().AddGoFlagSet(goFlags)
	cmd.Flags().StringVar(&name, "design", engine.DefaultDesign.String(), "of both logs")
	cmd.Flags().StringSliceVar(&readers, "readers", nil, "`names` of the ways to read to measure beside the writers alone, with commas (default all)")
	cmd.Flags().Int64Var(&coldMB, "cold-mb", 2000, "size of the log that is read, in MB")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		design, err := engine.ParseDesign(name)
		if err != nil {
			return &usageError{err}
		}
		modes, err := catchupModes(readers)
		if err != nil {
			return &usageError{err}
		}
		stop := a.progress(func() string { return "measuring" })
		report, err := bench.Catchup{
			Design: design, Settings: flags.Settings, Modes: modes, Work: flags.Work, Rounds: flags.Rounds,
			ColdBytes: coldMB * 1e6, ReadBytes: catchupReadBytes, Dir: flags.Dir, Command: a.commandLine(),
		}.Run(cmd.Context())
		stop()
		if err != nil {
			return err
		}
		return a.print(report, func() *table {
			t := &table{
				head: []string{"READER", "WRITERS MB/s", "KEPT", "p50 µs", "p99 µs", "STRETCH", "READ MB/s", ""},
				foot: strings.Join([]string{
					"kept and stretch: throughput and p99 beside those alone, medians of the rounds' ratios",
					fmt.Sprintf("%s, %d writers, %d MB read in reads of 1 MiB, %v, %d rounds", report.Design, flags.Work.Writers, coldMB, flags.Work.Time, flags.Rounds),
				}, "\n"),
			}
			for _, r := range report.Rows {
				t.row(r.Mode, fmt.Sprintf("%.0f", r.Writers.MBps), fmt.Sprintf("%.2f", r.Kept), fmt.Sprintf("%.0f", r.Writers.P50),
					fmt.Sprintf("%.0f", r.Writers.P99), fmt.Sprintf("%.2f", r.Stretch), fmt.Sprintf("%.0f", r.ReadMBps), r.What)
			}
			return t
		})
	}
	return cmd
}

// catchupModes are those of the names, all if there are none, and the writers
// alone, with whom the others are compared.
func catchupModes(names []string) ([]bench.CatchupMode, error) {
	if len(names) == 0 {
		return bench.CatchupModes, nil
	}
	var known []string
	var some []bench.CatchupMode
	for _, m := range bench.CatchupModes {
		known = append(known, m.Name)
		if m.Alone || slices.Contains(names, m.Name) {
			some = append(some, m)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no reader is called %q; there are: %s", name, strings.Join(known, ", "))
		}
	}
	return some, nil
}
