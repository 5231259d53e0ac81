package engine

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// part is one segment of a log with its two indexes. All parts but a log's last
// are sealed.
type part struct {
	base    int64 // offset of the first record; names the files
	seg     segment.Segment
	offsets index.Index // last offset of a batch → its position
	times   index.Index // greatest timestamp so far → last offset of its batch

	// hold keeps the part open for readers and syncs that found it in an older
	// view: closing waits for them.
	hold segment.Pin

	// The rest is guarded by Log.mu.

	next         int64     // offset after the last record
	newest       int64     // greatest timestamp of a record, -1: none
	newestOffset int64     // last offset of the first batch that has it
	oldest       int64     // greatest timestamp of the first batch: begins the part's age
	begun        time.Time // when it was made or opened: its age, where no record has a timestamp
	written      time.Time // of the last write, where no record has a timestamp
	sinceIndex   int64     // bytes appended since the last index entry
	surveyed     bool      // newest comes from the batches, not from an index
	noIndex      bool      // the disk was too full to open the indexes: take no more
	sealed       bool
	synced       bool // sealed, and durable with its indexes
}

// partOptions are what openPart needs to know of the log.
type partOptions struct {
	fs     vfs.FS
	dir    string
	config *Config
	design resolved
}

// openPart opens or creates the part at base. An index that cannot be right is
// emptied, and reported, so that the caller rebuilds it.
func openPart(o partOptions, base int64, create, sealed bool) (p *part, rebuild bool, err error) {
	p = &part{base: base, next: base, newest: -1, newestOffset: -1, oldest: -1, sealed: sealed}
	so := segment.Options{Create: create, Size: -1}
	if create && o.config.Preallocate {
		so.PreallocBytes = o.config.SegmentBytes
	}
	p.seg, err = o.design.segment.Open(o.fs, fileName(o.dir, base, suffixSegment), so)
	if err != nil {
		return nil, false, err
	}
	rebuild, err = p.openIndexes(o, create)
	if errors.Is(err, vfs.ErrNoSpace) && !create {
		err = p.goWithoutIndexes(o)
	}
	if err != nil {
		return nil, false, errors.Join(err, p.close())
	}
	return p, rebuild, nil
}

// goWithoutIndexes lets a part be read on a disk that is too full for indexes
// that can be added to. Their files go, so that the next start makes them anew.
func (p *part) goWithoutIndexes(o partOptions) error {
	err := p.closeIndexes()
	for _, suffix := range []string{suffixOffsets, suffixTimes} {
		if e := o.fs.Remove(fileName(o.dir, p.base, suffix)); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	p.noIndex = true
	none := index.Designs[slices.IndexFunc(index.Designs, func(d index.Design) bool { return !d.Keeps })]
	var err1, err2 error
	p.offsets, err1 = none.Open(o.fs, "", index.Options{Kind: index.Offsets, Base: p.base})
	p.times, err2 = none.Open(o.fs, "", index.Options{Kind: index.Times, Base: p.base})
	return errors.Join(err, err1, err2)
}

// openIndexes opens the indexes of a part. Those of a new segment are emptied: it
// must not inherit what a crash left behind.
func (p *part) openIndexes(o partOptions, create bool) (rebuild bool, err error) {
	io := index.Options{Base: p.base, MaxBytes: o.config.IndexBytes, Sealed: p.sealed, Reset: create}
	var r1, r2 bool
	io.Kind = index.Offsets
	if p.offsets, r1, err = openIndex(o, io, suffixOffsets); err != nil {
		return false, err
	}
	io.Kind = index.Times
	p.times, r2, err = openIndex(o, io, suffixTimes)
	return r1 || r2, err
}

func openIndex(o partOptions, io index.Options, suffix string) (index.Index, bool, error) {
	name := fileName(o.dir, io.Base, suffix)
	ix, err := o.design.index.Open(o.fs, name, io)
	if errors.Is(err, index.ErrCorrupt) {
		io.Reset, io.Sealed = true, false
		ix, err = o.design.index.Open(o.fs, name, io)
		return ix, true, err
	}
	return ix, false, err
}

// fits reports whether a set of so many bytes and so many offsets can go in.
func (p *part) fits(size, lastOffset int64, c *Config) bool {
	return !p.noIndex && p.seg.Size()+size <= c.SegmentBytes && lastOffset-p.base <= maxRelative && !p.offsets.Full() && !p.times.Full()
}

// maxRelative is how far an offset may be from its segment's base: an index has
// 31 bits for it.
const maxRelative = 1<<31 - 1

// note brings the part's index and facts up to date with the batch at pos, of
// which the header is enough. It is called in order for every batch, before the
// batch counts as appended.
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
	if t := h.MaxTimestamp(); t > p.newest {
		p.newest, p.newestOffset = t, h.LastOffset()
	}
	if pos == 0 {
		p.oldest = h.MaxTimestamp()
	}
	p.next = h.NextOffset()
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

// seal ends the part's growth.
func (p *part) seal() error {
	err := errors.Join(p.indexNewest(), p.seg.Seal(), p.offsets.Seal(), p.times.Seal())
	p.sealed = err == nil
	return err
}

// stat tells retention what it may know.
func (p *part) stat() SegmentStat {
	s := SegmentStat{Base: p.base, Next: p.next, Bytes: p.seg.Size(), Newest: p.written}
	if p.newest >= 0 {
		s.Newest = time.UnixMilli(p.newest)
	}
	return s
}

// sync makes the part durable. The indexes of a growing part are left out: they
// are checked and rebuilt after a crash.
func (p *part) sync(withIndexes bool) error {
	if err := p.seg.Sync(); err != nil || !withIndexes {
		return err
	}
	return errors.Join(p.offsets.Sync(), p.times.Sync())
}

// close lets go of the part once no reader is in it.
func (p *part) close() error {
	return p.hold.Close(func() error { return errors.Join(p.seg.Close(), p.closeIndexes()) })
}

func (p *part) closeIndexes() error {
	var err error
	for _, ix := range []index.Index{p.offsets, p.times} {
		if ix != nil {
			err = errors.Join(err, ix.Close())
		}
	}
	return err
}
