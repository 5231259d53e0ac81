package main

import (
	"flag"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bobbin-log/bobbin/bench"
	"github.com/bobbin-log/bobbin/engine"
)

// catchupReadBytes is what a consumer asks a partition for, if nothing is set.
const catchupReadBytes = 1 << 20

func (a *app) benchCatchupCommand() *cobra.Command {
	var (
		flags  bench.Flags
		name   string
		coldMB int64
	)
	cmd := &cobra.Command{
		Use:   "catchup",
		Short: "Read a cold log beside live writers",
		Long: `Measure writers alone, and beside a reader of a log that is not in memory, with
several ways to read it: by the kernel's read-ahead, by the reader's own, with what
was read dropped behind it, and paced by the engine (the default). The reader wants
as much as it can get.`,
		Example: `  bobbin bench catchup --dir /mnt/disk
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
	cmd.Flags().Int64Var(&coldMB, "cold-mb", 2000, "size of the log that is read, in MB")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		design, err := engine.ParseDesign(name)
		if err != nil {
			return &usageError{err}
		}
		stop := a.progress(func() string { return "measuring" })
		report, err := bench.Catchup{
			Design: design, Settings: flags.Settings, Modes: bench.CatchupModes, Work: flags.Work, Rounds: flags.Rounds,
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
