package main

import (
	"flag"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bobbin-log/bobbin/bench"
)

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Put storage designs side by side",
		Long: `Measure designs of the storage engine under equal conditions, in turns, on the
file system of a directory. Nothing else should run on the machine meanwhile.`,
		Example: "  bobbin bench engine\n  bobbin bench catchup\n  bobbin bench compare before.json after.json",
	}
	cmd.AddCommand(a.benchEngineCommand(), a.benchCatchupCommand(), a.benchCompareCommand())
	return cmd
}

func (a *app) benchEngineCommand() *cobra.Command {
	var flags bench.Flags
	cmd := &cobra.Command{
		Use:   "engine",
		Short: "Append to logs of each design",
		Long: `Append batches to logs of each design, and report throughput, latency, what the
device did and what it cost in processor time. Designs are named
segment+index+sync, such as file+mmap+always; "pwrite" and "pwrite+fdatasync"
are the bare system calls. What is measured if nothing is said is every durable
segment design with every sync policy that acknowledges what is durable.`,
		Example: `  bobbin bench engine --dir /mnt/disk --report results/engine
  bobbin bench engine --designs 'file+mmap+*' --partitions 1,100 --batch 64KiB
  bobbin bench engine --designs file+mmap+always --config preallocate=true
  bobbin bench engine --designs '*+mmap+always' --rate 2000 --time 10s -o json`,
		Args: cobra.NoArgs,
	}
	goFlags := flag.NewFlagSet("engine", flag.ContinueOnError)
	flags.Define(goFlags, bench.DefaultNames())
	cmd.Flags().AddGoFlagSet(goFlags)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all, err := bench.Subjects(flags.Settings)
		if err != nil {
			return &usageError{err}
		}
		plan, err := flags.Plan(all)
		if err != nil {
			return &usageError{err}
		}
		plan.Command = a.commandLine()
		plan.Progress = func(line string) {
			if isTerminal(a.stderr) {
				fmt.Fprintf(a.stderr, "\r\x1b[K%s", line)
			}
		}
		report, err := plan.Run(cmd.Context())
		if isTerminal(a.stderr) {
			fmt.Fprint(a.stderr, "\r\x1b[K")
		}
		if err != nil {
			return err
		}
		if flags.Report != "" {
			if err := report.WriteFiles(flags.Report); err != nil {
				return err
			}
		}
		return a.print(report, func() *table {
			t := &table{head: bench.Columns(), foot: strings.Join(report.Notes(), "\n")}
			for _, row := range report.Rows {
				t.rows = append(t.rows, row.Cells())
			}
			return t
		})
	}
	return cmd
}

// commandLine is what was asked for, to be asked again in a shell.
func (a *app) commandLine() string {
	words := []string{"bobbin"}
	for _, w := range a.args {
		if strings.ContainsAny(w, " *?[]{}$&;|<>()'\"\\`") || w == "" {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func (a *app) benchCompareCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compare A.json B.json",
		Short: "Compare two reports",
		Long: `Divide the figures of report B by those of report A, for every design and number
of partitions that both have. A ratio of throughput within the spread of the
rounds is noise, and marked so.`,
		Example: "  bobbin bench compare before.json after.json\n  bobbin bench compare before.json after.json -o json",
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			before, err := bench.ReadReport(args[0])
			if err != nil {
				return err
			}
			after, err := bench.ReadReport(args[1])
			if err != nil {
				return err
			}
			c, err := bench.Compare(before, after)
			if err != nil {
				return err
			}
			return a.print(c, func() *table {
				t := &table{head: []string{"PARTITIONS", "DESIGN", "MB/s A", "MB/s B", "B/A", "p99 B/A", "CPU B/A", ""}}
				for _, r := range c.Rows {
					verdict := ""
					if math.Abs(r.MBps-1) <= r.Spread {
						verdict = "within the noise"
					}
					t.row(r.Partitions, r.Subject, fmt.Sprintf("%.1f", r.A.MBps), fmt.Sprintf("%.1f", r.B.MBps),
						fmt.Sprintf("%.2f", r.MBps), fmt.Sprintf("%.2f", r.P99), fmt.Sprintf("%.2f", r.CPU), verdict)
				}
				if len(c.Unlike) > 0 {
					t.foot = "not measured alike: " + strings.Join(c.Unlike, "; ")
				}
				return t
			})
		},
	}
}
