package engine

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Transactions in a log. A producer's transaction begins with its first batch that
// says so, and is open until a marker follows: a control batch that says whether
// it was committed or aborted. Of offsets
//
//	10 data of 1 │ 11 data of 2 │ 12 commit of 1 │ 13 data of 1 │ 14 abort of 2
//
// the first undecided one is 10, 10, 11, 11 and 13 after each of them. Consumers of
// committed data are not shown what is undecided, see [Marks], and are told which
// transactions were aborted, see [Log.Aborted].
//
// All of it is learnt from the batches. Beside them stand two helps: the producer
// snapshots say which transactions were open at an offset, so that a start need
// not read what lies before it; and the .txnindex files say which were aborted.
// A snapshot has a checksum. A .txnindex has none, and is made anew from its
// segment where it is damaged, or where a crash may have taken entries that the
// log's end has markers for.
//
// No release of this broker writes transactions yet: what there is comes from
// Apache Kafka, in directories that it has left. A transaction that was open then
// stays so, until Kafka is started on the directory and its coordinator ends it.

// noTransaction is the first offset of a transaction that is not there.
const noTransaction int64 = -1

// transaction is one that a marker has ended.
type transaction struct {
	Aborted
	aborted bool
	// stable is the last stable offset that this marker leaves, or would leave if
	// all before it were decided too: what Kafka's index has with an entry.
	stable int64
}

// end remembers a marker, which is whole, and returns the transaction that it
// ends; ok is false if there was none in the log.
func (p *producers) end(b batch.Batch) (t transaction, ok bool, err error) {
	id := b.ProducerID()
	how, ok, err := b.Control()
	if err != nil || id < 0 {
		return t, false, err
	}
	if !ok {
		// Compaction has emptied it: all that it still says is the epoch.
		if known := p.byID[id]; known == nil || known.epoch < b.ProducerEpoch() {
			p.of(id, b.ProducerEpoch()).seen = b.MaxTimestamp()
		}
		return t, false, nil
	}
	if how != batch.Abort && how != batch.Commit {
		return t, false, nil
	}
	coordinator, err := b.CoordinatorEpoch()
	if err != nil {
		return t, false, err
	}
	known := p.of(id, b.ProducerEpoch())
	first := known.open
	known.open, known.coordinator, known.seen = noTransaction, coordinator, b.MaxTimestamp()
	if first == noTransaction {
		return t, false, nil
	}
	t = transaction{Aborted: Aborted{ProducerID: id, First: first, Last: b.BaseOffset()}, aborted: how == batch.Abort}
	t.stable = min(p.undecided(), b.NextOffset())
	return t, true, nil
}

// undecided is the first offset of the oldest transaction that is open;
// math.MaxInt64 if none is.
func (p *producers) undecided() int64 {
	first := int64(math.MaxInt64)
	for _, known := range p.byID {
		if known.open != noTransaction {
			first = min(first, known.open)
		}
	}
	return first
}

// observe remembers the batch that s is at, by its header, and returns the
// transaction that it ends. A marker that cannot be read is a *CorruptError, and
// ends none.
func (p *producers) observe(s *scanner, h batch.Batch) (t transaction, ok bool, err error) {
	if !h.IsControl() {
		p.update(h)
		return t, false, nil
	}
	b, err := s.whole(s.at, h.Size())
	if err != nil {
		return t, false, err
	}
	if t, ok, err = p.end(b); err != nil {
		err = s.corrupt(s.at, err.Error())
	}
	return t, ok, err
}

// learn is observe for the state of the log, which is being opened or cut.
// Consumers of committed data wait in front of what nobody can decide.
func (l *Log) learn(s *scanner, h batch.Batch) error {
	_, _, err := l.mu.producers.observe(s, h)
	var damaged *CorruptError
	if errors.As(err, &damaged) {
		l.log.Error("a transaction's marker is damaged: what it decides stays undecided", "log", l.name, "err", err)
		return nil
	}
	return err
}

// remember notes a batch that was appended. Log.mu is held, and the log's end is
// not published yet: nobody reads a transaction that he takes to be decided.
func (l *Log) remember(b batch.Batch) {
	if b.IsControl() {
		if _, ok, err := l.mu.producers.end(b); ok && err == nil {
			l.decided()
		}
		return
	}
	l.mu.producers.update(b)
	if b.IsTransactional() && b.ProducerID() >= 0 {
		l.undecided.Store(min(l.undecided.Load(), l.mu.producers.byID[b.ProducerID()].open))
	}
}

// decided publishes how far all transactions are decided. Log.mu is held, or the
// log is being opened.
func (l *Log) decided() { l.undecided.Store(l.mu.producers.undecided()) }

// tellUndecided says, once when a log is opened, what consumers of committed data
// will miss, and what to do.
func (l *Log) tellUndecided() {
	if first := l.undecided.Load(); first != math.MaxInt64 {
		l.log.Warn("a transaction is open: consumers of committed data get nothing from its first record on, until Apache Kafka is started on the directory and ends it",
			"log", l.name, "offset", first)
	}
}

// RebuildAborted holds the indexes of aborted transactions against the markers in
// the log, makes those anew that say something else, and returns how many there
// were. Below offset gaps records may be missing: a transaction may have begun
// before the first one that is left. It reads the headers of the whole log.
func (l *Log) RebuildAborted(gaps int64) (int, error) {
	l.cutting.Lock()
	defer l.cutting.Unlock()
	if err := l.open(); err != nil {
		return 0, err
	}
	files, err := l.list()
	if err != nil {
		return 0, err
	}
	var bases []int64
	for _, p := range *l.view.Load() {
		bases = append(bases, p.base)
	}
	return l.rebuildAborted(bases, files.snapshots, gaps)
}

// gaps is the offset below which records may be missing.
func (l *Log) gaps() int64 {
	if l.config.Load().Compact {
		return math.MaxInt64
	}
	return max(l.start.Load(), l.store.checkpoints.cleanedTo(l.name))
}

// rebuildAborted makes the indexes of aborted transactions anew of the parts with
// these bases, ascending, where they say something else than the markers, and
// returns how many that were. What lies between the parts is read on the way. See
// RebuildAborted for gaps.
func (l *Log) rebuildAborted(bases, snapshots []int64, gaps int64) (changed int, err error) {
	if len(bases) == 0 || !l.config.Load().design.segment.Durable {
		return 0, nil
	}
	known, from, err := l.producersBefore(bases[0], snapshots)
	if err != nil {
		return 0, err
	}
	parts := *l.view.Load()
	r := rebuilding{gaps: gaps, base: parts[0].base, ended: map[int64]int64{}}
	for _, p := range parts {
		if p.base > bases[len(bases)-1] {
			break
		}
		r.begin(l.abortedOf(p.base), len(p.damaged()) > 0)
		err := l.replayPart(p, max(from, p.base), func(s *scanner, h batch.Batch) error {
			r.pass(h)
			t, ok, err := known.observe(s, h)
			var damaged *CorruptError
			switch {
			case errors.As(err, &damaged):
				r.doubt, err = true, nil
			case ok:
				r.end(t)
			}
			return err
		})
		if err != nil {
			return changed, err
		}
		if !slices.Contains(bases, p.base) {
			continue
		}
		replaced, err := l.replaceAborted(p.base, r.finish())
		if err != nil {
			return changed, err
		}
		if replaced {
			changed++
		}
	}
	return changed, nil
}

// producersBefore is what was known of producers at an offset at which a part
// begins, or an earlier time and its offset.
func (l *Log) producersBefore(base int64, snapshots []int64) (producers, int64, error) {
	first := (*l.view.Load())[0].base
	for _, at := range slices.Backward(snapshots) {
		if at > base || at < first {
			continue
		}
		raw, err := readFile(l.fs, fileName(l.dir, at, suffixSnapshot))
		if err != nil {
			continue // it went meanwhile, or the one before does as well
		}
		if p, err := decodeSnapshot(raw); err == nil {
			return p, at, nil
		}
	}
	return newProducers(), first, nil
}

// replaceAborted lets the index of aborted transactions of a part have these
// entries, and reports whether it had others.
func (l *Log) replaceAborted(base int64, entries []byte) (bool, error) {
	var old abortedFile
	var files []abortedFile
	if all := l.aborted.Load(); all != nil {
		for _, f := range *all {
			if f.base == base {
				old = f
			} else {
				files = append(files, f)
			}
		}
	}
	if bytes.Equal(old.raw, entries) && !old.damaged {
		return false, nil
	}
	l.log.Warn("index of aborted transactions made anew from the log", "log", l.name, "segment", base, "entries", len(entries)/abortedEntry)
	if len(entries) > 0 {
		files = append(files, abortedFile{base: base, raw: entries})
	}
	l.setAborted(files)
	name := fileName("", base, suffixAborted)
	if len(entries) == 0 {
		return true, errors.Join(l.remove(fileName(l.dir, base, suffixAborted)), l.fs.SyncDir(l.dir))
	}
	// Also on a full disk nothing goes on without it: once the recovery point is
	// past the markers nobody would make it again.
	if err := vfs.ReplaceFile(l.fs, l.dir, name, entries); err != nil {
		return true, fmt.Errorf("%s: %w", name, err)
	}
	return true, nil
}

// rebuilding makes the entries of one index after the other. What the log says
// counts; what the index says is kept where the log does not know better:
//
//   - a transaction may have begun before the first of its records that is left,
//     below offset gaps or in front of the log's base, but not before another one of
//     the producer had ended;
//   - where batches are damaged, or a repair has put an empty one in their place,
//     there were markers among them perhaps. From there on what was there stays:
//     what was aborted must not be taken for committed.
type rebuilding struct {
	gaps, base int64
	ended      map[int64]int64 // by producer, the offset of its last marker
	doubt      bool

	old, entries []byte // of the segment
}

func (r *rebuilding) begin(old []byte, damaged bool) {
	r.old, r.entries, r.doubt = old, nil, r.doubt || damaged
}

// pass takes notice of the header of a batch.
func (r *rebuilding) pass(h batch.Batch) {
	if h.Count() == 0 && h.ProducerID() < 0 && !h.IsControl() {
		r.doubt = true
	}
}

// end passes the marker of a transaction.
func (r *rebuilding) end(t transaction) {
	before, known := r.ended[t.ProducerID]
	r.ended[t.ProducerID] = t.Last
	if !t.aborted {
		return
	}
	for e := r.old; len(e) > 0; e = e[abortedEntry:] {
		a := parseAborted(e)
		if a.ProducerID != t.ProducerID || a.Last != t.Last {
			continue
		}
		if r.doubt || a.First == t.First || a.First < t.First && (!known || a.First > before) && (t.First <= r.gaps || a.First < r.base) {
			r.entries = append(r.entries, e[:abortedEntry]...)
			return
		}
	}
	r.entries = binary.BigEndian.AppendUint16(r.entries, abortedVersion)
	for _, n := range []int64{t.ProducerID, t.First, t.Last, t.stable} {
		r.entries = binary.BigEndian.AppendUint64(r.entries, uint64(n))
	}
}

// finish returns the entries, in the order of their markers.
func (r *rebuilding) finish() []byte {
	if !r.doubt {
		return r.entries
	}
	have := map[int64]bool{}
	for e := r.entries; len(e) > 0; e = e[abortedEntry:] {
		have[parseAborted(e).Last] = true
	}
	all := slices.Collect(slices.Chunk(r.entries, abortedEntry))
	for e := range slices.Chunk(r.old, abortedEntry) {
		if !have[parseAborted(e).Last] {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b []byte) int { return cmp.Compare(parseAborted(a).Last, parseAborted(b).Last) })
	return slices.Concat(all...)
}

// unite returns what is in either of two lists of bases, ascending.
func unite(a, b []int64) []int64 {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}
