package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// exportReport is what log export has written.
type exportReport struct {
	Logs     int   `json:"logs"`
	Segments int   `json:"segments"`
	Batches  int64 `json:"batches"`
	Bytes    int64 `json:"bytes"`
	Journal  int64 `json:"journal_bytes"` // of Bytes, those that only the journal had
	Left     int   `json:"damage_left_out"`
	Lost     int64 `json:"offsets_lost"`
}

func (a *app) logExportCommand() *cobra.Command {
	var format string
	var lossy bool
	cmd := &cobra.Command{
		Use:   "export SRC DST",
		Short: "Copy stored data in another layout",
		Long: `Copy a data directory that no broker has open into a new one that has Apache
Kafka's layout, whatever designs the logs are of: segments with their batches as
they are, .index, .timeindex, .snapshot, leader-epoch-checkpoint, partition.metadata
and the checkpoints. Every batch is checked on the way; what is damaged ends the
export, or is left out, with an empty batch in the place of its offsets, if that is
asked for. What only the journal has of a log, after a crash, comes behind its
segments. Topics as such, with their configs, are in the brokers' own metadata,
which is not exported: make them there, and put the directories in place.`,
		Example: "  bobbin log export --format=kafka data kafka-data\n  bobbin log export --format=kafka data kafka-data --leave-out-damage",
		Args:    cobra.ExactArgs(2),
	}
	cmd.Flags().StringVar(&format, "format", "kafka", "the layout; kafka is the only one")
	cmd.Flags().BoolVar(&lossy, "leave-out-damage", false, "go on behind what is damaged")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if format != "kafka" {
			return usagef("--format %s is not known: kafka is the only one", format)
		}
		x := &export{fsys: vfs.OS{}, from: args[0], to: args[1], lossy: lossy}
		lock, err := lockDataDirectory(x.fsys, x.from, "exported")
		if err != nil {
			return err
		}
		if err := errors.Join(x.run(), lock.Close()); err != nil {
			return err
		}
		r := x.report
		return a.print(r, func() *table {
			return &table{foot: fmt.Sprintf("%d logs, %d segments, %s batches, %s exported, %s of it from the journal; %d runs of damage left out, %s offsets lost",
				r.Logs, r.Segments, thousands(r.Batches), megabytes(r.Bytes), megabytes(r.Journal), r.Left, thousands(r.Lost))}
		})
	}
	return cmd
}

// export copies one data directory. The segments are copied as they are; all else
// is made from them, by opening them as a broker does.
type export struct {
	fsys     vfs.FS
	from, to string
	lossy    bool
	dir      *storedDir
	report   exportReport
}

func (x *export) run() error {
	if entries, err := os.ReadDir(x.to); err == nil && len(entries) > 0 {
		return usagef("%s is not empty", x.to)
	}
	logs, err := storedLogs(x.from)
	if err != nil {
		return err
	}
	if x.dir, err = readStoredDir(x.from, true); err != nil {
		return err
	}
	if err := x.dir.damage(); err != nil {
		if !x.lossy {
			return fmt.Errorf("%w: leave it out with --leave-out-damage", err)
		}
		x.report.Left++
	}
	if err := x.fsys.MkdirAll(x.to); err != nil {
		return err
	}
	for _, name := range []string{"meta.properties", "log-start-offset-checkpoint"} {
		if err := x.file(name); err != nil {
			return err
		}
	}
	var names []string
	for _, l := range logs {
		name := filepath.Base(l.dir)
		if len(l.segments) == 0 || name == "__bobbin_metadata-0" || name == "__cluster_metadata-0" {
			continue
		}
		if err := x.log(l, name); err != nil {
			return err
		}
		names = append(names, name)
		x.report.Logs++
	}
	if err := x.cleaned(names); err != nil {
		return err
	}
	return reopenLogs(x.fsys, x.to, names, func(string) string { return "mmap" }, x.dir.gaps)
}

// cleaned writes down up to where the logs were compacted: there offsets may be
// missing, and their cleaner goes on from there.
func (x *export) cleaned(names []string) error {
	c := engine.Checkpoint{}
	for _, name := range names {
		if offset, ok := x.dir.cleaned[name]; ok {
			c[name] = offset
		}
	}
	if len(c) == 0 {
		return nil
	}
	return engine.WriteCheckpoint(x.fsys, x.to, nameCleaned, c)
}

// file copies a small file, if it is there.
func (x *export) file(name string) error {
	raw, err := os.ReadFile(filepath.Join(x.from, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return vfs.WriteFile(x.fsys, filepath.Join(x.to, name), raw)
}

func (x *export) log(l *storedLog, name string) error {
	if err := x.fsys.MkdirAll(filepath.Join(x.to, name)); err != nil {
		return err
	}
	for _, path := range l.others {
		file := filepath.Base(path)
		if file != "partition.metadata" && !strings.HasSuffix(file, ".txnindex") {
			continue
		}
		if err := x.file(filepath.Join(name, file)); err != nil {
			return err
		}
	}
	rule := x.dir.rule(name)
	for i, s := range l.segments {
		if err := x.segment(l, s, x.dir.due(l, i), rule); err != nil {
			return err
		}
	}
	return x.fsys.SyncDir(filepath.Join(x.to, name))
}

func (x *export) segment(l *storedLog, s storedSegment, next int64, rule logRule) (err error) {
	name := filepath.Base(l.dir)
	plan, err := planRepair(name, s, next, rule, func(batch.Batch) {})
	if err != nil {
		return err
	}
	if plan != nil && !x.lossy {
		return fmt.Errorf("%s%w: repair it, or leave it out with --leave-out-damage", plan, errDamaged)
	}
	scan, err := openSegment(s.path, s.base)
	if err != nil {
		return err
	}
	defer scan.close()
	to, err := x.fsys.Create(filepath.Join(x.to, name, filepath.Base(s.path)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Sync(), to.Close()) }()
	w, epoch := fileWriter{file: to}, batch.NoLeaderEpoch
	x.report.Segments++
	for {
		b, err := scan.read()
		var d *damage
		switch {
		case errors.Is(err, io.EOF):
			if !s.last {
				return nil
			}
			return x.journal(l, &w, plan.end(scan.next))
		case errors.As(err, &d):
			err = x.gap(&w, plan, d, epoch)
		case err == nil:
			epoch = b.LeaderEpoch()
			x.report.Batches++
			x.report.Bytes += int64(len(b.Batch))
			_, err = w.Write(b.Batch)
		}
		if err != nil {
			return err
		}
	}
}

// journal writes what only the journal has behind the log's last batch, which ends
// before offset end.
func (x *export) journal(l *storedLog, w *fileWriter, end int64) error {
	_, err := x.dir.lacking(l, end, func(_ engine.JournalRun, s batch.Set) error {
		x.report.Batches += int64(s.Len())
		x.report.Bytes += s.Size()
		x.report.Journal += s.Size()
		_, err := w.Write(s.Bytes())
		return err
	})
	var damaged *engine.CorruptError
	if errors.As(err, &damaged) && x.lossy {
		x.report.Left++
		x.report.Lost += damaged.Next - damaged.First
		return nil
	}
	return err
}

// gap writes what the plan has in the place of damage. Of a torn end it has
// nothing.
func (x *export) gap(w *fileWriter, plan *repair, d *damage, epoch int32) error {
	if plan == nil {
		return nil
	}
	for _, l := range plan.Lost {
		if l.Position != d.pos {
			continue
		}
		x.report.Left++
		if l.Next > l.First {
			x.report.Lost += l.Next - l.First
			_, err := w.Write(batch.Gap(l.First, l.Next, epoch))
			return err
		}
	}
	return nil
}
