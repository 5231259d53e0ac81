package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// Plan is what to measure, and how often.
type Plan struct {
	Subjects []Subject
	// Partitions are tried one after the other; the rest of the Work is the same.
	Partitions []int
	Work       Work
	// Rounds is how many times each subject has its turn; figures are medians.
	Rounds int
	// Dir is where each run makes a directory of its own, and removes it.
	Dir string
	// Command is what the report says it was made by.
	Command string
	// Progress is told before every run; nil: nobody is.
	Progress func(line string)
}

// ErrConditions says that a subject was not measured under the conditions of
// the others, so that its figures would say nothing.
var ErrConditions = errors.New("unequal conditions")

// Validate says what is wrong with the plan.
func (p Plan) Validate() error {
	if len(p.Subjects) == 0 || len(p.Partitions) == 0 || p.Rounds < 1 {
		return fmt.Errorf("%d subjects, %d numbers of partitions, %d rounds: at least one of each is needed", len(p.Subjects), len(p.Partitions), p.Rounds)
	}
	for _, n := range p.Partitions {
		w := p.Work
		w.Partitions = n
		if err := w.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// Run measures. A subject that cannot be measured has the reason in its rows, and
// the others go on; only a plan that makes no sense, or the end of ctx, is an error.
func (p Plan) Run(ctx context.Context) (*Report, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if err := isDirectory(p.Dir); err != nil {
		return nil, err
	}
	m := mountOf(p.Dir)
	r := &runner{Plan: p, meter: newMeter(m), batch: makeBatch(p.Work)}
	report := &Report{Command: p.Command, Began: time.Now().UTC(), Machine: describeMachine(m), Work: p.Work, Rounds: p.Rounds}
	for _, n := range p.Partitions {
		rows := make([]Row, len(p.Subjects))
		for i, s := range p.Subjects {
			rows[i] = Row{Subject: s.Name, Durable: s.Durable, Settings: s.Settings, Partitions: n}
		}
		for round := range p.Rounds {
			for k := range rows {
				i := (k + round) % len(rows)
				if rows[i].Error != "" {
					continue
				}
				f, err := r.run(ctx, p.Subjects[i], n, round)
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				if err != nil {
					rows[i].Error = err.Error()
					continue
				}
				rows[i].Rounds = append(rows[i].Rounds, f)
			}
		}
		for i := range rows {
			rows[i].settle()
		}
		report.Rows = append(report.Rows, rows...)
	}
	return report, nil
}

// runner is one Run under way.
type runner struct {
	Plan
	meter *Meter
	batch []byte
}

// makeBatch makes the batch that everybody appends.
func makeBatch(w Work) []byte {
	var records []batch.Record
	for size := batch.HeaderSize; len(records) == 0 || size+w.RecordBytes+recordOverhead <= w.BatchBytes; size += w.RecordBytes + recordOverhead {
		value := make([]byte, w.RecordBytes)
		for i := range value {
			value[i] = byte(i*7 + len(records)) // nothing that a file system could leave out
		}
		records = append(records, batch.Record{Offset: int64(len(records)), Timestamp: time.Now().UnixMilli(), Value: value})
	}
	return batch.Of(records...).Bytes()
}

// recordOverhead is about what a record takes beside its value.
const recordOverhead = 10

// run is one turn of a subject.
func (r *runner) run(ctx context.Context, s Subject, partitions, round int) (f Figures, err error) {
	if r.Progress != nil {
		r.Progress(fmt.Sprintf("round %d of %d, %d partitions: %s", round+1, r.Rounds, partitions, s.Name))
	}
	w := r.Work
	w.Partitions = partitions
	dir, err := r.freshDir()
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	e, err := s.Open(dir, w)
	if err != nil {
		return f, fmt.Errorf("not opened: %w", err)
	}
	closed := false
	defer func() {
		if !closed {
			err = errors.Join(err, e.Close())
		}
	}()
	appends := int64(0)
	if s.Durable {
		if appends, err = r.probe(e); err != nil {
			return f, err
		}
	}
	l := newLoad(e, w, r.batch)
	limit := w.LimitBytes / int64(len(r.batch))
	warm, err := l.drive(ctx, w.Warmup, limit)
	if err != nil {
		return f, err
	}
	runtime.GC()
	syscall.Sync()
	before := r.meter.read()
	t, err := l.drive(ctx, w.Time, limit)
	after := r.meter.read()
	if err != nil {
		return f, err
	}
	held, err := e.Held()
	if err == nil && held != appends+warm.appends+t.appends {
		err = fmt.Errorf("%w: %d batches were acknowledged, and %d are there", ErrConditions, appends+warm.appends+t.appends, held)
	}
	closed = true
	if err = errors.Join(err, e.Close()); err != nil {
		return f, err
	}
	syscall.Sync()
	return t.figures(len(r.batch), before, after, r.meter.read(), runtime.NumCPU()), nil
}

// isDirectory refuses to measure in a directory that is not there: made in its
// place, that of a file system not mounted would measure another one.
func isDirectory(dir string) error {
	switch info, err := os.Stat(dir); {
	case err != nil:
		return fmt.Errorf("the directory to measure in: %w", err)
	case !info.IsDir():
		return fmt.Errorf("the directory to measure in: %s is a file", dir)
	}
	return nil
}

// freshDir makes the directory of a run: new, empty, and on the file system of
// all the others.
func (r *runner) freshDir() (string, error) {
	// What earlier runs left to write, or freed, is not the next one's to pay.
	syscall.Sync()
	dir, err := os.MkdirTemp(r.Dir, "bobbin-bench-")
	if err != nil {
		return "", err
	}
	if a, b := mountOf(r.Dir), mountOf(dir); a != b {
		return "", errors.Join(fmt.Errorf("%w: %s lies on %s and not on %s", ErrConditions, dir, b.point, a.point), os.RemoveAll(dir))
	}
	return dir, nil
}

// probeAppends is how many appends are held against what the device saw.
const probeAppends = 8

// probe looks whether what is acknowledged has been written.
func (r *runner) probe(e Engine) (appends int64, err error) {
	before := r.meter.read().device
	b := slices.Clone(r.batch)
	for range probeAppends {
		if err := e.Append(0, b); err != nil {
			return 0, err
		}
	}
	return probeAppends, reached(before, r.meter.read().device, probeAppends*int64(len(b)))
}

// reached reports whether a device saw as many bytes as were acknowledged.
func reached(before, after deviceStat, acknowledged int64) error {
	if written := after.written - before.written; before.known && after.known && written < acknowledged {
		return fmt.Errorf("%w: it calls itself durable, and acknowledged %d bytes when the device had seen %d", ErrConditions, acknowledged, written)
	}
	return nil
}

// Select returns the subjects whose names match one of the patterns of
// [filepath.Match], in their own order. A pattern that matches nothing is an error
// that lists the names.
func Select(all []Subject, patterns []string) ([]Subject, error) {
	picked := make([]bool, len(all))
	for _, p := range patterns {
		found := false
		for i, s := range all {
			ok, err := filepath.Match(p, s.Name)
			if err != nil {
				return nil, fmt.Errorf("%q is no pattern: %w", p, err)
			}
			picked[i], found = picked[i] || ok, found || ok
		}
		if !found {
			names := make([]string, len(all))
			for i, s := range all {
				names[i] = s.Name
			}
			return nil, fmt.Errorf("nothing is called %q; there are: %s", p, strings.Join(names, ", "))
		}
	}
	var some []Subject
	for i, s := range all {
		if picked[i] {
			some = append(some, s)
		}
	}
	return some, nil
}
