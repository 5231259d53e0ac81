package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// storedDir is what a data directory says of its logs, beside what they have
// themselves. What it says wrongly is found by itself: here it says nothing.
type storedDir struct {
	dir string
	// clean is whether the last stop was; running, whether a broker has it open.
	clean, running bool
	// points are up to where logs were durable, starts where they begin, and
	// cleaned up to where they were compacted.
	points, starts, cleaned engine.Checkpoint
	// compacted are the topics that are.
	compacted map[string]bool
	journal   *engine.JournalView
	found     []finding
}

// Files of a data directory.
const (
	nameClean   = ".kafka_cleanshutdown"
	namePoints  = "recovery-point-offset-checkpoint"
	nameStarts  = "log-start-offset-checkpoint"
	nameCleaned = "cleaner-offset-checkpoint"
	nameMarks   = "replication-offset-checkpoint"
)

// readStoredDir looks at a data directory; ours says that the lock is this
// process's. A directory of logs without any of its
// files, as somebody may have copied them, is one that was not stopped cleanly.
func readStoredDir(dir string, ours bool) (*storedDir, error) {
	d := &storedDir{dir: dir, compacted: map[string]bool{}, journal: &engine.JournalView{}}
	_, err := os.Stat(filepath.Join(dir, nameClean))
	d.clean = err == nil
	for name, to := range map[string]*engine.Checkpoint{namePoints: &d.points, nameStarts: &d.starts, nameCleaned: &d.cleaned} {
		c, err := engine.ReadCheckpoint(vfs.OS{}, dir, name)
		var damaged *engine.CorruptError
		if err != nil && !errors.As(err, &damaged) && !errors.Is(err, engine.ErrFormat) {
			return nil, err
		}
		*to = c
	}
	if !ours && inUse(dir) {
		d.running = true
		d.found = append(d.found, warning(dir, 0, "a broker has it open: what it is writing may look unfinished, and its journal is not looked at"))
	} else if err := d.readJournal(); err != nil {
		return nil, err
	}
	node, err := nodeOf(dir)
	if err == nil {
		d.compacted, err = replication.CompactedTopics(context.Background(), vfs.OS{}, dir, node)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.found = append(d.found, warning(dir, 0, fmt.Sprintf("which topics are compacted cannot be read, and gaps in their logs count as damage: %v", err)))
	}
	return d, nil
}

// inUse reports whether a broker of ours has a data directory open. It makes no
// file, and where it may not lock one it does not know.
func inUse(dir string) bool {
	name := filepath.Join(dir, ".lock")
	if _, err := os.Stat(name); err != nil {
		return false
	}
	lock, err := vfs.OS{}.Lock(name)
	if err != nil {
		return errors.Is(err, vfs.ErrLocked)
	}
	return lock.Close() != nil
}

func (d *storedDir) readJournal() error {
	journal, err := engine.ReadJournal(vfs.OS{}, d.dir)
	var damaged *engine.CorruptError
	if errors.As(err, &damaged) {
		d.found = append(d.found, finding{Path: damaged.Path, Position: damaged.Pos, Why: damaged.Why})
		return nil
	}
	if err == nil {
		d.journal = journal
	}
	return err
}

// damage is what was found that keeps a broker from starting, nil if nothing was.
func (d *storedDir) damage() error {
	for _, f := range d.found {
		if !f.Warning {
			return fmt.Errorf("%s: %w", f, errDamaged)
		}
	}
	return nil
}

// rule returns what is no damage in a log.
func (d *storedDir) rule(log string) logRule {
	return logRule{clean: d.clean, point: d.points[log], gaps: d.gaps(log)}
}

// gaps returns the offset below which offsets may be missing in a log: compaction
// took them, or they were deleted.
func (d *storedDir) gaps(log string) int64 {
	if i := strings.LastIndexByte(log, '-'); i > 0 && d.compacted[log[:i]] {
		return math.MaxInt64
	}
	return max(d.cleaned[log], d.starts[log])
}

// due is the offset that must follow the i-th segment of a log: the next one's, or
// the one up to which the last is known to have gone, where not the journal has it.
func (d *storedDir) due(l *storedLog, i int) int64 {
	name := filepath.Base(l.dir)
	switch {
	case i+1 < len(l.segments):
		return l.segments[i+1].base
	case len(d.journal.Runs(name)) > 0:
		return 0
	}
	return d.points[name]
}

// lacking shows what a log, which ends before offset end by its own segments, gets
// from the journal by the next start, and returns where it ends then. It fails with
// an *engine.CorruptError if between the two something is missing.
func (d *storedDir) lacking(l *storedLog, end int64, see func(r engine.JournalRun, s batch.Set) error) (int64, error) {
	name := filepath.Base(l.dir)
	for _, r := range d.journal.Runs(name) {
		if r.Next <= end || !r.Of(l.topicID()) || r.Next <= d.starts[name] && r.First > end {
			continue
		}
		if r.First > end && r.First > d.starts[name] {
			return end, &engine.CorruptError{Path: r.Path, Pos: r.Pos, First: end, Next: r.First, Why: fmt.Sprintf(
				"the segments of %s end before offset %d, and the journal goes on at %d", name, end, r.First)}
		}
		raw, err := r.Read(vfs.OS{})
		if err != nil {
			return end, err
		}
		s, err := behind(raw, end)
		if err != nil {
			return end, &engine.CorruptError{Path: r.Path, Pos: r.Pos, Why: err.Error()}
		}
		if err := see(r, s); err != nil {
			return end, err
		}
		end = r.Next
	}
	return end, nil
}

// behind leaves out the batches that end before an offset, and checks the rest.
func behind(raw []byte, offset int64) (batch.Set, error) {
	for len(raw) > 0 {
		b, rest, err := batch.Next(raw)
		if err != nil {
			return batch.Set{}, err
		}
		if b.NextOffset() > offset {
			break
		}
		raw = rest
	}
	return batch.Parse(raw)
}

// topicID is what partition.metadata says, zero if it says nothing.
func (l *storedLog) topicID() (id [16]byte) {
	text, err := readTopicID(filepath.Join(l.dir, "partition.metadata"))
	if b, bad := base64.RawURLEncoding.DecodeString(text); err == nil && bad == nil && len(b) == len(id) {
		return [16]byte(b)
	}
	return id
}
