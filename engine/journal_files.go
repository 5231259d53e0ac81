package engine

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

func (j *journal) fileName(seq uint64) string {
	return path.Join(j.dir, fmt.Sprintf("%020d%s", seq, suffixJournal))
}

// room returns how many bytes a group may have, after it has gone on to the next
// file if there is one and the last is as good as full. gathering is held.
func (j *journal) room() int64 {
	// The first file is not made behind, for there is none to write to meanwhile.
	j.prepareFirst(false)
	j.mu.Lock()
	defer j.mu.Unlock()
	most := max(j.fileBytes/groupShare, 4*journalBlock)
	f := j.last()
	if f == nil || f.size-f.used < min(most, f.size/4) {
		f = j.goOn()
	}
	if f == nil {
		return 0
	}
	if f.used >= f.size/2 {
		j.prepareBehind()
	}
	return min(most, f.size-f.used)
}

// makeRoom sees to it that n bytes more have a place, even if the last file grows by
// that, or a file more is made than the journal's bound allows: right after a crash
// all of it may be needed by logs that are still to be synced. gathering is held.
func (j *journal) makeRoom(n int64) error {
	j.prepareFirst(true)
	j.mu.Lock()
	f := j.last()
	if f == nil || f.size-f.used < n {
		f = j.goOn()
	}
	failed := j.mu.failed
	j.mu.Unlock()
	switch {
	case failed != nil:
		return failed
	case f == nil:
		return fmt.Errorf("%s: no room for a file: %w", j.dir, vfs.ErrNoSpace)
	case f.size-f.used >= n:
		return nil
	}
	size := f.used + n
	if err := fillZeros(f.f, f.size, size); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	f.size = size
	return nil
}

// last is the file that is written to, nil if there is none yet. j.mu is held.
func (j *journal) last() *journalFile {
	if n := len(j.mu.files); n > 0 && !j.mu.files[n-1].old {
		return j.mu.files[n-1]
	}
	return nil
}

// goOn makes the file that was prepared the last one, if there is one. j.mu is
// held.
func (j *journal) goOn() *journalFile {
	if j.mu.ahead != nil {
		j.mu.files, j.mu.ahead = append(j.mu.files, j.mu.ahead), nil
	} else {
		j.prepareBehind()
	}
	j.settleBehind()
	return j.last()
}

// prepareFirst prepares a file if none is written to: if there has to be one, also
// beyond the journal's bound.
func (j *journal) prepareFirst(beyond bool) {
	j.mu.Lock()
	for j.mu.preparing && j.last() == nil {
		j.mu.idle.Wait()
	}
	first := j.last() == nil && j.prepares()
	j.mu.preparing = j.mu.preparing || first
	j.mu.Unlock()
	if first {
		j.prepare(beyond)
	}
}

// prepareBehind has a file made for the time when the last one is full. j.mu is
// held.
func (j *journal) prepareBehind() {
	if j.prepares() {
		j.mu.preparing = true
		go j.prepare(false)
	}
}

// prepares reports whether a file is to be prepared. j.mu is held.
func (j *journal) prepares() bool {
	return !j.mu.preparing && j.mu.ahead == nil && j.mu.failed == nil && !j.mu.closing &&
		(j.mu.fullSince.IsZero() || j.store.now().Sub(j.mu.fullSince) >= fullDiskPause)
}

// prepare makes the file to be written to next: of the oldest one that is free, or a
// new one, within the journal's bound unless beyond is set.
func (j *journal) prepare(beyond bool) {
	f, err := j.make(beyond)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.preparing = false
	j.mu.idle.Broadcast()
	j.mu.ahead = f
	switch {
	case errors.Is(err, vfs.ErrNoSpace):
		j.mu.fullSince = j.store.now()
		j.store.log.Warn("no room for a file of the journal: logs sync their own files", "path", j.dir, "err", err)
	case err != nil:
		_ = j.fail(err)
	default:
		j.mu.fullSince = time.Time{}
	}
}

// make returns a file that is filled, and durable with its name; or none, if the
// journal has all that it may have and needs all of it.
func (j *journal) make(beyond bool) (*journalFile, error) {
	for {
		old, seq, size := j.plan(beyond)
		switch {
		case old == nil && size == 0:
			return nil, nil
		case old == nil:
			return j.create(seq, size)
		case old.size == j.fileBytes:
			f, err := j.rename(old, seq)
			j.gone(old)
			return f, err
		}
		if err := j.drop(old); err != nil {
			return nil, fmt.Errorf("%s: %v", j.fileName(old.seq), err) //nolint:errorlint // a full disk is no excuse: it is not known any more what is there
		}
		j.gone(old)
	}
}

// gone takes a file out of those that are free: what was in it cannot come back.
func (j *journal) gone(f *journalFile) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.free = slices.DeleteFunc(j.mu.free, func(o *journalFile) bool { return o == f })
}

// plan names the oldest file that is free, or gives a new one its size, a small one
// if it is beyond the journal's bound; 0 is for none.
func (j *journal) plan(beyond bool) (old *journalFile, seq uint64, size int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	seq = j.mu.nextSeq
	if len(j.mu.free) > 0 {
		j.mu.nextSeq++
		return j.mu.free[0], seq, 0
	}
	bytes := int64(0)
	size = firstFileBytes / fileGrowth
	for _, f := range j.mu.files {
		bytes += f.size
		size = max(size, f.size)
	}
	size = min(size*fileGrowth, j.fileBytes)
	switch {
	case bytes+size <= j.bytesMax:
	case beyond:
		size = min(firstFileBytes, j.fileBytes)
	default:
		return nil, 0, 0
	}
	j.mu.nextSeq++
	return nil, seq, size
}

// rename gives a file that is free another life. Once the name is durable nothing
// counts any more of what is in it.
func (j *journal) rename(f *journalFile, seq uint64) (*journalFile, error) {
	name := j.fileName(seq)
	if err := errors.Join(f.close(), j.store.fs.Rename(j.fileName(f.seq), name), j.store.fs.SyncDir(j.dir)); err != nil {
		return nil, fmt.Errorf("%s: %v", name, err) //nolint:errorlint // as above
	}
	file, err := j.store.fs.Open(name)
	if err != nil {
		return nil, err
	}
	return j.file(seq, file, f.size)
}

func (j *journal) create(seq uint64, size int64) (*journalFile, error) {
	name := j.fileName(seq)
	if err := j.store.fs.MkdirAll(j.dir); err != nil {
		return nil, err
	}
	j.mu.Lock()
	j.mu.made = true
	j.mu.Unlock()
	f, err := j.store.fs.Create(name)
	if err != nil {
		return nil, err
	}
	// Reserved first: a disk without the room says so before anything is written.
	if err = f.Preallocate(size); err == nil {
		err = fillZeros(f, 0, size)
	}
	if err == nil {
		err = j.store.fs.SyncDir(j.dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), j.store.fs.Remove(name))
	}
	f.Evict(0, size)
	return j.file(seq, f, size)
}

// file opens the lanes of a file that is filled.
func (j *journal) file(seq uint64, f vfs.File, size int64) (*journalFile, error) {
	made := &journalFile{seq: seq, f: f, size: size, logs: map[string]int64{}}
	lanes := make(chan vfs.DirectFile, j.depth)
	for range j.depth {
		lane, err := f.Direct(vfs.ViaCalls)
		if errors.Is(err, errors.ErrUnsupported) {
			return made, nil
		}
		if err != nil {
			return nil, errors.Join(err, made.close())
		}
		lanes <- lane
		made.lanes = lanes
	}
	return made, nil
}

// close gives back what is open of a file to which nothing is being written.
func (f *journalFile) close() error {
	var err error
	for len(f.lanes) > 0 {
		err = errors.Join(err, (<-f.lanes).Close())
	}
	return errors.Join(err, f.f.Close())
}

// drop removes a file that nobody needs, durably.
func (j *journal) drop(f *journalFile) error {
	return errors.Join(f.close(), j.store.fs.Remove(j.fileName(f.seq)), j.store.fs.SyncDir(j.dir))
}

// fillZeros writes zeros to the bytes [from, to), and syncs them.
func fillZeros(f vfs.File, from, to int64) error {
	zeros := make([]byte, min(to-from, 1<<20))
	for from < to {
		n, err := f.WriteAt([][]byte{zeros[:min(to-from, int64(len(zeros)))]}, from)
		if err != nil {
			return err
		}
		from += n
	}
	return f.Sync()
}

// settleBehind has the logs sync what the full files have of them. j.mu is held.
func (j *journal) settleBehind() {
	if !j.mu.settling && !j.mu.closing && j.crowded() {
		j.mu.settling = true
		go j.settle()
	}
}

// crowded reports whether files are to be freed: one more than the last is there,
// and enough of the journal is in use. To begin late is to sync less, for what a log
// syncs for one file serves all those after it, too. To begin early is to sync
// little at a time, between the journal's own syncs, which wait for it: with 64
// logs that halves the p99. So a log's sync is to be worth syncWorthBytes of
// journal, between an eighth of the journal and half of it. j.mu is held.
func (j *journal) crowded() bool {
	if len(j.mu.files) < 2 {
		return false
	}
	oldest := j.mu.files[0]
	bytes := int64(0)
	for _, f := range j.mu.files {
		bytes += f.size
	}
	enough := max(j.bytesMax/8, int64(len(oldest.logs))*syncWorthBytes)
	return oldest.old || bytes > min(enough, j.bytesMax/2)
}

// syncWorthBytes is how much of the journal a log's own sync is to be worth.
const syncWorthBytes = 128 << 10

// settleWorkers is how many logs sync their own files for the journal at once.
const settleWorkers = 8

// settle frees files, from the oldest on, as long as it can.
func (j *journal) settle() {
	for more := true; more; {
		f, logs := j.oldest()
		g := new(errgroup.Group)
		g.SetLimit(settleWorkers)
		for name, upTo := range logs {
			g.Go(func() error {
				if j.store.settles(name, upTo) {
					j.settled(f, name, upTo)
				}
				return nil
			})
		}
		_ = g.Wait()
		more = j.release(f)
	}
}

// oldest returns the file that is to be freed next, if any is, and the logs that
// need it.
func (j *journal) oldest() (*journalFile, map[string]int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.crowded() || j.mu.closing {
		return nil, nil
	}
	f := j.mu.files[0]
	logs := maps.Clone(f.logs)
	maps.DeleteFunc(logs, func(_ string, upTo int64) bool { return upTo == settled })
	return f, logs
}

// settled notes that a log needs nothing of the file any more.
func (j *journal) settled(f *journalFile, name string, upTo int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if f.logs[name] == upTo {
		f.logs[name] = settled
	}
}

// release frees the file if no log needs it, and reports whether there may be more
// to free. It ends the settling if not.
func (j *journal) release(f *journalFile) (more bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if f == nil || f.needed() || f.last > j.mu.durable {
		j.mu.settling = false
		j.mu.idle.Broadcast()
		return false
	}
	j.mu.files = j.mu.files[1:]
	j.mu.free = append(j.mu.free, f)
	return true
}

func (f *journalFile) needed() bool {
	for _, upTo := range f.logs {
		if upTo != settled {
			return true
		}
	}
	return false
}

// settles reports whether a log needs nothing any more of what the journal has of
// it below upTo; if it is open it is synced for that.
func (s *Store) settles(name string, upTo int64) bool {
	s.mu.Lock()
	l, open := s.mu.logs[name]
	s.mu.Unlock()
	if l == nil {
		return !open && !s.journal.awaits(name) // it was deleted
	}
	return l.settles(upTo)
}

func (l *Log) settles(upTo int64) bool {
	if bugJournalFreed.made() {
		return true
	}
	if l.syncedTo() < upTo {
		l.syncTail(true)
	}
	return l.syncedTo() >= upTo
}

// leaveBehind syncs the log's own files if the journal has more of it: a log that is
// idle is to hold no file, and a recovery to have little to read.
func (l *Log) leaveBehind() {
	if l.config.Load().design.sync.Journal {
		l.settles(l.end.Load())
	}
}

func (l *Log) syncedTo() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.synced
}

// close waits until the journal is at rest. If no log needs it any more it leaves
// nothing behind, else everything. It is called when all logs are closed.
func (j *journal) close() error {
	j.mu.Lock()
	j.mu.closing = true
	for j.mu.leading > 0 || j.mu.preparing || j.mu.settling {
		j.mu.idle.Wait()
	}
	all := slices.Concat(j.mu.free, j.mu.files)
	needed := j.mu.failed != nil || len(j.mu.replay) > 0
	if j.mu.ahead != nil {
		all = append(all, j.mu.ahead)
	}
	j.mu.Unlock()
	for _, f := range all {
		for name, upTo := range f.logs {
			needed = needed || upTo != settled && !j.store.settles(name, upTo)
		}
	}
	var err error
	for _, f := range all {
		if needed || err != nil {
			err = errors.Join(err, f.close())
		} else {
			err = j.drop(f)
		}
	}
	if needed || err != nil || !j.mu.made {
		return err
	}
	return j.store.fs.Remove(j.dir)
}
