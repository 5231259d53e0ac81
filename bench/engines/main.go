// Command engines gives other storage engines the work that "bobbin bench engine"
// gives Bobbin's own designs, in the same process and the same turns:
//
//	cd bench/engines && go run . -partitions 1,64 -report /tmp/engines
//
// Each is used as its authors would use it for an append-only log of batches that
// are durable when they are acknowledged; the file named after it says how. It is
// a module of its own, so that whoever embeds Bobbin does not inherit them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/bobbin-log/bobbin/bench"
)

// engines lists the other engines: one file and one line each.
func engines() []bench.Subject {
	return []bench.Subject{
		{Name: "pebble", Durable: true, Open: openPebble, Settings: "v2, one DB, key partition+index, Set with Sync; CockroachDB's sizes of memtables and levels"},
		{Name: "bbolt", Durable: true, Open: openBolt, Settings: "one DB, a bucket for each partition, DB.Batch, MaxBatchDelay 0.1 ms (10 ms is the default), FillPercent 1"},
		{Name: "tidwall-wal", Durable: true, Open: openTidwall, Settings: "a log for each partition, WriteBatch of all appends that gathered during the one before"},
		{Name: "raft-wal", Durable: true, Open: openRaftWAL, Settings: "a WAL for each partition, StoreLogs of all appends that gathered during the one before, segments as large as Bobbin's"},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "engines:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var flags bench.Flags
	f := flag.NewFlagSet("engines", flag.ContinueOnError)
	names := []string{"pwrite+fdatasync", "file+mmap+always", "file+mmap+journal"}
	for _, s := range engines() {
		names = append(names, s.Name)
	}
	flags.Define(f, names)
	if err := f.Parse(args); err != nil {
		return err
	}
	own, err := bench.Subjects(flags.Settings)
	if err != nil {
		return err
	}
	plan, err := flags.Plan(append(own, engines()...))
	if err != nil {
		return err
	}
	plan.Command = strings.Join(append([]string{"cd bench/engines && go run ."}, args...), " ")
	plan.Progress = func(line string) { fmt.Fprintln(os.Stderr, line) }
	report, err := plan.Run(ctx)
	if err != nil {
		return err
	}
	if flags.Report != "" {
		if err := report.WriteFiles(flags.Report); err != nil {
			return err
		}
	}
	fmt.Print(report.Markdown())
	return nil
}
