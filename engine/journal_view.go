package engine

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// JournalView is what the journal of a data directory has for which log, for those
// who look at the directory without opening it. Nothing is changed, and the files
// are not kept open.
type JournalView struct {
	// Groups are those that count: an unbroken run, the newest ones.
	Groups int
	runs   map[string][]JournalRun
}

// JournalRun is a run of batches of one log in a file of the journal. What of it
// the log has itself is there twice; the rest is the log's when it is opened.
type JournalRun struct {
	Path        string
	Pos, Bytes  int64
	First, Next int64 // offsets; the log ended at First when it was written
	TopicID     [16]byte
}

// JournalGroup is one group in a file of the journal, whether it counts or not.
type JournalGroup struct {
	Pos, Bytes int64
	Number     uint64
	// Durable is the number of the last group that was acknowledged when this one
	// was written.
	Durable uint64
	Entries []JournalEntry
}

// JournalEntry is a run of batches of one log, or a barrier, before which the log
// needs nothing of what the journal has.
type JournalEntry struct {
	Log         string
	Barrier     bool
	First, Next int64
	Pos, Bytes  int64 // of the batches, in the file
	TopicID     [16]byte
}

// ReadJournal reads the journal of a data directory; one that there is not is
// empty. It fails with a *CorruptError if something is damaged that was
// acknowledged: then the store does not open either.
func ReadJournal(fsys vfs.FS, dir string) (*JournalView, error) {
	j := newJournal(&Store{fs: fsys, dir: dir}, StoreOptions{})
	entries, err := fsys.ReadDir(j.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return &JournalView{}, nil
	}
	if err != nil {
		return nil, err
	}
	var found []foundGroup
	for _, e := range entries {
		if seq, ok := journalSeq(e.Name()); ok {
			f, groups, err := viewJournalFile(fsys, j.fileName(seq), seq)
			if err != nil {
				return nil, err
			}
			j.mu.files = append(j.mu.files, f)
			found = supersede(found, groups)
		}
	}
	whole, err := j.unbroken(found)
	if err != nil {
		return nil, err
	}
	j.take(whole)
	v := &JournalView{Groups: len(whole), runs: map[string][]JournalRun{}}
	for name, extents := range j.mu.replay {
		for _, e := range extents {
			v.runs[name] = append(v.runs[name], JournalRun{Path: j.fileName(e.file.seq), Pos: e.pos, Bytes: e.size, First: e.from, Next: e.next, TopicID: e.topic})
		}
	}
	return v, nil
}

// ReadJournalFile reads all whole groups of one file of a journal, also those
// behind one that is not. What is left of groups of an earlier use of the file is
// none of them.
func ReadJournalFile(fsys vfs.FS, name string) ([]JournalGroup, error) {
	seq, ok := journalSeq(path.Base(name))
	if !ok {
		return nil, &CorruptError{Path: name, Why: "its name is not that of a journal's file"}
	}
	_, found, err := viewJournalFile(fsys, name, seq)
	if err != nil {
		return nil, err
	}
	var groups []JournalGroup
	for _, g := range found {
		group := JournalGroup{Pos: g.pos, Bytes: groupHeader, Number: g.number, Durable: g.durable}
		for _, e := range g.entries {
			group.Bytes += entrySize(e.name, e.size)
			group.Entries = append(group.Entries, JournalEntry{Log: e.name, Barrier: e.barrier, First: e.from, Next: e.next, Pos: g.pos + e.pos, Bytes: e.size, TopicID: e.topic})
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// viewJournalFile finds the whole groups of a file.
func viewJournalFile(fsys vfs.FS, name string, seq uint64) (_ *journalFile, groups []foundGroup, err error) {
	file, err := fsys.OpenRead(name)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	f := &journalFile{seq: seq, f: file, logs: map[string]int64{}}
	if f.size, err = file.Size(); err == nil {
		groups, err = f.groups(name)
	}
	return f, groups, err
}

// Logs lists the logs of which the journal has something, by name.
func (v *JournalView) Logs() []string { return slices.Sorted(maps.Keys(v.runs)) }

// Runs are what the journal has of a log, in the order in which it was appended.
// They may overlap, and may repeat what the log has.
func (v *JournalView) Runs(log string) []JournalRun { return v.runs[log] }

// Of reports whether the run is of the topic with this id: another one may have had
// the name. A zero id is any.
func (r JournalRun) Of(topicID [16]byte) bool {
	return r.TopicID == topicID || r.TopicID == [16]byte{} || topicID == [16]byte{}
}

// Read returns the batches.
func (r JournalRun) Read(fsys vfs.FS) (raw []byte, err error) {
	file, err := fsys.OpenRead(r.Path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	size, err := file.Size()
	if err != nil || r.Pos+r.Bytes > size {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	raw = make([]byte, r.Bytes)
	_, err = file.ReadAt(raw, r.Pos)
	return raw, err
}
