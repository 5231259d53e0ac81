package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/bobbin-log/bobbin/segment"
)

// How a new segment takes the place of old ones, with the names that Kafka gives
// its files on the way, so that either of the two can go on where the other was
// stopped:
//
//	write    N.log.cleaned N.index.cleaned …   synced, and the directory
//	rename   all of them to N.log.swap …       the log last; sync the directory
//	─────────────────────────────────────────  from here on the new one counts
//	remove   the old segments' files           sync the directory
//	rename   N.log.swap to N.log               sync the directory
//	rename   N.index.swap … to N.index …       sync the directory
//
// A start that finds a .cleaned file undoes: it removes the .swap files first and
// the .cleaned ones after, and syncs between the two, or a .swap that came back
// after a crash would seem to be complete. A start that finds .swap files alone
// completes: what lies in the range of a .log.swap was to be removed.
//
// The last batch of a group always stays, so the range is that of the group.

// The suffixes behind a file's own.
const (
	suffixCleaned = ".cleaned"
	suffixSwap    = ".swap"
	suffixDeleted = ".deleted"
)

// partSuffixes are the files of one segment that a swap moves, the segment itself
// last.
func partSuffixes() [4]string {
	return [...]string{suffixOffsets, suffixTimes, suffixAborted, suffixSegment}
}

// swap puts p, which lies beside the group's parts under .cleaned, in their place.
//
// Readers go on all the time. As soon as the new segment counts, p itself is
// published, open under whatever name; those who are in an old part stay there as
// long as they like, with its files open, and those who come too late for it look
// again. When all names are right, a part that can be closed and opened by them
// takes p's place.
func (r *round) swap(p *part, group []*part) error {
	l := r.l
	l.cutting.Lock()
	defer l.cutting.Unlock()
	if err := r.stillThere(group); err != nil {
		return errors.Join(err, p.close(), l.removeCleaned(p.base))
	}
	last := group[len(group)-1]
	var old []int64
	for _, p := range group {
		old = append(old, p.base)
	}
	l.mu.Lock()
	p.next, p.begun, p.written, p.surveyed, p.synced = last.next, group[0].begun, last.written, true, true
	l.mu.Unlock()
	if !r.c.design.segment.Durable {
		r.replace(group, p)
		err := closeAll(group)
		for _, at := range old {
			err = errors.Join(err, l.removeFiles(at))
		}
		return err
	}
	err := l.commitSwap(p.base)
	if err == nil {
		r.replace(group, p)
		err = errors.Join(closeAll(group), l.completeSwap(p.base, old), l.reloadAborted())
	}
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.fail(fmt.Errorf("swap the compacted segment %d in: %w", p.base, err))
	}
	named := newPart(l, p.base, true)
	l.mu.Lock()
	named.next, named.newest, named.newestOffset, named.oldest = p.next, p.newest, p.newestOffset, p.oldest
	named.begun, named.written, named.surveyed, named.synced = p.begun, p.written, true, true
	l.mu.Unlock()
	r.replace([]*part{p}, named)
	return p.close()
}

// replace publishes p in the place of a run of parts.
func (r *round) replace(run []*part, p *part) {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	parts := *r.l.view.Load()
	i := slices.Index(parts, run[0])
	r.l.publish(slices.Concat(parts[:i], []*part{p}, parts[i+len(run):]))
}

func closeAll(parts []*part) error {
	var err error
	for _, p := range parts {
		err = errors.Join(err, p.close())
	}
	return err
}

// stillThere looks whether the group's parts are a run of the view, and are what
// they were when the round began. Log.cutting is held, so that stays so.
func (r *round) stillThere(group []*part) error {
	l := r.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	parts := *l.view.Load()
	i := slices.Index(parts, group[0])
	if r.overtaken() || i < 0 || i+len(group) >= len(parts) || !slices.Equal(parts[i:i+len(group)], group) {
		return errOvertaken
	}
	return nil
}

// commitSwap renames the files of the segment at base from .cleaned to .swap: it
// counts from then on.
func (l *Log) commitSwap(base int64) error {
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	for _, suffix := range partSuffixes() {
		name := fileName(l.dir, base, suffix)
		if err := l.rename(name+suffixCleaned, name+suffixSwap); err != nil {
			return err
		}
	}
	if bugSwapEarly.made() {
		return nil
	}
	return l.fs.SyncDir(l.dir)
}

// completeSwap removes the old segments, and gives the new one the name of the
// first.
func (l *Log) completeSwap(base int64, old []int64) error {
	for _, at := range old {
		for _, suffix := range partSuffixes() {
			if err := l.remove(fileName(l.dir, at, suffix)); err != nil {
				return err
			}
		}
		if at == base {
			continue // what is known of producers at its beginning stays true
		}
		if err := l.remove(fileName(l.dir, at, suffixSnapshot)); err != nil {
			return err
		}
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	name := fileName(l.dir, base, suffixSegment)
	if err := errors.Join(l.rename(name+suffixSwap, name), l.fs.SyncDir(l.dir)); err != nil {
		return err
	}
	for _, suffix := range []string{suffixOffsets, suffixTimes, suffixAborted} {
		name := fileName(l.dir, base, suffix)
		if err := l.rename(name+suffixSwap, name); err != nil {
			return err
		}
	}
	return l.fs.SyncDir(l.dir)
}

// rename renames a file that a design may not have.
func (l *Log) rename(from, to string) error {
	if err := l.fs.Rename(from, to); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeCleaned removes the files of a new segment that does not come to be used.
func (l *Log) removeCleaned(base int64) error {
	if !l.config.Load().design.segment.Durable {
		return nil
	}
	var err error
	for _, s := range partSuffixes() {
		err = errors.Join(err, l.remove(fileName(l.dir, base, s+suffixCleaned)))
	}
	return err
}

// settleSwaps undoes or completes the swap that a crash has interrupted, ours or
// Kafka's, and reports whether there was any.
func (l *Log) settleSwaps(names []string) (found bool, err error) {
	var cleaned, swaps []string
	least := int64(1<<63 - 1)
	for _, name := range names {
		switch path.Ext(name) {
		case suffixDeleted:
			found = true
			if err := l.remove(path.Join(l.dir, name)); err != nil {
				return true, err
			}
		case suffixCleaned:
			if base, ok := baseOf(name, suffixCleaned); ok {
				cleaned, least = append(cleaned, name), min(least, base)
			}
		case suffixSwap:
			swaps = append(swaps, name)
		}
	}
	var undone []string
	swaps = slices.DeleteFunc(swaps, func(name string) bool {
		base, ok := baseOf(name, suffixSwap)
		if ok && base >= least {
			undone = append(undone, name)
		}
		return !ok || base >= least
	})
	if len(undone)+len(cleaned)+len(swaps) > 0 {
		// What a killed process renamed may be in the page cache alone: it must
		// not be undone by a crash when what follows is not.
		if err := l.fs.SyncDir(l.dir); err != nil {
			return true, err
		}
	}
	for _, names := range [][]string{undone, cleaned} {
		if err := l.removeAll(names); err != nil {
			return true, err
		}
	}
	for _, name := range swaps {
		if base, _ := baseOf(name, suffixSwap); strings.HasSuffix(name, suffixSegment+suffixSwap) {
			if err := l.settleSwap(base); err != nil {
				return true, err
			}
		}
	}
	for _, name := range swaps { // those whose log has its name already
		if err := l.rename(path.Join(l.dir, name), path.Join(l.dir, strings.TrimSuffix(name, suffixSwap))); err != nil {
			return true, err
		}
	}
	if len(swaps) > 0 {
		err = l.fs.SyncDir(l.dir)
	}
	return found || len(undone)+len(cleaned)+len(swaps) > 0, err
}

// baseOf reads the offset of a name such as 00000000000000000042.index.swap.
func baseOf(name, suffix string) (int64, bool) {
	name = strings.TrimSuffix(name, suffix)
	for _, s := range partSuffixes() {
		if base, ok := fileOffset(name, s); ok {
			return base, true
		}
	}
	return 0, false
}

// removeAll removes files durably.
func (l *Log) removeAll(names []string) error {
	if len(names) == 0 {
		return nil
	}
	for _, name := range names {
		if err := l.remove(path.Join(l.dir, name)); err != nil {
			return err
		}
	}
	return l.fs.SyncDir(l.dir)
}

// settleSwap completes the swap of the segment at base.
func (l *Log) settleSwap(base int64) error {
	next, err := l.swapEnd(base)
	if err != nil {
		return err
	}
	files, err := l.list()
	if err != nil {
		return err
	}
	old := []int64{base}
	for _, at := range files.bases {
		if at > base && at < next {
			old = append(old, at)
		}
	}
	l.log.Warn("completing a compaction that was interrupted", "log", l.name, "segment", base, "up_to", next)
	return l.completeSwap(base, old)
}

// swapEnd is the offset after the last batch of a segment that is to be swapped
// in.
func (l *Log) swapEnd(base int64) (next int64, err error) {
	name := fileName(l.dir, base, suffixSegment+suffixSwap)
	seg, err := l.config.Load().design.segment.Open(l.fs, name, segment.Options{Size: -1, ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, seg.Close()) }()
	p := newPart(l, base, true)
	p.media = &media{seg: seg}
	s := newScanner(l, p)
	defer s.free()
	s.end = seg.Size()
	next = base
	for pos := int64(0); pos < s.end; {
		h, err := s.header(pos)
		if err != nil {
			return 0, err
		}
		next = h.NextOffset()
		pos += h.Size()
	}
	return next, nil
}
