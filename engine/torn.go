package engine

import (
	"slices"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// recovery is what is known of a log while it is opened.
type recovery struct {
	recoveryPoints
	files logFiles
	// appended is an offset up to which the log was heard to go.
	appended int64
	proof    int64    // see proven; -1: not looked up yet
	damage   []Damage // what the quarantine file says
	epoch    int32    // of the last batch that was surveyed; -1: not known
	// markers are the bases of the parts that have transactions' markers past the
	// recovery point: what was written beside them may be lost.
	markers []int64
}

// pass notes a batch past the recovery point.
func (r *recovery) pass(p *part, h batch.Batch) {
	if h.IsControl() && !slices.Contains(r.markers, p.base) {
		r.markers = append(r.markers, p.base)
	}
}

func (l *Log) newRecovery(r recoveryPoints, files logFiles) *recovery {
	known := r.durable
	if r.clean {
		r.durable = 1<<63 - 1
	} else if bugColdTruncated.made() {
		r.durable = 0
	}
	v := &recovery{recoveryPoints: r, files: files, appended: known, proof: -1, damage: l.readDamage(files), epoch: -1}
	if known == 0 { // no checkpoint speaks of it
		v.appended = l.newestSnapshot(files.snapshots)
	}
	return v
}

// newestSnapshot is the offset of the newest producer snapshot that is whole, 0
// if there is none.
func (l *Log) newestSnapshot(offsets []int64) int64 {
	for _, at := range slices.Backward(offsets) {
		if raw, err := readFile(l.fs, fileName(l.dir, at, suffixSnapshot)); err == nil {
			if _, err := decodeSnapshot(raw); err == nil {
				return at
			}
		}
	}
	return 0
}

// proven is an offset below which everything was synced once. The checkpoint
// says one, at most five minutes old, and may be lost. The producer snapshot of
// a roll says one too, for it is written after the segment before it was synced.
func (l *Log) proven(r *recovery) int64 {
	if r.proof < 0 {
		rolls := slices.DeleteFunc(slices.Clone(r.files.snapshots), func(at int64) bool {
			_, ok := slices.BinarySearch(r.files.bases, at)
			return !ok
		})
		r.proof = max(r.durable, l.newestSnapshot(rolls))
	}
	return r.proof
}

// lacks reports whether records are missing where the damage is: offsets that are
// due, and that were not deleted.
func (r *recovery) lacks(d Damage) bool { return d.First < d.Next && d.Next > r.start }

// torn reports whether the bytes at pos, which are no whole batch, can be what a
// crash makes of those that were not synced: then the log ends there. Else they
// are damage, and the log goes on behind them. first is the offset that is due.
//
// What a crash leaves of un-synced bytes: any prefix, and of that prefix any of
// the sectors; a sector that was not written reads as zeros. So
//
//	the last bytes of a segment, and the next
//	  one goes on at the offset that is due,
//	  or where the log starts or before        → torn: room that was reserved
//	below what was proven to be synced         → damage, whatever it looks like
//	zeros from a sector's start, or from pos,
//	  up to a sector's end                     → torn: a sector is missing
//	the batch would go on behind the file's
//	  end, and no whole batch follows          → torn
//	no batch follows, in the last segment      → torn
//	anything else                              → damage
//
// The fourth row is where this can be wrong: a bit that flips in a batch that has
// a sector of zeros in it, since the last roll and the last checkpoint, in a log
// that was not stopped cleanly.
func (s *scanner) torn(r *recovery, d Damage, sealed bool) (bool, error) {
	if bugColdTruncated.made() {
		return true, nil
	}
	if d.End == s.end && !r.lacks(d) {
		return true, nil // there was nothing
	}
	if d.First < s.l.proven(r) {
		return false, nil
	}
	missing, err := s.sectorMissing(d)
	if missing || err != nil || d.End < s.end {
		return missing, err
	}
	return !sealed || s.runsOut(d.Pos), nil
}

// runsOut reports whether the batch at pos would go on behind the end.
func (s *scanner) runsOut(pos int64) bool {
	if s.end-pos < batch.HeaderSize {
		return true
	}
	var peek [batch.PeekMagicLen]byte
	if _, err := s.p.seg.ReadAt(peek[:], pos); err != nil {
		return false
	}
	size, err := batch.PeekSize(peek[:])
	return err == nil && size > s.end-pos
}

// sectorBytes is what a disk writes whole or not at all.
const sectorBytes = 512

// sectorMissing reports whether a sector of the damaged bytes reads as zeros.
func (s *scanner) sectorMissing(d Damage) (bool, error) {
	buf := make([]byte, min(resyncBytes, d.End-d.Pos))
	zeros := int64(0) // in front of the byte that is looked at
	for from := d.Pos; from < d.End; from += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), d.End-from)]
		if _, err := s.p.seg.ReadAt(buf, from); err != nil {
			return false, err
		}
		for i, c := range buf {
			pos := from + int64(i)
			if pos%sectorBytes == 0 {
				if s.wholeSector(d, pos, zeros) {
					return true, nil
				}
				zeros = 0
			}
			if c != 0 {
				zeros = -sectorBytes // none that reaches this sector's end
			}
			zeros++
		}
	}
	// What follows may begin in the missing sector, with zeros that it has anyway:
	// the first bytes of a base offset.
	end, err := s.zerosUpTo(d.End)
	atEnd := end == s.end || end%sectorBytes == 0
	return err == nil && atEnd && s.wholeSector(d, end, zeros+end-d.End), err
}

// zerosUpTo is where the zeros from pos on end, or the sector that pos is in.
func (s *scanner) zerosUpTo(pos int64) (int64, error) {
	var buf [sectorBytes]byte
	rest := buf[:min(s.end, (pos+sectorBytes-1)/sectorBytes*sectorBytes)-pos]
	if _, err := s.p.seg.ReadAt(rest, pos); err != nil {
		return pos, err
	}
	for i, c := range rest {
		if c != 0 {
			return pos + int64(i), nil
		}
	}
	return pos + int64(len(rest)), nil
}

// wholeSector reports whether so many zeros before end are a sector's, as far as
// it lies in the damage. Base offsets begin with zeros, so a few of them before
// the first boundary say nothing.
func (s *scanner) wholeSector(d Damage, end, zeros int64) bool {
	const baseOffsetBytes = batch.PeekLen - 4
	begin := max(d.Pos, (end-1)/sectorBytes*sectorBytes)
	return zeros > 0 && zeros >= end-begin && (begin > d.Pos || zeros >= baseOffsetBytes)
}
