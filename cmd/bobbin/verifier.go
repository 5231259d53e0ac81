package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// verifier checks stored logs and collects what it finds.
type verifier struct {
	gaps   bool // offsets may be missing in any log
	dirs   map[string]*storedDir
	report verifyReport

	bytes, batches atomic.Int64 // for the progress line
	began          time.Time
}

func (v *verifier) progress() string {
	n := v.bytes.Load()
	return fmt.Sprintf("%s in %s batches verified, %.0f MB/s", megabytes(n), thousands(v.batches.Load()), float64(n)/1e6/time.Since(v.began).Seconds())
}

// logRule says what may be so in a log without being damage.
type logRule struct {
	clean bool  // it was stopped cleanly: nothing is unfinished
	point int64 // below this offset everything was durable
	gaps  int64 // below this one offsets may be missing
}

// unfinished reports whether a crash may have left a segment that ends with the
// offset before next: what follows on it was not acknowledged either.
func (rule logRule) unfinished(next int64) bool { return !rule.clean && next >= rule.point }

// dir returns what is known of a data directory, and reports what was found in it
// the first time.
func (v *verifier) dir(path string) (*storedDir, error) {
	if d := v.dirs[path]; d != nil {
		return d, nil
	}
	d, err := readStoredDir(path, false)
	if err != nil {
		return nil, err
	}
	if v.dirs == nil {
		v.dirs = map[string]*storedDir{}
	}
	v.dirs[path] = d
	v.report.add(d.found...)
	return d, nil
}

// rule is that of a log, or of any with the flag --allow-gaps.
func (v *verifier) rule(d *storedDir, log string) logRule {
	rule := d.rule(log)
	if v.gaps {
		rule.gaps = math.MaxInt64
	}
	return rule
}

// log verifies one partition's directory in the data directory dir.
func (v *verifier) log(l *storedLog, dir string) error {
	d, err := v.dir(dir)
	if err != nil {
		return err
	}
	if !d.running {
		return v.logOnce(d, l)
	}
	for range lookAgainMax {
		now, err := readStoredLog(l.dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was deleted
		}
		if err != nil {
			return err
		}
		before, files := v.report, now.files()
		err = v.logOnce(d, now)
		if len(files) == len(now.segments) && slices.EqualFunc(files, now.files(), os.SameFile) {
			return err
		}
		// Compaction or retention came between: what was found is of no moment.
		v.report = before
		v.report.Findings = slices.Clip(before.Findings)
	}
	v.report.add(warning(l.dir, 0, "the broker changes it faster than it can be read: stop the broker to verify it"))
	return nil
}

// lookAgainMax is how often a log is read anew of which a broker has replaced or
// removed segments meanwhile.
const lookAgainMax = 10

// logOnce verifies a log as it is now.
func (v *verifier) logOnce(d *storedDir, l *storedLog) error {
	v.report.Logs++
	next, rule, transactions := int64(-1), v.rule(d, filepath.Base(l.dir)), newTxnCheck(l)
	for _, s := range l.segments {
		if next >= 0 && s.base < next {
			v.report.add(finding{Path: s.path, Why: fmt.Sprintf("the segment before it goes up to offset %d", next-1)})
		} else if next >= 0 && s.base > next && s.base > rule.gaps {
			f := finding{Path: s.path, Why: fmt.Sprintf("offsets %d-%d are missing before it", next, s.base-1)}
			if rule.unfinished(next) {
				f.Warning = true
				f.Why += " (the broker was not stopped cleanly: what was not acknowledged goes when it starts)"
			}
			v.report.add(f)
		}
		end, err := v.segment(s, rule, transactions)
		if err != nil {
			return err
		}
		next = max(end, s.base)
	}
	next, err := v.journal(d, l, max(next, 0))
	if err != nil {
		return err
	}
	switch point := d.points[filepath.Base(l.dir)]; {
	case len(l.segments) == 0 && point > 0:
		v.report.add(warning(l.dir, 0, fmt.Sprintf("it has no segment, and was durable up to offset %d: its design keeps none on the disk, or they are lost", point-1)))
	case next < point:
		v.report.add(finding{Path: l.dir, First: next, Next: point, Why: fmt.Sprintf("the log ends before offset %d, and was durable up to %d: what lies between is lost", next, point-1)})
	}
	for _, path := range l.others {
		if err := v.sidecar(path, rule); err != nil {
			return err
		}
	}
	return nil
}

// segment verifies a segment and its indexes, and returns the offset that
// follows its last batch.
func (v *verifier) segment(s storedSegment, rule logRule, transactions *txnCheck) (next int64, err error) {
	v.report.Segments++
	scan, err := openSegment(s.path, s.base)
	if err != nil {
		return 0, err
	}
	defer scan.close()
	indexes, err := v.openIndexes(s)
	if err != nil {
		return 0, err
	}
	if err := transactions.begin(s, rule); err != nil {
		return 0, err
	}
	epoch, behindDamage := int32(-1), false
	for {
		want := scan.next
		b, err := scan.read()
		var broken *damage
		switch {
		case errors.Is(err, io.EOF):
			indexes.finish(&v.report)
			v.report.add(transactions.finish()...)
			v.report.Bytes += scan.size
			return scan.next, nil
		case errors.As(err, &broken):
			v.report.add(rule.judge(s.path, broken, want))
			indexes.skip(broken)
			transactions.blind = true
			behindDamage = true
			continue
		case err != nil:
			return 0, err
		}
		v.report.Batches++
		v.report.Records += int64(b.Count())
		v.bytes.Add(int64(len(b.Batch)))
		v.batches.Add(1)
		bad := func(format string, args ...any) {
			v.report.add(finding{Path: s.path, Position: b.pos, Why: fmt.Sprintf(format, args...)})
		}
		if b.BaseOffset() > want && !behindDamage && b.BaseOffset() > rule.gaps {
			bad("offsets %d-%d are missing before it", want, b.BaseOffset()-1)
		}
		if b.LeaderEpoch() < epoch {
			bad("leader epoch %d comes after %d", b.LeaderEpoch(), epoch)
		}
		epoch = max(epoch, b.LeaderEpoch())
		if err := checkRecords(b.Batch); err != nil {
			bad("%v", err)
		}
		behindDamage = false
		indexes.batch(b, &v.report)
		v.report.add(transactions.batch(b.Batch)...)
	}
}

// journal verifies what only the journal has of a log that ends before offset end,
// and returns where it ends with that.
func (v *verifier) journal(d *storedDir, l *storedLog, end int64) (next int64, err error) {
	first, runs := end, 0
	next, err = d.lacking(l, end, func(r engine.JournalRun, s batch.Set) error {
		if runs++; runs == 1 {
			first = s.First().BaseOffset()
		}
		for b := range s.All() {
			if err := checkRecords(b); err != nil {
				v.report.add(finding{Path: r.Path, Position: r.Pos, Why: err.Error()})
			}
		}
		v.report.JournalBytes += s.Size()
		return nil
	})
	var damaged *engine.CorruptError
	if errors.As(err, &damaged) {
		v.report.add(finding{Path: damaged.Path, Position: damaged.Pos, Why: damaged.Why, First: damaged.First, Next: damaged.Next})
		err = nil
	}
	if runs > 0 {
		v.report.JournalOffsets += next - first
		v.report.add(warning(l.dir, 0, fmt.Sprintf("offsets %d-%d are only in the journal (the broker was not stopped cleanly: it adds them when it starts, as log repair does)", first, next-1)))
	}
	return next, err
}

// judge turns damage into a finding. The end of a log that was not stopped
// cleanly may be unfinished, as long as it was not known to be durable; so may the
// end of a segment that was rolled, and have the room that was reserved for it.
func (rule logRule) judge(path string, d *damage, want int64) finding {
	f := finding{Path: path, Position: d.pos, Why: d.why}
	switch {
	case d.zeros:
		f.Why = fmt.Sprintf("%d bytes of zeros follow the last batch", d.end-d.pos)
	case d.tail:
		f.Why += fmt.Sprintf("; nothing behind it can be read, up to the end at byte %d", d.end)
	default:
		f.Why += fmt.Sprintf("; the next whole batch begins at byte %d", d.end)
		if d.next > d.first {
			f.Why += fmt.Sprintf("; offsets %d-%d are lost, the log can be read on from %d", d.first, d.next-1, d.next)
			f.First, f.Next = d.first, d.next
		}
	}
	switch unfinished := rule.unfinished(want); {
	case unfinished && d.zeros:
		f.Warning = true
		f.Why += " (reserved for appends that never came: the broker was not stopped cleanly, and cuts it off when it starts)"
	case unfinished && d.tail:
		f.Warning = true
		f.Why += " (the broker was not stopped cleanly: what was not acknowledged is cut off when it starts)"
	}
	return f
}

// checkRecords reads every record of a batch. Unlike a producer's batch, a
// stored one may have lost records to compaction, and have the broker's time.
func checkRecords(b batch.Batch) error {
	last, newest := b.BaseOffset()-1, batch.NoTimestamp
	for r, err := range b.Records(0) {
		if err != nil {
			return err
		}
		if r.Offset <= last || r.Offset > b.LastOffset() {
			return fmt.Errorf("a record has offset %d after %d, in a batch of %d-%d", r.Offset, last, b.BaseOffset(), b.LastOffset())
		}
		last = r.Offset
		newest = max(newest, r.Timestamp)
	}
	if b.Count() > 0 && newest > b.MaxTimestamp() {
		return fmt.Errorf("a record's timestamp is %d, and the batch's newest is %d", newest, b.MaxTimestamp())
	}
	return nil
}
