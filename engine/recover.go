package engine

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// recoveryPoints are what the checkpoints say of a log.
type recoveryPoints struct {
	clean   bool  // the last stop was clean: nothing needs to be checked
	durable int64 // below this everything is durable
	start   int64 // the log's start, where records were deleted
}

// load opens what is in the log's directory.
//
// After a clean stop only the headers behind the last index entry are read.
// After a crash the bytes below the recovery point are known to have been synced;
// what lies past it is read and checked, and cut where the crash tore it. What
// is damaged and not torn is quarantined, see Damage.
func (l *Log) load(points recoveryPoints) error {
	files, err := l.list()
	if err != nil {
		return err
	}
	if swapped, err := l.settleSwaps(files.names); err != nil {
		return err
	} else if swapped {
		if files, err = l.list(); err != nil {
			return err
		}
	}
	if len(files.bases) == 0 {
		return fmt.Errorf("%s: %w", l.dir, ErrNotFound)
	}
	if d := l.config.Load().Design; !l.config.Load().design.segment.Durable {
		return fmt.Errorf("%s has segments on the disk, and the segment design %s of %s does not read any: choose one that does, or delete the topic", l.dir, d.Segment, d)
	}
	if err := l.sweep(files); err != nil {
		return err
	}
	r := l.newRecovery(points, files)
	l.opening = r
	defer func() { l.opening = nil }()
	parts, err := l.openParts(files.bases, r)
	if err != nil {
		for _, p := range parts {
			err = errors.Join(err, p.close())
		}
		return err
	}
	last := parts[len(parts)-1]
	l.publish(parts)
	l.end.Store(last.next)
	l.handed.Store(last.next)
	l.start.Store(min(max(r.start, parts[0].base), last.next))
	l.durable.Store(min(max(r.durable, l.start.Load()), last.next))
	l.mu.synced = min(r.durable, last.next)
	if !r.clean {
		// The names of files that a killed process had made may be in the page
		// cache alone, whatever the recovery point says of their bytes.
		l.mu.newNames = !bugNamesUnkept.made()
	}
	if last.next < points.durable {
		l.log.Error("log ends before what was known to be durable: the disk lost records", "log", l.name, "end", last.next, "durable", points.durable)
	}
	doubtful, err := l.loadAborted(files.names)
	if err != nil {
		return err
	}
	if err := l.loadState(files.snapshots, r.recoveryPoints); err != nil {
		return err
	}
	_, err = l.rebuildAborted(unite(doubtful, r.markers), files.snapshots, l.gaps())
	l.tellUndecided()
	return err
}

// skip lets a log whose end is below its start go on from the start: records
// were deleted that had not reached the disk.
func (l *Log) skip(start int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if start <= l.end.Load() {
		return nil
	}
	return l.skipTo(start)
}

func (l *Log) skipTo(start int64) error {
	if _, err := l.roll(start, l.config.Load()); err != nil {
		return err
	}
	l.end.Store(start)
	l.durable.Store(start)
	l.handed.Store(start)
	l.start.Store(start)
	l.mu.newNames = true
	return nil
}

// loadState restores what the log knows of epochs and producers.
func (l *Log) loadState(snapshots []int64, r recoveryPoints) error {
	start, end := l.start.Load(), l.end.Load()
	e, known, err := readEpochs(l.fs, l.dir)
	var damaged *CorruptError
	if errors.As(err, &damaged) {
		l.log.Warn("leader epochs are read from the log", "log", l.name, "why", err)
		e, known, err = nil, false, nil
	}
	if err != nil {
		return err
	}
	if known && !e.match(l.opening.epoch, end, r.clean) {
		l.log.Warn("leader epochs are read from the log", "log", l.name, "why", fmt.Sprintf("%s says %d, and the last batch %d", nameEpochs, e.before(end), l.opening.epoch))
		e, known = nil, false
	}
	// What the log's checked tail has is read from there: the checkpoint may be
	// of a time before a truncation. It may also be of a time after a trim that
	// was lost.
	e.truncate(min(end, max(r.durable, start+1)))
	if !known || len(e) == 0 || e[0].start > start {
		// Without epochs there is no need for a file that says so.
		l.mu.newEpochs = len(e) > 0
		e, r.durable = nil, start
	}
	l.mu.epochs = e
	p, at, err := l.loadSnapshot(snapshots, end)
	if err != nil {
		return err
	}
	l.mu.producers = p
	if slices.Contains(snapshots, at) {
		l.mu.snapshotAt = at
	}
	err = l.replay(min(at, max(r.durable, start)), func(s *scanner, h batch.Batch) error {
		if l.mu.epochs.assign(h.LeaderEpoch(), h.BaseOffset()) {
			l.mu.newEpochs = true
		}
		if h.BaseOffset() < at {
			return nil
		}
		return l.learn(s, h)
	})
	l.decided()
	if l.mu.epochs.trim(start) {
		l.mu.newEpochs = true
	}
	return err
}

// reloadProducers restores the producers' state as it was at the new end.
func (l *Log) reloadProducers(end int64) error {
	files, err := l.list()
	if err != nil {
		return err
	}
	p, at, err := l.loadSnapshot(files.snapshots, end)
	if err != nil {
		return err
	}
	l.mu.producers, l.mu.snapshots, l.mu.early, l.mu.snapshotAt = p, nil, nil, -1
	err = l.replay(at, l.learn)
	l.decided()
	return err
}

// replay shows the header of every batch from offset on, which the scanner is at.
func (l *Log) replay(from int64, see func(s *scanner, header batch.Batch) error) error {
	if from >= l.end.Load() {
		return nil
	}
	parts := *l.view.Load()
	for _, p := range parts[max(partOf(parts, from), 0):] {
		if err := l.replayPart(p, from, see); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) replayPart(p *part, from int64, see func(s *scanner, header batch.Batch) error) error {
	if err := p.acquire(); err != nil {
		return err
	}
	defer p.release()
	s := newScanner(l, p)
	defer s.free()
	var failed error
	_, _, err := s.find(from, func(h batch.Batch) bool {
		if h.LastOffset() >= from {
			failed = see(&s, h)
		}
		return failed != nil
	})
	return errors.Join(err, failed)
}

// logFiles is what a log's directory holds, and the offsets in the names,
// ascending.
type logFiles struct {
	names            []string
	bases, snapshots []int64
}

// list reads the directory.
func (l *Log) list() (logFiles, error) {
	entries, err := l.fs.ReadDir(l.dir)
	if err != nil {
		return logFiles{}, err
	}
	var f logFiles
	for _, e := range entries {
		if n, ok := fileOffset(e.Name(), suffixSegment); ok {
			f.bases = append(f.bases, n)
		} else if n, ok := fileOffset(e.Name(), suffixSnapshot); ok {
			f.snapshots = append(f.snapshots, n)
		}
		f.names = append(f.names, e.Name())
	}
	slices.Sort(f.bases)
	slices.Sort(f.snapshots)
	return f, nil
}

// sweep clears the directory of what a crash left: temporary files, and indexes
// without a segment. Where the index design has no files, those of another one go
// too: nobody would keep them true from now on.
func (l *Log) sweep(f logFiles) error {
	idle := !l.config.Load().design.index.OnDisk
	for _, name := range f.names {
		n, isOffsets := fileOffset(name, suffixOffsets)
		m, isTimes := fileOffset(name, suffixTimes)
		_, hasSegment := slices.BinarySearch(f.bases, max(n, m))
		if strings.HasSuffix(name, vfs.SuffixTemp) || ((isOffsets || isTimes) && (idle || !hasSegment)) {
			if err := l.fs.Remove(path.Join(l.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// openParts opens the parts that have to be looked at, and ends the log at the
// first one that a crash cut short.
func (l *Log) openParts(bases []int64, r *recovery) ([]*part, error) {
	var parts []*part
	for i, base := range bases {
		sealed := i < len(bases)-1
		next := int64(1<<63 - 1)
		if sealed {
			next = bases[i+1]
		}
		p, whole, err := l.reopen(base, next, sealed, r)
		if p != nil {
			parts = append(parts, p)
		}
		if err != nil {
			return parts, err
		}
		if !whole && sealed && !bugHoleKept.made() {
			l.log.Warn("segments past the end of the log are removed", "log", l.name, "end", p.next, "segments", len(bases)-1-i)
			return parts, l.dropTail(bases[i+1:])
		}
	}
	return parts, nil
}

// dropTail removes segments that follow on one that a crash cut short. The
// newest goes first, as in Truncate.
func (l *Log) dropTail(bases []int64) error {
	for _, base := range slices.Backward(bases) {
		if err := errors.Join(l.removeFiles(base), l.fs.SyncDir(l.dir)); err != nil {
			return err
		}
	}
	return nil
}

// reopen opens one part. whole is false if the log ends with it: it was cut, or
// what should follow on it is missing.
func (l *Log) reopen(base, next int64, sealed bool, r *recovery) (p *part, whole bool, err error) {
	// A part that ends at the recovery point may have been sealed after it was
	// written down: then the entry that sealing adds can be lost.
	tail := (next > r.durable || sealed && next == r.durable) && !r.clean
	if sealed && !tail {
		// Its indexes are looked at by its first use.
		p := newPart(l, base, true)
		p.next, p.synced = next, true
		return p, true, l.restoreDamage(p, r)
	}
	p, rebuild, err := openPart(l, base, false)
	if err != nil {
		return nil, false, err
	}
	defer p.release()
	p.begun, p.written = l.now(), p.modified()
	if err := l.restoreDamage(p, r); err != nil {
		return p, false, err
	}
	if rebuild {
		// What only one of the two indexes still says is not enough.
		if err := cutIndexes(p, base); err != nil {
			return p, false, err
		}
	}
	if tail {
		p.keep()
		whole, err := l.recoverPart(p, sealed, r)
		if err == nil && whole && sealed {
			if whole = l.reaches(p, next, r); whole { // else it is the last one, and grows
				err = p.seal()
			}
		}
		return p, whole, err
	}
	return p, true, l.survey(p)
}

// reaches reports whether a part that a crash may have cut short at the end of a
// batch goes on to where the next one begins: roll leaves no gap. Gaps that are
// not from a crash lie before the recovery point or the log's start, or are
// where Kafka compacted.
func (l *Log) reaches(p *part, next int64, r *recovery) bool {
	return p.next >= next || p.next < r.durable || next <= r.start || l.config.Load().Compact
}

// recoverPart checks what a crash may have torn, and cuts it off. whole is false
// if it did.
func (l *Log) recoverPart(p *part, sealed bool, r *recovery) (whole bool, err error) {
	if !bugIndexTrusted.made() {
		if err := cutIndexes(p, max(r.durable, p.base)); err != nil {
			return false, err
		}
	}
	torn, err := l.check(p, sealed, r)
	if err != nil {
		return false, err
	}
	if torn == nil {
		return true, l.survey(p)
	}
	reserved, err := isReserve(p, torn.Pos)
	if err != nil {
		return false, err
	}
	if !reserved {
		l.log.Warn("log is cut at the first batch that is not whole", "log", l.name, "path", fileName(l.dir, p.base, suffixSegment), "position", torn.Pos, "why", torn.Why,
			"dropped_bytes", p.seg.Size()-torn.Pos)
	}
	l.cutDamage(p, torn.Pos, torn.First)
	if err := p.seg.Truncate(torn.Pos); err != nil {
		return false, err
	}
	return reserved || sealed && !r.lacks(*torn), l.survey(p)
}

// reserveLookBytes is how much of what may be reserved room is looked at. Either
// way it is cut off: what hangs on the answer is whether anyone need be told, and
// whether the log can go on behind a segment that was rolled.
const reserveLookBytes = 1 << 20

// isReserve reports whether the part has nothing but zeros from pos on: room that
// was reserved for appends that never came. That is an end of the log like
// another, not damage.
func isReserve(p *part, pos int64) (bool, error) {
	buf := make([]byte, 64<<10)
	for end := min(p.seg.Size(), pos+reserveLookBytes); pos < end; {
		n, err := p.seg.ReadAt(buf[:min(int64(len(buf)), end-pos)], pos)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(buf[:n], func(b byte) bool { return b != 0 }) {
			return false, nil
		}
		pos += int64(n)
	}
	return true, nil
}

// check reads the part from the batch that holds the recovery point on, and
// returns where and why a crash tore it, or nil. Damage is quarantined. Before
// the recovery point only the headers that lead there are looked at.
func (l *Log) check(p *part, sealed bool, r *recovery) (*Damage, error) {
	s := newScanner(l, p)
	defer s.free()
	s.end = p.seg.Size()
	var buf []byte
	for pos := s.indexed(r.durable); pos < s.end; {
		if to, ok := s.skip(pos); ok {
			pos = to
			continue
		}
		h, err := s.next(pos)
		size := int64(0)
		if err == nil {
			size = h.Size()
			if h.NextOffset() > r.durable {
				r.pass(p, h)
				buf, err = s.checked(buf, pos, size)
			}
		}
		if err == nil {
			pos += size
			continue
		}
		d, torn, err := s.judge(err, sealed, r)
		if torn || err != nil {
			return d, err
		}
		pos, _ = s.skip(d.Pos)
	}
	return nil, nil
}

// judge finds out whether a crash tore what an error is about, or quarantines it.
func (s *scanner) judge(err error, sealed bool, r *recovery) (*Damage, bool, error) {
	d, err := s.locate(err)
	if err != nil {
		return nil, false, err
	}
	if torn, err := s.torn(r, d, sealed); torn || err != nil {
		return &d, torn, err
	}
	return &d, false, s.l.quarantine(s.p, d, s.generation)
}

// checked reads the batch at pos into buf and verifies it.
func (s *scanner) checked(buf []byte, pos, size int64) ([]byte, error) {
	buf = slices.Grow(buf[:0], int(size))[:size]
	if _, err := s.p.seg.ReadAt(buf, pos); err != nil {
		return buf, err
	}
	if err := batch.Batch(buf).Check(); err != nil && !bugSkipCRC.made() {
		return buf, s.corrupt(pos, err.Error())
	}
	return buf, nil
}

// survey learns from the indexes, and from the headers behind their last entry,
// what the part holds, and adds the entries that the indexes lack. Indexes that
// speak of more than the part holds, for the disk or somebody has cut it, and those
// that what it holds does not follow on are made anew: once, and again each time
// that damage came to light on the way, for a batch may be in the indexes already
// when the next one shows that its offset is wrong.
func (l *Log) survey(p *part) error {
	for known := int64(-1); ; {
		err := l.surveyIndexed(p)
		if bugIndexTrusted.made() || err != nil && !errors.Is(err, index.ErrOrder) || err == nil && p.follows() {
			return err
		}
		damaged := p.damaged().bytes()
		if damaged == known {
			return err
		}
		known = damaged
		if err := cutIndexes(p, p.base); err != nil {
			return err
		}
	}
}

// follows reports whether the indexes speak of nothing behind what the part is
// known to hold. The newest record is the one of the last entry, or one behind it.
func (p *part) follows() bool {
	position, _ := p.offsets.Last()
	newest, ok := p.times.Last()
	return (p.offsets.Len() == 0 || position.Key < p.next) && p.newestOffset < p.next && (!ok || newest.Value <= p.newestOffset)
}

// surveyIndexed is survey for indexes that do not speak of more than there is.
func (l *Log) surveyIndexed(p *part) error {
	p.next, p.newest, p.newestOffset, p.sinceIndex = p.base, -1, -1, 0
	r := l.opening
	if r != nil {
		r.epoch = -1
	}
	if e, ok := p.times.Last(); ok {
		p.newest, p.newestOffset = e.Key, e.Value
	}
	s := newScanner(l, p)
	defer s.free()
	s.end = p.seg.Size()
	if s.end == 0 {
		return nil
	}
	if first, err := s.header(0); err == nil {
		p.oldest = first.MaxTimestamp()
	}
	pos := s.indexed(math.MaxInt64)
	if pos == 0 {
		p.newest, p.newestOffset, p.surveyed = -1, -1, true
	}
	if pos == 0 && p.offsets.Len() > 0 {
		// It is not the index of this segment.
		if err := cutIndexes(p, p.base); err != nil {
			return err
		}
	}
	interval := l.config.Load().indexInterval()
	for indexed := pos > 0; pos < s.end; indexed = false {
		if to, ok := s.skip(pos); ok {
			pos, p.next = to, s.due
			continue
		}
		h, err := s.next(pos)
		if err != nil {
			if pos, err = s.around(err); err != nil {
				return err
			}
			p.next = s.due
			continue
		}
		if r != nil {
			r.epoch = h.LeaderEpoch()
		}
		if indexed {
			p.learn(h, pos)
			p.sinceIndex = h.Size()
		} else if err := p.note(h, pos, interval); err != nil {
			return err
		}
		pos += h.Size()
	}
	return nil
}
