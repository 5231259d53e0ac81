package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// repairReport is what log repair is going to do, or has done.
type repairReport struct {
	Logs    int       `json:"logs"`
	Repairs []*repair `json:"repairs"`
	Lost    int64     `json:"offsets_lost"`
	Done    bool      `json:"done"`
}

func (a *app) logRepairCommand() *cobra.Command {
	var only []string
	var yes, dry bool
	cmd := &cobra.Command{
		Use:   "repair DIR",
		Short: "Take what is damaged out of stored data",
		Long: `Take what is damaged out of a data directory that no broker has open, so that all
the rest can be read without an error. It says first what it is going to do, and
which offsets are lost by it, and asks.

Damaged bytes are copied to a file beside their segment before anything is
changed, and in their place comes an empty batch, which consumers skip. Indexes,
producer snapshots and leader epochs are made anew where they are missing or
wrong, and the unfinished end of a log is cut off, as every start does it.

A broker needs no repair to start: it serves what lies around damage, and
answers CORRUPT_MESSAGE for what is damaged.`,
		Example: "  bobbin log repair data --dry-run\n  bobbin log repair data\n  bobbin log repair data --log orders-0 --yes",
		Args:    cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.StringSliceVar(&only, "log", nil, "repair only this log, such as orders-0")
	f.BoolVar(&yes, "yes", false, "do not ask")
	f.BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		dir, fsys := args[0], vfs.OS{}
		if _, err := os.Stat(filepath.Join(dir, "meta.properties")); err != nil {
			return usagef("%s is no data directory: it has no meta.properties", dir)
		}
		lock, err := fsys.Lock(filepath.Join(dir, ".lock"))
		if err != nil {
			return fmt.Errorf("%s cannot be repaired while a broker has it open: %w", dir, err)
		}
		r, names, err := planRepairs(dir, only)
		designs := map[string]string{} // of indexes, which a repair removes
		for _, name := range names {
			designs[name] = indexDesign(filepath.Join(dir, name))
		}
		if err == nil {
			err = a.repair(fsys, r, dry, yes)
		}
		err = errors.Join(err, lock.Close())
		if err != nil || !r.Done {
			return err
		}
		if err := reopenLogs(fsys, dir, names, func(name string) string { return designs[name] }); err != nil {
			return err
		}
		return a.print(r, func() *table { return &table{foot: fmt.Sprintf("%d segments repaired", len(r.Repairs))} })
	}
	return cmd
}

// planRepairs looks at the logs of a directory, all of them or those that are
// named.
func planRepairs(dir string, only []string) (*repairReport, []string, error) {
	logs, err := storedLogs(dir)
	if err != nil {
		return nil, nil, err
	}
	r := &repairReport{Repairs: []*repair{}}
	var names []string
	for _, l := range logs {
		name := filepath.Base(l.dir)
		if name == "__cluster_metadata-0" || len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		names = append(names, name)
		rule := (&verifier{}).tail(dir, name)
		for i, s := range l.segments {
			next := rule.point
			if !s.last {
				next = l.segments[i+1].base
			}
			p, err := planRepair(name, s, next, rule)
			if err != nil {
				return nil, nil, err
			}
			if p == nil {
				continue
			}
			r.Repairs = append(r.Repairs, p)
			for _, d := range p.Lost {
				r.Lost += d.Next - d.First
			}
		}
	}
	r.Logs = len(names)
	if len(only) > len(names) {
		return nil, nil, usagef("%s has no log of that name among %s", dir, strings.Join(only, ", "))
	}
	return r, names, nil
}

// repair says what is going to happen, asks, and does it.
func (a *app) repair(fsys vfs.FS, r *repairReport, dry, yes bool) error {
	if dry {
		err := a.print(r, func() *table {
			return &table{foot: a.described(r) + "nothing was changed"}
		})
		if err == nil && len(r.Repairs) > 0 {
			err = errDamaged
		}
		return err
	}
	if !yes && len(r.Repairs) > 0 {
		fmt.Fprintf(a.stderr, "%sRepair %d segments, and lose %s offsets? [y/N] ", a.described(r), len(r.Repairs), thousands(r.Lost))
		line, _ := bufio.NewReader(a.stdin).ReadString('\n')
		if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
			return errors.New("nothing was changed")
		}
	}
	for _, p := range r.Repairs {
		if err := p.do(fsys); err != nil {
			return fmt.Errorf("%s: %w (run it again: what was repaired before stays so)", p.Segment, err)
		}
	}
	r.Done = true
	return nil
}

func (a *app) described(r *repairReport) string {
	text := ""
	for _, p := range r.Repairs {
		text += p.String()
	}
	return text
}
