package engine

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// Damage is a run of a segment's bytes that is no batch any more, in the middle
// of what is. It is quarantined: its bytes stay, nothing of them is served, and
// the log is read on both sides of it.
//
//	bytes    0        4096      8192
//	         | batches | ###### | batches …       Damage{Segment: 0, Pos: 4096, End: 8192,
//	offsets  0 … 39     40 … 79   80 …                   First: 40, Next: 80}
//
// How it comes to be known:
//
//  1. Somebody meets a header that cannot be (a read, a search, recovery): the
//     scanner looks for the next batch that is whole, notes what lies between,
//     and goes on there.
//  2. Somebody meets a checksum that does not match (recovery, a search by time,
//     the scrub). Fetches are zero-copy and check none: clients do.
//  3. The log's quarantine file says so, and a look at the bytes confirms it.
//
// A batch follows on damage if it is whole and its offsets can be: not before
// those that came before, within its segment. None may follow: then the damage
// goes up to the segment's end, and to the offset at which the next one begins.
//
// Recovery cuts a log where a crash tore it, and nowhere else; see torn.
//
// The way not taken is Kafka's: to cut the log at the first bad batch of a
// segment that may not have been synced, and drop all later segments with it. One
// flipped bit then costs everything behind it. The other way not taken is to
// leave damage out silently, as if compacted: a consumer has to be told.
type Damage struct {
	Segment     int64 // base offset of the segment
	Pos, End    int64 // bytes [Pos, End) of it
	First, Next int64 // no record of [First, Next) can be read
	Why         string
}

func (d Damage) String() string {
	return fmt.Sprintf("segment %d, bytes %d to %d, offsets %d to %d: %s", d.Segment, d.Pos, d.End-1, d.First, d.Next-1, d.Why)
}

// damages are a part's, ascending, and do not overlap. The slice is never
// written to once it is a part's.
type damages []Damage

// at is the damage that holds the byte at pos.
func (ds damages) at(pos int64) (Damage, bool) {
	i := sort.Search(len(ds), func(i int) bool { return ds[i].End > pos })
	if i == len(ds) || ds[i].Pos > pos {
		return Damage{}, false
	}
	return ds[i], true
}

// holding is the damage that offset lies in.
func (ds damages) holding(offset int64) (Damage, bool) {
	for _, d := range ds {
		if d.First <= offset && offset < d.Next {
			return d, true
		}
	}
	return Damage{}, false
}

// bytes is how many are damaged.
func (ds damages) bytes() (n int64) {
	for _, d := range ds {
		n += d.End - d.Pos
	}
	return n
}

// behind is where the first damage behind pos begins, or end if that is before.
func (ds damages) behind(pos, end int64) int64 {
	for _, d := range ds {
		if d.Pos > pos {
			return min(d.Pos, end)
		}
	}
	return end
}

// with adds d; what it touches of the others becomes one with it.
func (ds damages) with(d Damage) damages {
	var out damages
	for _, o := range ds {
		if o.End < d.Pos || o.Pos > d.End || o.End == d.Pos && o.Next < d.First || o.Pos == d.End && o.First > d.Next {
			out = append(out, o)
			continue
		}
		d.Pos, d.End = min(d.Pos, o.Pos), max(d.End, o.End)
		d.First, d.Next = min(d.First, o.First), max(d.Next, o.Next)
	}
	out = append(out, d)
	slices.SortFunc(out, func(a, b Damage) int { return int(min(max(a.Pos-b.Pos, -1), 1)) })
	return out
}

// cut is what is left when the part keeps so many bytes, of records before
// offset.
func (ds damages) cut(size, offset int64) damages {
	var out damages
	for _, d := range ds {
		d.End, d.Next = min(d.End, size), min(d.Next, offset)
		if d.Pos < d.End && d.First < d.Next {
			out = append(out, d)
		}
	}
	return out
}

// damaged is what is known to be damaged of the part.
func (p *part) damaged() damages {
	if ds := p.damage.Load(); ds != nil {
		return *ds
	}
	return nil
}

// Damage lists what is quarantined, in the order of offsets.
func (l *Log) Damage() []Damage {
	var all []Damage
	for _, p := range *l.view.Load() {
		all = append(all, p.damaged()...)
	}
	return all
}

func (l *Log) corruptError(d Damage) error {
	return &CorruptError{Path: fileName(l.dir, d.Segment, suffixSegment), Pos: d.Pos, Why: d.Why, First: d.First, Next: d.Next}
}

// quarantine adds to what is known to be damaged of a part. It fails with
// segment.ErrClosed if the log was cut since generation was read: look again.
func (l *Log) quarantine(p *part, d Damage, generation uint64) error {
	l.damage.Lock()
	defer l.damage.Unlock()
	if l.generation.Load() != generation || d.End > p.seg.Size() {
		return segment.ErrClosed
	}
	if known, ok := p.damaged().at(d.Pos); ok && known.End >= d.End {
		return nil
	}
	ds := p.damaged().with(d)
	p.damage.Store(&ds)
	l.damage.unsaved = true
	l.log.Error("damage in the middle of a log: it is quarantined, what lies before and behind it is served", "log", l.name,
		"path", fileName(l.dir, d.Segment, suffixSegment), "position", d.Pos, "bytes", d.End-d.Pos, "why", d.Why, "first_lost", d.First, "next_good", d.Next)
	return nil
}

// cutDamage forgets the damage of bytes that were cut off.
func (l *Log) cutDamage(p *part, size, offset int64) {
	ds := p.damaged()
	if len(ds) == 0 {
		return
	}
	l.damage.Lock()
	defer l.damage.Unlock()
	left := ds.cut(size, offset)
	p.damage.Store(&left)
	l.damage.unsaved = true
}

// around is what a scan does about an error: damage it quarantines, and returns
// where to go on.
func (s *scanner) around(err error) (pos int64, _ error) {
	d, err := s.locate(err)
	if err == nil && d.First >= d.Next && d.End == s.end {
		return s.end, nil // reserved room behind the last batch: nothing is lost
	}
	if err == nil {
		err = s.l.quarantine(s.p, d, s.generation)
	}
	if err != nil {
		return 0, err
	}
	to, ok := s.skip(d.Pos)
	if !ok {
		return 0, segment.ErrClosed // it was cut off meanwhile
	}
	return to, nil
}

// locate finds out how far the damage goes that an error is about.
func (s *scanner) locate(err error) (Damage, error) {
	var bad *CorruptError
	if !errors.As(err, &bad) {
		return Damage{}, err
	}
	pos, bound := bad.Pos, s.bound
	d := Damage{Segment: s.p.base, Pos: pos, End: s.end, Why: bad.Why}
	if d.First, err = s.offsetAt(pos); err != nil {
		return d, err
	}
	if d.Next = max(d.First, bound); bound == 0 {
		d.Next = max(d.First, s.l.reached())
	}
	end, next, err := s.resync(pos, d.First, bound)
	if err != nil || end < s.end {
		d.End, d.Next = end, next
		return d, err
	}
	if h, err := s.header(pos); err == nil && d.Next == d.First && h.BaseOffset() == d.First && pos+h.Size() == s.end {
		d.Next = h.NextOffset() // its end can be believed: nothing says otherwise
	}
	return d, nil
}

// bound is the offset at which the part behind p begins, 0 if there is none.
func (l *Log) bound(p *part) int64 {
	view := l.view.Load()
	if view == nil && l.opening == nil {
		return 0
	}
	if view == nil { // the log is being opened
		bases := l.opening.files.bases
		if i, _ := slices.BinarySearch(bases, p.base+1); i < len(bases) {
			return bases[i]
		}
		return 0
	}
	parts := *view
	if i := partOf(parts, p.base); i >= 0 && parts[i].base == p.base && i < len(parts)-1 {
		return parts[i+1].base
	}
	return 0
}

// reached is the offset up to which the last part is known to go.
func (l *Log) reached() int64 {
	if l.view.Load() == nil {
		return l.opening.appended
	}
	return l.end.Load()
}

// offsetAt is the offset after the last record before pos, where a batch begins
// or has begun.
func (s *scanner) offsetAt(pos int64) (next int64, err error) {
	next = s.p.base
	var from index.Entry
	s.p.offsets.All(func(e index.Entry) bool {
		if e.Value < pos {
			if h, err := s.header(e.Value); err == nil && h.LastOffset() == e.Key {
				from = e
			}
		}
		return e.Value < pos
	})
	ds := s.p.damaged()
	for at := from.Value; at < pos; {
		if d, ok := ds.at(at); ok {
			at, next = d.End, max(next, d.Next)
			continue
		}
		h, err := s.header(at)
		if err != nil {
			return next, err
		}
		next, at = h.NextOffset(), at+h.Size()
	}
	return next, nil
}

// resync returns position and base offset of the first whole batch behind the
// damage at pos whose offsets lie in [first, bound), or the segment's end.
//
// Where the header at pos can be true its word is taken for where its batch ends:
// else a batch that a record has in it might be found.
func (s *scanner) resync(pos, first, bound int64) (end, next int64, err error) {
	if h, err := s.header(pos); err == nil && h.BaseOffset() >= first && pos+h.Size() < s.end {
		behind := pos + h.Size() // h is valid until the next look
		if next, ok, err := s.wholeAt(behind, h.NextOffset(), bound); ok || err != nil {
			return behind, next, err
		}
	}
	chunk := make([]byte, min(resyncBytes, s.end-pos))
	for from := pos + 1; from+batch.HeaderSize <= s.end; from += int64(len(chunk)) - batch.HeaderSize + 1 {
		chunk = chunk[:min(int64(len(chunk)), s.end-from)]
		if _, err := s.p.seg.ReadAt(chunk, from); err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, err
		}
		for i := 0; ; i++ {
			n := batch.Candidate(chunk[i:])
			if n < 0 {
				break
			}
			i += n
			h := batch.Batch(chunk[i : i+batch.HeaderSize])
			size, err := batch.PeekSize(h)
			if err != nil || from+int64(i)+size > s.end || h.BaseOffset() < first {
				continue
			}
			if next, ok, err := s.wholeAt(from+int64(i), first, bound); ok || err != nil {
				return from + int64(i), next, err
			}
		}
	}
	return s.end, 0, nil
}

// resyncBytes is how much is read at once to look for the next batch.
const resyncBytes = 256 << 10

// wholeAt returns the base offset of the batch at pos, if it is whole and its
// offsets lie in [first, bound); a bound of 0 is none.
func (s *scanner) wholeAt(pos, first, bound int64) (base int64, ok bool, err error) {
	if bound == 0 {
		bound = math.MaxInt64
	}
	var bad *CorruptError
	h, err := s.header(pos)
	if errors.As(err, &bad) {
		return 0, false, nil
	}
	if err != nil || h.BaseOffset() < first || h.BaseOffset()-s.p.base > maxRelative || h.NextOffset() > bound {
		return 0, false, err
	}
	base = h.BaseOffset()
	_, err = s.whole(pos, h.Size())
	if errors.As(err, &bad) {
		return 0, false, nil
	}
	return base, err == nil, err
}
