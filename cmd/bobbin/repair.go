package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// repair is what log repair does to one segment: its damage goes, and what is
// whole stays, each batch as it is. In the place of offsets that are lost it puts
// an empty batch, as compaction leaves one, so that readers go on behind it.
//
// The steps, of which a crash between any two leaves either the old segment or the
// new one:
//
//  1. the damaged bytes are copied to «segment».damaged-«position», durably
//  2. what is to be the segment is written beside it, durably
//  3. the indexes and the quarantine file go: they speak of the old one
//  4. the new one is renamed into place, durably
//
// All that can be made from segments, a start makes; so last of all the logs are
// opened, as a broker does it, and closed cleanly.
//
// The way not taken is to write the empty batch over the damage: a crash in that
// leaves other damage than there was, and where the damage is shorter than a
// header there is no room.
type repair struct {
	Log     string      `json:"log"`
	Segment string      `json:"segment"`
	Lost    []lostRange `json:"damage"`
	base    int64
}

// lostRange is a run of damaged bytes, and what goes with it.
type lostRange struct {
	Position int64  `json:"position"`
	Bytes    int64  `json:"bytes"`
	First    int64  `json:"first_lost"` // offsets [First, Next) are lost; none if they are equal
	Next     int64  `json:"next_good"`
	Why      string `json:"why"`
	Aside    string `json:"copied_to,omitempty"`
}

func (r *repair) String() string {
	text := ""
	for _, l := range r.Lost {
		what := "no offset is lost"
		switch {
		case l.Next-l.First == 1:
			what = fmt.Sprintf("offset %d is lost", l.First)
		case l.Next > l.First:
			what = fmt.Sprintf("offsets %d-%d are lost, %s records at most", l.First, l.Next-1, thousands(l.Next-l.First))
		}
		text += fmt.Sprintf("%s: %d bytes from byte %d on (%s): %s", r.Segment, l.Bytes, l.Position, l.Why, what)
		if l.Aside != "" {
			text += "; the bytes are kept in " + filepath.Base(l.Aside)
		}
		text += "\n"
	}
	return text
}

// planRepair finds out what is to be done to a segment; nil: nothing. next is the
// offset at which the segment behind it begins, or up to which the last one is
// known to have gone. see is shown the batches that are whole.
func planRepair(log string, s storedSegment, next int64, rule logRule, see func(batch.Batch)) (*repair, error) {
	scan, err := openSegment(s.path, s.base)
	if err != nil {
		return nil, err
	}
	defer scan.close()
	r := &repair{Log: log, Segment: s.path, base: s.base}
	for {
		b, err := scan.read()
		var d *damage
		switch {
		case err == nil:
			see(b.Batch)
		case errors.Is(err, io.EOF):
			if end := r.end(scan.next); s.last && end < next {
				// The disk lost them without a trace. No other records must get
				// their offsets.
				r.Lost = append(r.Lost, lostRange{Position: scan.size, First: end, Next: next, Why: fmt.Sprintf("it ends here, and was durable up to offset %d", next-1)})
			}
			if len(r.Lost) == 0 {
				return nil, nil
			}
			return r, nil
		case errors.As(err, &d):
			if d.tail && s.last && !rule.clean && d.first >= rule.point {
				continue // a torn end, which every start cuts off
			}
			l := lostRange{Position: d.pos, Bytes: d.end - d.pos, First: d.first, Next: max(d.next, d.first), Why: d.why}
			if d.tail {
				l.Next = max(next, d.first)
			}
			if !d.zeros || l.Next > l.First {
				l.Aside = fmt.Sprintf("%s.damaged-%d", s.path, d.pos)
			}
			r.Lost = append(r.Lost, l)
		default:
			return nil, err
		}
	}
}

// end is where a segment ends then of which the last whole batch ends before
// offset next.
func (r *repair) end(next int64) int64 {
	if r != nil && len(r.Lost) > 0 {
		next = max(next, r.Lost[len(r.Lost)-1].Next)
	}
	return next
}

// do carries the plan out.
func (r *repair) do(fsys vfs.FS) error {
	dir := filepath.Dir(r.Segment)
	old, err := fsys.OpenRead(r.Segment)
	if err != nil {
		return err
	}
	defer old.Close()
	for _, l := range r.Lost {
		if l.Aside == "" {
			continue
		}
		if err := copyRange(fsys, old, l.Aside, l.Position, l.Bytes); err != nil {
			return err
		}
	}
	if err := fsys.SyncDir(dir); err != nil {
		return err
	}
	temp := r.Segment + vfs.SuffixTemp // which a start removes
	if err := r.rewrite(fsys, old, temp); err != nil {
		return err
	}
	stem := r.Segment[:len(r.Segment)-len(".log")]
	for _, name := range []string{stem + ".index", stem + ".timeindex", filepath.Join(dir, "bobbin-quarantine")} {
		if err := fsys.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := fsys.SyncDir(dir); err != nil {
		return err
	}
	if err := fsys.Rename(temp, r.Segment); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// copyBytes is how much is copied at a time.
const copyBytes = 1 << 20

// copyRange makes a file of some bytes of another, durably.
func copyRange(fsys vfs.FS, from vfs.File, name string, pos, n int64) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // of an earlier try
	}
	to, err := fsys.Create(name)
	if err != nil {
		return err
	}
	w := fileWriter{file: to}
	_, err = io.CopyBuffer(&w, io.NewSectionReader(from, pos, n), make([]byte, copyBytes))
	return errors.Join(err, to.Sync(), to.Close())
}

// rewrite writes the segment without its damage.
func (r *repair) rewrite(fsys vfs.FS, old vfs.File, name string) error {
	size, err := old.Size()
	if err != nil {
		return err
	}
	if err := fsys.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	to, err := fsys.Create(name)
	if err != nil {
		return err
	}
	w, buf, pos := fileWriter{file: to}, make([]byte, copyBytes), int64(0)
	for _, l := range r.Lost {
		if _, err = io.CopyBuffer(&w, io.NewSectionReader(old, pos, l.Position-pos), buf); err != nil {
			break
		}
		if l.Next > l.First {
			if _, err = w.Write(batch.Gap(l.First, l.Next, r.epochBefore(old, l.Position))); err != nil {
				break
			}
		}
		pos = l.Position + l.Bytes
	}
	if err == nil {
		_, err = io.CopyBuffer(&w, io.NewSectionReader(old, pos, size-pos), buf)
	}
	return errors.Join(err, to.Sync(), to.Close())
}

// epochBefore is the leader epoch of the last whole batch before pos: an epoch
// never falls within a log.
func (r *repair) epochBefore(old vfs.File, pos int64) int32 {
	epoch, at := batch.NoLeaderEpoch, int64(0)
	for _, l := range append(r.Lost, lostRange{Position: pos}) {
		for at < min(l.Position, pos) {
			header := make(batch.Batch, batch.HeaderSize)
			if _, err := old.ReadAt(header, at); err != nil || header.Size() < batch.HeaderSize {
				return epoch
			}
			epoch, at = header.LeaderEpoch(), at+header.Size()
		}
		at = max(at, l.Position+l.Bytes)
	}
	return epoch
}

// fileWriter writes to the end of a new file.
type fileWriter struct {
	file vfs.File
	pos  int64
}

func (w *fileWriter) Write(b []byte) (int, error) {
	n, err := w.file.WriteAt([][]byte{b}, w.pos)
	w.pos += n
	return int(n), err
}

// reopenLogs opens logs as a broker does, so that indexes, snapshots and
// checkpoints are what they should be, and closes them cleanly. index tells a
// log's index design, gaps the offset below which records may be missing in it.
func reopenLogs(fsys vfs.FS, dir string, names []string, index func(name string) string, gaps func(name string) int64) error {
	node, err := nodeOf(dir)
	if err != nil {
		return err
	}
	s, err := engine.OpenStore(engine.StoreOptions{FS: fsys, Dir: dir, NodeID: node})
	if err != nil {
		return err
	}
	for _, name := range names {
		c := engine.DefaultConfig()
		c.Delete, c.Compact = false, true // offsets may be missing anywhere
		c.Design.Index = index(name)
		l, e := s.Open(name, engine.LogOptions{Config: c})
		if e == nil {
			_, e = l.RebuildAborted(gaps(name))
			e = errors.Join(e, l.Check()) // which uses every segment, and so makes the indexes that it lacks
		}
		err = errors.Join(err, e)
	}
	return errors.Join(err, s.Close())
}

// nodeOf is the id of the node whose data directory it is.
func nodeOf(dir string) (int32, error) {
	name := filepath.Join(dir, "meta.properties")
	raw, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	list, err := parseProperties(string(raw))
	for _, p := range list {
		if n, bad := strconv.ParseInt(p.value, 10, 32); p.key == "node.id" && bad == nil {
			return int32(n), nil
		}
	}
	return 0, fmt.Errorf("%s has no node.id: %w", name, errors.Join(engine.ErrFormat, err))
}

// indexDesign is one that makes no index files where there are none.
func indexDesign(dir string) string {
	if found, _ := filepath.Glob(filepath.Join(dir, "*.index")); len(found) > 0 {
		return "mmap"
	}
	return "none"
}
