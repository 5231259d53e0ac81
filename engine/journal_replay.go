package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// journalExtent is where batches of a log lie in the journal.
type journalExtent struct {
	file       *journalFile
	pos, size  int64
	from, next int64
	topic      [16]byte
}

// foundGroup is a whole group that was found in a file.
type foundGroup struct {
	groupStamp
	file    *journalFile
	pos     int64
	entries []journalEntry
}

// read finds what an earlier run left, and keeps it for the logs to which it
// belongs. It fails with a *CorruptError if something is damaged that was
// acknowledged.
func (j *journal) read() error {
	entries, err := j.store.fs.ReadDir(j.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	j.mu.made = true
	var found []foundGroup
	for _, e := range entries {
		seq, ok := journalSeq(e.Name())
		if !ok {
			continue
		}
		j.mu.nextSeq = max(j.mu.nextSeq, seq+1)
		groups, err := j.readFile(seq)
		if err != nil {
			return err
		}
		found = supersede(found, groups)
	}
	whole, err := j.unbroken(found)
	if err != nil {
		return err
	}
	j.take(whole)
	return nil
}

// journalSeq reads a file's sequence number from its name.
func journalSeq(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffixJournal)
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, ok && len(digits) == 20 && err == nil && n > 0
}

// readFile finds the whole groups of one file. A file without one is removed: it
// was made ahead, or nothing that was begun in it was acknowledged.
func (j *journal) readFile(seq uint64) ([]foundGroup, error) {
	file, err := j.store.fs.Open(j.fileName(seq))
	if err != nil {
		return nil, err
	}
	f := &journalFile{seq: seq, f: file, old: true, logs: map[string]int64{}}
	if f.size, err = file.Size(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f.used = f.size
	groups, err := f.groups(j.fileName(seq))
	switch {
	case err != nil:
		return nil, errors.Join(err, file.Close())
	case len(groups) == 0:
		return nil, j.drop(f)
	}
	j.mu.files = append(j.mu.files, f)
	// A killed process may have left it to the page cache, and it is built upon.
	return groups, file.Sync()
}

// groups reads all whole groups of the file, also those behind one that is not.
func (f *journalFile) groups(name string) (found []foundGroup, err error) {
	header := make([]byte, groupHeader)
	var buf []byte
	for pos := int64(0); pos+groupHeader <= f.size; {
		if _, err := f.f.ReadAt(header, pos); err != nil {
			return nil, err
		}
		size, err := groupSize(header, f.seq, f.size-pos)
		if err != nil {
			pos += journalBlock
			continue
		}
		buf = slices.Grow(buf[:0], int(size))[:size]
		if _, err := f.f.ReadAt(buf, pos); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		stamp, entries, err := readGroup(buf)
		switch {
		case errors.Is(err, errNoGroup):
			pos += journalBlock
			continue
		case err != nil:
			return nil, &CorruptError{Path: name, Pos: pos, Why: err.Error()}
		}
		found = append(found, foundGroup{groupStamp: stamp, file: f, pos: pos, entries: entries})
		pos += wholeBlocks(size)
	}
	return found, nil
}

// supersede adds a file's groups to those of the files before it. A run begins a
// file with the group after the last one that it took over: what earlier files
// have from that number on did not count then, and does not now.
func supersede(found, groups []foundGroup) []foundGroup {
	if len(groups) > 0 {
		for len(found) > 0 && found[len(found)-1].number >= groups[0].number {
			found = found[:len(found)-1]
		}
	}
	return append(found, groups...)
}

// unbroken returns the groups up to the first that is missing. If one behind it
// was written when that one was durable, it is damaged.
func (j *journal) unbroken(found []foundGroup) ([]foundGroup, error) {
	for i, g := range found {
		missing, path, pos := g.number-1, j.fileName(g.file.seq), int64(0)
		if i > 0 {
			before := found[i-1]
			missing, path, pos = before.number+1, j.fileName(before.file.seq), before.pos
		}
		if g.number == missing || i == 0 && g.pos == 0 {
			continue
		}
		for _, g := range found[i:] {
			if g.durable >= missing {
				return nil, &CorruptError{Path: path, Pos: pos, Why: fmt.Sprintf(
					"group %d, which should be here or behind, is not whole, and was acknowledged; move %s away to start without what only the journal has", missing, j.dir)}
			}
		}
		return found[:i], nil
	}
	return found, nil
}

// take notes what the groups have for which log.
func (j *journal) take(groups []foundGroup) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.replay = map[string][]journalExtent{}
	for _, g := range groups {
		for _, e := range g.entries {
			if e.barrier {
				delete(j.mu.replay, e.name)
				for _, f := range j.mu.files {
					delete(f.logs, e.name)
				}
				continue
			}
			j.mu.replay[e.name] = append(j.mu.replay[e.name],
				journalExtent{file: g.file, pos: g.pos + e.pos, size: e.size, from: e.from, next: e.next, topic: e.topic})
			g.file.logs[e.name] = e.next
		}
		j.mu.next, j.mu.durable = g.number+1, g.number
		g.file.last = g.number
	}
}

// closeFiles gives back what read has opened.
func (j *journal) closeFiles() error {
	var err error
	for _, f := range j.mu.files {
		err = errors.Join(err, f.close())
	}
	return err
}

// awaits reports whether an earlier run left something for a log that has not got
// it yet.
func (j *journal) awaits(name string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.mu.replay[name]) > 0
}

// absent forgets what an earlier run left for logs that are no more.
func (j *journal) absent(names []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for name := range j.mu.replay {
		if !slices.Contains(names, name) {
			delete(j.mu.replay, name)
		}
	}
}

// deleted forgets what an earlier run left for a log that is no more. A barrier
// comes when there is another one of its name.
func (j *journal) deleted(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.mu.replay, name)
}

// bringHome gives a log that is not open what only the journal has of it.
func (s *Store) bringHome(name string) error {
	if !s.journal.awaits(name) {
		return nil
	}
	l, err := s.Open(name, LogOptions{Config: DefaultConfig()})
	if err != nil {
		return err
	}
	defer s.forget(l)
	return l.close()
}

// restore gives the log what the journal has and the log lacks. The caller makes
// it durable, and then calls restored.
func (j *journal) restore(l *Log, start int64) error {
	entered := j.mentions(l.name)
	j.mu.Lock()
	extents := j.mu.replay[l.name]
	j.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.journal.entered = entered
	before := l.end.Load()
	var buf []byte
	for _, e := range extents {
		if e.topic != l.topicID && e.topic != [16]byte{} && l.topicID != [16]byte{} {
			continue // of another topic that had this name
		}
		if e.next <= l.end.Load() || e.next <= start && e.from > l.end.Load() {
			continue
		}
		buf = slices.Grow(buf[:0], int(e.size))[:e.size]
		if _, err := e.file.f.ReadAt(buf, e.pos); err != nil {
			return err
		}
		if err := l.restore(buf, e, start); err != nil {
			if errors.Is(err, ErrNoSpace) {
				return err
			}
			return &CorruptError{Path: j.fileName(e.file.seq), Pos: e.pos, Why: err.Error()}
		}
	}
	if end := l.end.Load(); end > before {
		l.log.Info("log got from the journal what it lacked", "log", l.name, "from", before, "to", end)
	}
	return nil
}

// restore appends the batches that lie past the log's end, as they are. Log.mu is
// held.
func (l *Log) restore(raw []byte, e journalExtent, start int64) error {
	end := l.end.Load()
	switch {
	case e.from > end && e.from > start:
		return fmt.Errorf("log %s ends at %d, and this follows on %d: the disk lost records that were durable", l.name, end, e.from)
	case e.from > end: // what lies between was deleted
		if err := l.skipTo(e.from); err != nil {
			return err
		}
	}
	for len(raw) > 0 {
		b, rest, err := batch.Next(raw)
		if err != nil {
			return err
		}
		raw = rest
		if b.NextOffset() <= l.end.Load() {
			continue
		}
		s, err := batch.Parse(b)
		if err == nil && b.BaseOffset() < l.end.Load() {
			err = fmt.Errorf("offsets %d to %d, and the log ends at %d", b.BaseOffset(), b.LastOffset(), l.end.Load())
		}
		if err != nil {
			return err
		}
		// It had room when it was appended.
		c := *l.config.Load()
		c.SegmentBytes = max(c.SegmentBytes, s.Size())
		err = l.addWith(s, l.now(), &c)
		for errors.Is(err, segment.ErrBusy) {
			l.mu.Unlock() // nobody else has the log yet
			l.relieve()
			l.mu.Lock()
			err = l.addWith(s, l.now(), &c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// restored notes that the log has all that the journal had of it, durably.
func (j *journal) restored(l *Log) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.mu.replay, l.name)
	if len(j.mu.replay) == 0 {
		j.settleBehind()
	}
}
