package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// verifyReport is what log verify found.
type verifyReport struct {
	Logs     int   `json:"logs"`
	Segments int   `json:"segments"`
	Batches  int64 `json:"batches"`
	Records  int64 `json:"records"`
	Bytes    int64 `json:"bytes"`
	// JournalOffsets and JournalBytes are what logs have in the journal alone.
	JournalOffsets int64     `json:"journal_offsets"`
	JournalBytes   int64     `json:"journal_bytes"`
	Damaged        int       `json:"damaged"`
	Findings       []finding `json:"findings"`
}

func (r *verifyReport) add(f ...finding) {
	for _, x := range f {
		if !x.Warning {
			r.Damaged++
		}
	}
	r.Findings = append(r.Findings, f...)
}

func (a *app) logVerifyCommand() *cobra.Command {
	var gaps, strict bool
	cmd := &cobra.Command{
		Use:   "verify PATH...",
		Short: "Check everything that is stored",
		Long: `Check data directories, directories of partitions, or single segments: that
batches are whole, that their checksums hold and every record in them can be
read, that offsets ascend without gaps, that index entries point at batches, that
transactions that were aborted are in their index, and that the journal and the
small files beside them are what they should be. The exit code is 3 if anything is
damaged.

In logs that are compacted offsets may be missing: which they are is read from the
metadata of the data directory, Bobbin's or Kafka's, and from its checkpoints.
--allow-gaps is for a log without its data directory, and for brokers that compact
by default.

What a broker that starts mends without loss is a warning: an index that is
wrong, an unfinished batch at the end of a log that was not stopped cleanly, and
records that are only in the journal.`,
		Example: "  bobbin log verify data\n  bobbin log verify data/orders-0 -o json\n  bobbin log verify /mnt/usb/__consumer_offsets-3 --allow-gaps",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().BoolVar(&gaps, "allow-gaps", false, "offsets may be missing in all logs, as in compacted ones")
	cmd.Flags().BoolVar(&strict, "strict", false, "count warnings as damage")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		v := &verifier{gaps: gaps, began: time.Now()}
		stop := a.progress(v.progress)
		err := v.paths(args)
		stop()
		if err != nil {
			return err
		}
		r := v.report
		if err := a.print(r, func() *table {
			for _, f := range r.Findings {
				fmt.Fprintln(a.stdout, f)
			}
			return &table{foot: fmt.Sprintf("%s logs, %s segments, %s batches, %s records, %s: %d damaged, %d warnings",
				thousands(int64(r.Logs)), thousands(int64(r.Segments)), thousands(r.Batches), thousands(r.Records), megabytes(r.Bytes), r.Damaged, len(r.Findings)-r.Damaged)}
		}); err != nil {
			return err
		}
		if r.Damaged > 0 || strict && len(r.Findings) > 0 {
			return errDamaged
		}
		return nil
	}
	return cmd
}

// paths verifies each of them, whatever it is.
func (v *verifier) paths(paths []string) error {
	v.report.Findings = []finding{}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.IsDir() {
			err = v.directory(path)
		} else {
			err = v.file(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// directory verifies a data directory, or a log.
func (v *verifier) directory(path string) error {
	logs, dir, err := logsAt(path)
	if err != nil {
		return err
	}
	if dir == path {
		err = v.checkpoints(dir)
	}
	if err == nil {
		_, err = v.dir(dir)
	}
	for _, l := range logs {
		if err == nil {
			err = v.log(l, dir)
		}
	}
	return err
}

// checkpoints verifies the files of a data directory that speak of all its logs.
func (v *verifier) checkpoints(dir string) error {
	for _, name := range []string{namePoints, nameStarts, nameCleaned, nameMarks} {
		if err := v.sidecar(filepath.Join(dir, name), logRule{clean: true}); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// file verifies one file: a segment with the indexes beside it, or a small one.
func (v *verifier) file(path string) error {
	base, ok := fileOffset(filepath.Base(path), ".log")
	if !ok {
		if _, ok, _ := readSidecar(path); !ok {
			return usagef("%s is no file that can be verified by itself", path)
		}
		return v.sidecar(path, logRule{clean: true})
	}
	log := filepath.Dir(path)
	l, err := readStoredLog(log)
	if err != nil {
		return err
	}
	d, err := v.dir(filepath.Dir(log))
	if err != nil {
		return err
	}
	for _, s := range l.segments {
		if s.base == base {
			rule := v.rule(d, filepath.Base(log))
			rule.clean, rule.point = !s.last, 0
			_, err = v.segment(s, rule, newTxnCheck(nil))
		}
	}
	return err
}

// sidecar verifies a small file. What a crash can have torn is no damage if it is
// one of a log with this rule.
func (v *verifier) sidecar(path string, rule logRule) error {
	_, _, err := readSidecar(path)
	var bad *sidecarError
	if errors.As(err, &bad) {
		f := finding{Path: path, Position: bad.pos, Why: bad.why}
		if strings.HasSuffix(path, ".txnindex") {
			f.Warning = true
			f.Why += " (it is made anew when a broker starts)"
		}
		if at, ok := fileOffset(filepath.Base(path), ".snapshot"); ok && rule.unfinished(at) {
			f.Warning = true
			f.Why += " (the broker was not stopped cleanly, and reads the log instead when it starts)"
		}
		v.report.add(f)
		return nil
	}
	return err
}
