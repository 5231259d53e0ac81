package engine

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// round is one compaction of one log:
//
//  1. note the last offset of every key in the dirty part, as far as memory goes;
//  2. from the log's start to there, write each group of segments that fit into
//     one again, without the records that have a later one;
//  3. swap the new segment for the old ones, see [round.swap].
//
// Nobody waits for it. The old segments are sealed, and read as any reader does;
// what is written lies beside them until the swap, which takes a few renames.
// Whoever cuts the log meanwhile goes first: the round finds the segments of its
// group gone, or the log's generation another, and gives up.
//
// The groups go in order, and a round ends at the first that fails: a tombstone
// is never dropped before the older records of its key are.
type round struct {
	l *Log
	c *logConfig
	d dirt
	w *workshop

	generation uint64
	parts      []*part // the view when it began, up to d.upTo
	upTo       int64   // the keys were read up to here
	before     int64   // bytes of what was rewritten
	after      int64   // and of what came out
	room       int64   // by which the segment that is written may outgrow its sources
}

// workshop is the memory that one round after the other uses.
type workshop struct {
	keys   keyMap
	memory int64 // bytes that keys may take
	pace   func(bytes int) error
	in     batchReader
	out    []byte
	thin   thinner
}

// errOvertaken says that the log was cut, trimmed or closed while a round was in
// it. Nothing is wrong.
var errOvertaken = errors.New("the log was cut or closed while it was compacted")

// compact does one round, and returns up to where the log is clean then, which
// may be short of d.upTo. That is also so if there is an error as well: up to
// there all went well.
func (l *Log) compact(d dirt, w *workshop, now time.Time) (upTo int64, err error) {
	r := &round{l: l, c: l.config.Load(), d: d, w: w}
	r.begin()
	w.in = batchReader{l: l, pace: r.pace, buf: w.in.buf}
	w.thin.keys, w.thin.fates = &w.keys, newFates()
	w.thin.records, w.thin.keptRecords = 0, 0
	if err := w.thin.configure(&r.c.Config, now); err != nil {
		return d.from, err
	}
	damaged, err := r.readKeys()
	if err != nil || r.upTo <= d.from {
		return d.from, errors.Join(damaged, err)
	}
	w.thin.upTo, w.thin.lasts = r.upTo, l.lastBatches()
	groups, err := r.groups()
	if err != nil {
		return d.from, r.orOvertaken(err)
	}
	for _, g := range groups {
		if err := r.rewrite(g); err != nil {
			return d.from, err
		}
	}
	l.log.Info("log compacted", "log", l.name, "from", d.from, "up_to", r.upTo,
		"records", w.thin.records, "kept_records", w.thin.keptRecords, "bytes", r.before, "kept_bytes", r.after)
	return r.upTo, damaged
}

// begin notes what the round works on. The generation comes first: a cut after it
// shows.
func (r *round) begin() {
	r.generation = r.l.generation.Load()
	parts := *r.l.view.Load()
	n, _ := slices.BinarySearchFunc(parts, r.d.upTo, func(p *part, o int64) int { return cmp.Compare(p.base, o) })
	r.parts = parts[:n:n]
}

// overtaken reports whether there is any use in going on.
func (r *round) overtaken() bool {
	return r.l.leaving.Load() || r.generation != r.l.generation.Load()
}

// pace is called with all that is read and written.
func (r *round) pace(bytes int) error {
	if r.overtaken() {
		return errOvertaken
	}
	return r.w.pace(bytes)
}

// readKeys fills the map from the dirty part, and sets upTo to where it got: to
// the end, until the memory was full, or to the segment with damage, which is
// returned. If it meets a transaction, it begins again with what is known of all.
func (r *round) readKeys() (damaged, err error) {
	for {
		r.w.keys.reset(r.d.upTo-r.d.from, r.w.memory)
		r.upTo = r.d.from
		again, err := r.readParts()
		var bad *CorruptError
		if errors.As(err, &bad) && !r.overtaken() {
			return bad, nil
		}
		if !again || err != nil {
			return nil, r.orOvertaken(err)
		}
		if err := r.w.thin.fates.learn(r.l); err != nil {
			return nil, r.orOvertaken(err)
		}
		open := r.w.thin.fates.undecided()
		for len(r.parts) > 0 && r.d.upTo > open {
			last := len(r.parts) - 1
			r.d.upTo, r.parts = r.parts[last].base, r.parts[:last:last]
		}
	}
}

// orOvertaken tells an error that another's cut has caused from one of its own.
func (r *round) orOvertaken(err error) error {
	if err != nil && (r.overtaken() || errors.Is(err, segment.ErrClosed)) {
		return errOvertaken
	}
	return err
}

// readParts reads the dirty parts. again is true if it met a transaction, and the
// fates were not known yet.
func (r *round) readParts() (again bool, err error) {
	for i, p := range r.parts {
		next := r.d.upTo
		if i+1 < len(r.parts) {
			next = r.parts[i+1].base
		}
		if next <= r.d.from {
			continue
		}
		again, full, err := r.readPart(p)
		if err != nil {
			// Nothing counts of a part with damage.
			r.upTo = min(r.upTo, max(p.base, r.d.from))
		}
		if again || full || err != nil {
			return again, err
		}
		r.upTo = next
	}
	return false, nil
}

func (r *round) readPart(p *part) (again, full bool, err error) {
	if err := p.acquire(); err != nil {
		return false, false, err
	}
	defer p.release()
	for r.w.in.open(p); ; {
		b, err := r.w.in.read()
		if errors.Is(err, io.EOF) {
			return false, false, nil
		}
		if err != nil {
			return false, false, err
		}
		if b.IsTransactional() && !r.w.thin.fates.known {
			return true, false, nil
		}
		if full, err := r.readBatch(b); full || err != nil {
			return false, full, err
		}
	}
}

// readBatch notes the keys of one batch. full says that there was no room for all.
func (r *round) readBatch(b batch.Batch) (full bool, err error) {
	t := &r.w.thin
	if b.LastOffset() < r.d.from {
		return false, nil
	}
	if !b.IsControl() && !t.fates.isAborted(b) {
		plain := b.Payload()
		if b.Codec() != batch.None {
			if t.plain, err = b.AppendPlain(t.plain[:0], decompressMax); err != nil {
				return false, r.unreadable(b, err)
			}
			plain = t.plain
		}
		for e, err := range b.Entries(plain) {
			if err != nil {
				return false, r.unreadable(b, err)
			}
			if e.Offset < r.d.from || e.Key == nil {
				continue
			}
			if !r.w.keys.put(e.Key, e.Offset) {
				return true, nil
			}
			r.upTo = e.Offset + 1
		}
	}
	r.upTo = b.NextOffset()
	return false, nil
}

// unreadable says where a batch is that is whole and cannot be understood.
func (r *round) unreadable(b batch.Batch, err error) error {
	return &CorruptError{Path: fileName(r.l.dir, r.w.in.p.base, suffixSegment), Pos: r.w.in.pos - b.Size(), Why: err.Error()}
}

// lastBatches are the last batches of all producers that the log remembers.
func (l *Log) lastBatches() map[int64]lastBatch {
	l.mu.Lock()
	defer l.mu.Unlock()
	lasts := make(map[int64]lastBatch, len(l.mu.producers.byID))
	for id, p := range l.mu.producers.byID {
		last := lastBatch{offset: -1, epoch: p.epoch}
		if p.n > 0 {
			last.offset = p.sent[p.n-1].lastOffset
		}
		lasts[id] = last
	}
	return lasts
}

// groups divides the parts below upTo into runs that fit into one segment: by
// bytes, index entries, and the range of offsets that an index can hold.
func (r *round) groups() (groups [][]*part, err error) {
	var total extent
	for i, p := range r.parts {
		if p.base >= r.upTo {
			break
		}
		next := r.d.upTo
		if i+1 < len(r.parts) {
			next = r.parts[i+1].base
		}
		e, err := extentOf(p)
		if err != nil {
			return nil, err
		}
		last := len(groups) - 1
		if last < 0 || !total.plus(e).within(&r.c.Config) || next-1-groups[last][0].base > maxRelative {
			groups = append(groups, nil)
			last, total = last+1, extent{}
		}
		groups[last] = append(groups[last], p)
		total = total.plus(e)
	}
	return groups, nil
}

// extent is how much parts take, in bytes.
type extent struct{ log, offsets, times int64 }

func (e extent) plus(f extent) extent {
	return extent{e.log + f.log, e.offsets + f.offsets, e.times + f.times}
}

func (e extent) within(c *Config) bool {
	return e.log <= c.SegmentBytes && e.offsets <= c.IndexBytes && e.times <= c.IndexBytes
}

func extentOf(p *part) (extent, error) {
	if err := p.acquire(); err != nil {
		return extent{}, err
	}
	defer p.release()
	return extent{p.seg.Size(), int64(p.offsets.Len()) * 8, int64(p.times.Len()) * 12}, nil
}

// rewrite writes a group's segments anew as one, and swaps it in. If all would
// stay as it is, nothing is done.
func (r *round) rewrite(group []*part) (err error) {
	base := group[0].base
	if err := r.l.removeCleaned(base); err != nil {
		return err
	}
	p, err := r.l.openCleaned(base, r.c)
	if err != nil {
		return errors.Join(err, r.l.removeCleaned(base))
	}
	defer p.release()
	before := int64(0)
	for _, old := range group {
		before += old.size()
	}
	changed, err := r.fill(p, group)
	if err == nil {
		err = errors.Join(p.seal(), p.sync(true, false))
	}
	err = r.orOvertaken(err)
	if err != nil || (!changed && len(group) == 1) {
		r.before, r.after = r.before+before, r.after+before
		return errors.Join(err, p.close(), r.l.removeCleaned(base))
	}
	r.before, r.after = r.before+before, r.after+p.seg.Size()
	return r.swap(p, group)
}

// openCleaned makes the part that a group is written to, beside those in use. It
// is on no shelf: its files stay open until it is released.
func (l *Log) openCleaned(base int64, c *logConfig) (*part, error) {
	p := newPart(l, base, false)
	o := l.partOptions(c)
	if !c.design.segment.Durable {
		// The files of its indexes would keep a name that is not theirs.
		o.design.index = index.Designs[slices.IndexFunc(index.Designs, func(d index.Design) bool { return !d.OnDisk && d.Keeps })]
	}
	var err error
	p.media, _, err = openMedia(o, base, mediaOptions{create: true, size: -1, suffix: suffixCleaned})
	if err != nil {
		return nil, err
	}
	p.use.users, p.use.trusted = 1, true
	return p, nil
}

// fill writes what stays of a group into the new part.
func (r *round) fill(p *part, group []*part) (changed bool, err error) {
	t := &r.w.thin
	t.begin()
	r.w.out = r.w.out[:0]
	// By another codec a segment may become longer, but no longer than a segment
	// may be.
	r.room = r.c.SegmentBytes
	for _, old := range group {
		r.room -= old.size()
	}
	var aborted []byte
	for i, old := range group {
		aborted = append(aborted, r.l.abortedOf(old.base)...)
		if err := r.fillFrom(p, old, emptyFrom(group[i+1:])); err != nil {
			return false, err
		}
	}
	if err := r.flush(p); err != nil {
		return false, err
	}
	return t.changed, r.l.writeAborted(p.base, keepAborted(aborted, t.markers))
}

// fillFrom writes what stays of one part. last says that no part with batches
// follows.
func (r *round) fillFrom(p, old *part, last bool) error {
	if err := old.acquire(); err != nil {
		return err
	}
	defer old.release()
	in := &r.w.in
	for in.open(old); ; {
		b, err := in.read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if t := &r.w.thin; b.IsTransactional() && !t.fates.known {
			// The dirty part has none, so all are decided.
			if err := t.fates.learn(r.l); err != nil {
				return err
			}
		}
		before := int64(len(r.w.out))
		r.w.out, err = r.w.thin.thin(r.w.out, b, last && in.pos == in.end, max(r.room, 0))
		if err != nil {
			return r.unreadable(b, err)
		}
		r.room -= max(int64(len(r.w.out))-before-b.Size(), 0)
		if len(r.w.out) >= cleanBytes {
			if err := r.flush(p); err != nil {
				return err
			}
		}
	}
}

// emptyFrom reports whether nothing follows in these parts.
func emptyFrom(parts []*part) bool {
	for _, p := range parts {
		if p.size() > 0 {
			return false
		}
	}
	return true
}

// flush writes the batches that have gathered.
func (r *round) flush(p *part) error {
	out := r.w.out
	r.w.out = out[:0]
	if len(out) == 0 {
		return nil
	}
	pos, err := p.seg.Append([][]byte{out})
	for errors.Is(err, segment.ErrBusy) {
		if err := p.behind().Flush(); err != nil {
			return err
		}
		pos, err = p.seg.Append([][]byte{out})
	}
	if err != nil {
		return err
	}
	for rest := out; len(rest) > 0; {
		b := batch.Batch(rest)
		if err := p.note(b, pos, r.c.indexInterval()); err != nil {
			return err
		}
		pos, rest = pos+b.Size(), rest[b.Size():]
	}
	return r.pace(len(out))
}

// writeAborted makes the index of aborted transactions of a segment that is not
// swapped in yet; none, if it has no entries.
func (l *Log) writeAborted(base int64, entries []byte) error {
	if len(entries) == 0 {
		return nil
	}
	return vfs.WriteFile(l.fs, fileName(l.dir, base, suffixAborted+suffixCleaned), entries)
}

// pacer bounds how much is read and written in a second.
type pacer struct {
	perSecond int64 // bytes; 0: no bound
	quit      <-chan struct{}
	begun     time.Time
	done      int64
}

// wait returns when so many more bytes may have passed.
func (p *pacer) wait(bytes int) error {
	select {
	case <-p.quit:
		return errOvertaken
	default:
	}
	if p.perSecond <= 0 {
		return nil
	}
	p.done += int64(bytes)
	due := time.Duration(float64(p.done) / float64(p.perSecond) * float64(time.Second))
	early := due - time.Since(p.begun)
	if early <= 0 {
		return nil
	}
	t := time.NewTimer(early)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.quit:
		return errOvertaken
	}
}

// lasting reports whether an error would be met by the next round, too: it is of
// the disk, or of what lies on it. Else there is only no room, or the log is no
// more.
func lasting(err error) bool {
	return !errors.Is(err, vfs.ErrNoSpace) && !errors.Is(err, ErrClosed)
}
