package engine

import (
	"errors"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// part is one segment of a log with its two indexes. All parts but a log's last
// are sealed.
//
// A part is a few facts; its files are opened by its first use, and closed again
// when the store has too many open, or when nobody has used them for a while
// (see shelf). Whoever touches them does it between acquire and release:
//
//	if err := p.acquire(); err != nil { … }  // opens them if need be
//	defer p.release()
//	p.seg.ReadAt(…); p.offsets.Floor(…)      // they stay open
//
// A part with bytes or index entries that are not durable is kept open without
// that, from keep to unkeep: what an fsync reports, it reports to those who have
// had the file open since the write, and a part that is opened again knows only
// of bytes that reached the file.
//
// An error of opening is the error of that use alone: nothing was lost by it.
type part struct {
	base int64 // offset of the first record; names the files
	log  *Log
	// media is what is open. It is set, and so are its fields, for whoever has
	// acquired the part, and while dirty.
	*media

	use partUse

	// damage is what is quarantined of the segment; nil: nothing. It is changed
	// with Log.damage held.
	damage atomic.Pointer[damages]

	// The rest is guarded by Log.mu.

	next         int64     // offset after the last record
	newest       int64     // greatest timestamp of a record, -1: none, or not surveyed
	newestOffset int64     // last offset of the first batch that has it
	oldest       int64     // greatest timestamp of the first batch: begins the part's age
	begun        time.Time // when it was made or opened: its age, where no record has a timestamp
	written      time.Time // of the last write, where no record has a timestamp; zero: ask the file
	sinceIndex   int64     // bytes appended since the last index entry
	surveyed     bool      // newest comes from the batches, not from an index
	sealed       bool
	synced       bool // sealed, and durable with its indexes
	dirty        bool // has what is not durable: kept open
}

// media is what a part has open.
type media struct {
	seg     segment.Segment
	offsets index.Index // last offset of a batch → its position
	times   index.Index // greatest timestamp so far → last offset of its batch
	noIndex bool        // the disk was too full to open the indexes: take no more
}

// partUse says who uses a part's files. Its lock is the innermost of all, and held
// across no I/O.
type partUse struct {
	sync.Mutex
	users  int32
	kept   bool // see keep
	closed bool // nobody gets in any more
	recent bool // used since the shelf looked last
	sealed bool // the files are opened for reading alone
	// trusted says that the indexes were looked at since the log was opened.
	trusted bool
	// size is that of the segment while it is not open; -1: ask the file.
	size int64
	// moving is closed when whoever opens or closes the files is done.
	moving chan struct{}
	// spare is what a part keeps in memory while it is not open: indexes that
	// have no file.
	spare *media
	slot  int // place on the shelf, guarded by shelf.mu; -1: none
}

// newPart is a part that is not open.
func newPart(l *Log, base int64, sealed bool) *part {
	p := &part{base: base, log: l, next: base, newest: -1, newestOffset: -1, oldest: -1, sealed: sealed}
	p.use.sealed, p.use.size, p.use.slot = sealed, -1, -1
	return p
}

// partOptions are what opening a part's files needs to know of the log.
type partOptions struct {
	fs     vfs.FS
	dir    string
	config *Config
	design resolved
	shelf  *shelf
}

// patiently opens a file, and tries again after closing others where there are too
// many: the store's bound is on what is open for nothing, and others open files,
// too.
func (o *partOptions) patiently(open func() error) error {
	err := open()
	if vfs.OutOfFiles(err) {
		o.shelf.clear()
		err = open()
	}
	return err
}

// openPart opens or creates the part at base, to be appended to, and returns it acquired. An index
// that cannot be right is emptied, and reported, so that the caller rebuilds it.
func openPart(l *Log, base int64, create bool) (p *part, rebuild bool, err error) {
	p = newPart(l, base, false)
	p.media, rebuild, err = openMedia(l.partOptions(l.config.Load()), base, mediaOptions{create: create, size: -1})
	if err != nil {
		return nil, false, err
	}
	p.use.users, p.use.recent, p.use.trusted = 1, true, true
	l.store.shelf.add(p)
	return p, rebuild, nil
}

// mediaOptions say how a part's files are opened.
type mediaOptions struct {
	create, sealed bool
	size           int64  // see segment.Options
	suffix         string // behind the files' own, for those of a segment that is not in use yet
	spare          *media // indexes that are there already
}

func openMedia(o partOptions, base int64, how mediaOptions) (m *media, rebuild bool, err error) {
	m = &media{}
	so := segment.Options{Create: how.create, Size: how.size}
	if how.create && o.config.Preallocate && how.suffix == "" {
		so.PreallocBytes = o.config.SegmentBytes
	}
	err = o.patiently(func() (err error) {
		m.seg, err = o.design.segment.Open(o.fs, fileName(o.dir, base, suffixSegment+how.suffix), so)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	if s := how.spare; s != nil {
		m.offsets, m.times, m.noIndex = s.offsets, s.times, s.noIndex
		return m, false, nil
	}
	rebuild, err = m.openIndexes(o, base, how)
	if errors.Is(err, vfs.ErrNoSpace) && !how.create {
		err = m.goWithoutIndexes(o, base)
	}
	if err != nil {
		return nil, false, errors.Join(err, m.close())
	}
	return m, rebuild, nil
}

// goWithoutIndexes lets a part be read on a disk that is too full for indexes
// that can be added to. Their files go, so that the next start makes them anew.
func (m *media) goWithoutIndexes(o partOptions, base int64) error {
	err := m.closeIndexes()
	for _, suffix := range []string{suffixOffsets, suffixTimes} {
		if e := o.fs.Remove(fileName(o.dir, base, suffix)); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	m.noIndex = true
	none := index.Designs[slices.IndexFunc(index.Designs, func(d index.Design) bool { return !d.Keeps })]
	var err1, err2 error
	m.offsets, err1 = none.Open(o.fs, "", index.Options{Kind: index.Offsets, Base: base})
	m.times, err2 = none.Open(o.fs, "", index.Options{Kind: index.Times, Base: base})
	return errors.Join(err, err1, err2)
}

// openIndexes opens the indexes of a part. Those of a new segment are emptied: it
// must not inherit what a crash left behind.
func (m *media) openIndexes(o partOptions, base int64, how mediaOptions) (rebuild bool, err error) {
	io := index.Options{Base: base, MaxBytes: o.config.IndexBytes, Sealed: how.sealed, Reset: how.create}
	var r1, r2 bool
	io.Kind = index.Offsets
	if m.offsets, r1, err = openIndex(o, io, suffixOffsets+how.suffix); err != nil {
		return false, err
	}
	io.Kind = index.Times
	m.times, r2, err = openIndex(o, io, suffixTimes+how.suffix)
	return r1 || r2, err
}

func openIndex(o partOptions, io index.Options, suffix string) (index.Index, bool, error) {
	name := fileName(o.dir, io.Base, suffix)
	var ix index.Index
	err := o.patiently(func() (err error) {
		ix, err = o.design.index.Open(o.fs, name, io)
		return err
	})
	if errors.Is(err, index.ErrCorrupt) {
		io.Reset, io.Sealed = true, false
		ix, err = o.design.index.Open(o.fs, name, io)
		return ix, true, err
	}
	return ix, false, err
}

func (m *media) close() error { return errors.Join(m.seg.Close(), m.closeIndexes()) }

func (m *media) closeIndexes() error {
	var err error
	for _, ix := range []index.Index{m.offsets, m.times} {
		if ix != nil {
			err = errors.Join(err, ix.Close())
		}
	}
	return err
}

// fits reports whether a set of so many bytes and so many offsets can go in. The
// part is acquired.
func (p *part) fits(size, lastOffset int64, c *Config) bool {
	return !p.noIndex && p.seg.Size()+size <= c.SegmentBytes && lastOffset-p.base <= maxRelative && !p.offsets.Full() && !p.times.Full()
}

// maxRelative is how far an offset may be from its segment's base: an index has
// 31 bits for it.
const maxRelative = 1<<31 - 1

// note brings the part's index and facts up to date with the batch at pos, of
// which the header is enough. It is called in order for every batch, before the
// batch counts as appended. The part is acquired.
//
// As in Kafka an entry is due when more than interval bytes have come since the
// last one, and it points at the batch that made it due: with an interval of 0
// every batch has one but the segment's first.
func (p *part) note(h batch.Batch, pos, interval int64) error {
	p.learn(h, pos)
	if p.sinceIndex > interval {
		if err := p.index(h.LastOffset(), pos); err != nil {
			return err
		}
		p.sinceIndex = 0
	}
	p.sinceIndex += h.Size()
	return nil
}

// learn is the part of note that is not about the index.
func (p *part) learn(h batch.Batch, pos int64) {
	if t := newestOf(h); t > p.newest {
		p.newest, p.newestOffset = t, h.LastOffset()
	}
	if pos == 0 {
		p.oldest = h.MaxTimestamp()
	}
	p.next = h.NextOffset()
}

// newestOf is the greatest timestamp of a batch's records, -1 if it has none.
// What compaction leaves of a batch may be its header alone.
func newestOf(h batch.Batch) int64 {
	if h.Count() == 0 {
		return -1
	}
	return h.MaxTimestamp()
}

func (p *part) index(last, pos int64) error {
	if err := p.offsets.Add(index.Entry{Key: last, Value: pos}); err != nil && !errors.Is(err, index.ErrFull) {
		return err
	}
	return p.indexNewest()
}

// indexNewest adds the greatest timestamp to the time index if it is not there.
func (p *part) indexNewest() error {
	if p.newest < 0 {
		return nil
	}
	if e, ok := p.times.Last(); ok && e.Key >= p.newest {
		return nil
	}
	err := p.times.Add(index.Entry{Key: p.newest, Value: p.newestOffset})
	if errors.Is(err, index.ErrFull) {
		return nil // an index may miss entries; fits rolls before it gets far
	}
	return err
}

// seal ends the part's growth. The part is acquired.
func (p *part) seal() error {
	err := errors.Join(p.indexNewest(), p.seg.Seal(), p.offsets.Seal(), p.times.Seal())
	p.setSealed(err == nil)
	return err
}

// stat tells retention what it may know. The age of a part that was not surveyed
// is not known: it may be any.
func (p *part) stat() SegmentStat {
	s := SegmentStat{Base: p.base, Next: p.next, Bytes: p.size(), Newest: p.written}
	if p.newest >= 0 {
		s.Newest = time.UnixMilli(p.newest)
	}
	if len(p.damaged()) > 0 {
		// The newest record may be among those that cannot be read.
		if m := p.modified(); m.After(s.Newest) {
			s.Newest = m
		}
	}
	return s
}

// sync makes the part durable. The indexes of a growing part are left out: they
// are checked and rebuilt after a crash. A growing part may be hardened instead.
// The part is acquired.
func (p *part) sync(withIndexes, harden bool) error {
	if h, ok := p.seg.(segment.Hardener); ok && harden && !withIndexes {
		return h.Harden()
	}
	if err := p.seg.Sync(); err != nil || !withIndexes {
		return err
	}
	return errors.Join(p.offsets.Sync(), p.times.Sync())
}
