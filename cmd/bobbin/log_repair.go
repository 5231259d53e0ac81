package main

import (
	"bufio"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// repairReport is what log repair is going to do, or has done.
type repairReport struct {
	Logs    int       `json:"logs"`
	Repairs []*repair `json:"repairs"`
	Lost    int64     `json:"offsets_lost"`
	// Mended is what is made good without a loss: records that only the journal
	// has, and indexes of aborted transactions that say something else than the log.
	Mended []finding `json:"mended"`
	dir    *storedDir
	Done   bool `json:"done"`
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
indexes of aborted transactions, producer snapshots and leader epochs are made anew
where they are missing or wrong, the unfinished end of a log is cut off, and what
only the journal has of a log is added to it, as every start does it.

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
		lock, err := lockDataDirectory(fsys, dir, "repaired")
		if err != nil {
			return err
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
		if err := reopenLogs(fsys, dir, names, func(name string) string { return designs[name] }, r.dir.gaps); err != nil {
			return err
		}
		return a.print(r, func() *table {
			return &table{foot: fmt.Sprintf("%s%d segments repaired, %d files and logs mended without a loss", a.mended(r), len(r.Repairs), len(r.Mended))}
		})
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
	d, err := readStoredDir(dir, true)
	if err == nil {
		err = d.damage()
	}
	if err != nil {
		return nil, nil, err
	}
	r := &repairReport{Repairs: []*repair{}, Mended: []finding{}, dir: d}
	var names []string
	for _, l := range logs {
		name := filepath.Base(l.dir)
		if name == "__cluster_metadata-0" || len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		names = append(names, name)
		if err := r.plan(l); err != nil {
			return nil, nil, err
		}
	}
	r.Logs = len(names)
	if len(only) > len(names) {
		return nil, nil, usagef("%s has no log of that name among %s", dir, strings.Join(only, ", "))
	}
	return r, names, nil
}

// plan adds what is to be done to a log.
func (r *repairReport) plan(l *storedLog) error {
	d, name := r.dir, filepath.Base(l.dir)
	rule, transactions := d.rule(name), newTxnCheck(l)
	end := int64(0)
	for i, s := range l.segments {
		if err := transactions.begin(s, rule); err != nil {
			return err
		}
		if transactions.entries == nil {
			r.Mended = append(r.Mended, warning(s.aborted, 0, "it is damaged, and made anew"))
		}
		var wrong []finding
		p, err := planRepair(name, s, d.due(l, i), rule, func(b batch.Batch) { wrong = append(wrong, transactions.batch(b)...) })
		if err != nil {
			return err
		}
		end = p.end(transactions.next)
		if p == nil {
			r.Mended = append(r.Mended, append(wrong, transactions.finish()...)...)
			continue
		}
		transactions.blind = true
		r.Repairs = append(r.Repairs, p)
		for _, d := range p.Lost {
			r.Lost += d.Next - d.First
		}
	}
	next, err := d.lacking(l, end, func(engine.JournalRun, batch.Set) error { return nil })
	if next > end {
		r.Mended = append(r.Mended, warning(l.dir, 0, fmt.Sprintf("offsets up to %d are only in the journal, from %d on", next-1, end)))
	}
	return err
}

// repair says what is going to happen, asks, and does it.
func (a *app) repair(fsys vfs.FS, r *repairReport, dry, yes bool) error {
	if dry {
		err := a.print(r, func() *table {
			return &table{foot: a.described(r) + a.mended(r) + "nothing was changed"}
		})
		if err == nil && (len(r.Repairs) > 0 || slices.ContainsFunc(r.Mended, func(f finding) bool { return !f.Warning })) {
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

func (a *app) mended(r *repairReport) string {
	text := ""
	for _, f := range r.Mended {
		text += fmt.Sprintf("%s: %s: it is mended without a loss\n", f.Path, f.Why)
	}
	return text
}

func (a *app) described(r *repairReport) string {
	text := ""
	for _, p := range r.Repairs {
		text += p.String()
	}
	return text
}
