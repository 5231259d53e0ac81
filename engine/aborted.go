package engine

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Aborted is a transaction that was aborted: what its producer wrote from First
// on, up to the marker at Last, is not for consumers that read what was committed.
type Aborted struct{ ProducerID, First, Last int64 }

// An entry of a .txnindex file, Kafka's index of aborted transactions. It stands
// beside the segment that has the marker:
//
//	0 version          i16 = 0
//	2 producerId       i64
//	10 firstOffset     i64   of the transaction's first record
//	18 lastOffset      i64   of its marker
//	26 lastStableOffset i64  when it was aborted
//	34
//
// Source: Apache Kafka, storage/…/AbortedTxn.java.
const (
	abortedVersion     = 0
	posAbortedProducer = 2
	posAbortedFirst    = 10
	posAbortedMarker   = 18
	abortedEntry       = 34
)

func parseAborted(e []byte) Aborted {
	at := func(pos int) int64 { return int64(binary.BigEndian.Uint64(e[pos:])) }
	return Aborted{ProducerID: at(posAbortedProducer), First: at(posAbortedFirst), Last: at(posAbortedMarker)}
}

// abortedFile is what the .txnindex beside one segment says. It is never written
// to once it is in Log.aborted.
type abortedFile struct {
	base    int64
	raw     []byte
	damaged bool // and about to be made anew
}

// Aborted returns the aborted transactions that may have records in [from, upTo),
// by the offsets of their markers. With transactions of records [10, 20] and
// [30, 40], Aborted(15, 30) returns the first.
func (l *Log) Aborted(from, upTo int64) []Aborted {
	files := l.aborted.Load()
	if files == nil {
		return nil
	}
	var found []Aborted
	for i, f := range *files {
		if i+1 < len(*files) && (*files)[i+1].base <= from {
			continue // its markers lie before that
		}
		for e := f.raw; len(e) > 0; e = e[abortedEntry:] {
			if a := parseAborted(e); a.Last >= from && a.First < upTo {
				found = append(found, a)
			}
		}
	}
	return found
}

// abortedOf returns the entries that stand beside one segment.
func (l *Log) abortedOf(base int64) []byte {
	files := l.aborted.Load()
	if files == nil {
		return nil
	}
	for _, f := range *files {
		if f.base == base {
			return f.raw
		}
	}
	return nil
}

// loadAborted reads the indexes of aborted transactions, and returns the bases of
// those that are damaged. Entries from the log's end on are of records that are no
// more, and must not speak for those that come in their place.
func (l *Log) loadAborted(names []string) (damaged []int64, err error) {
	var files []abortedFile
	for _, name := range names {
		base, ok := fileOffset(name, suffixAborted)
		if !ok {
			continue
		}
		raw, err := l.readAborted(base)
		var bad *CorruptError
		if err != nil && !errors.As(err, &bad) {
			return nil, err
		}
		if bad != nil {
			l.log.Warn("index of aborted transactions is damaged", "log", l.name, "err", err)
			damaged = append(damaged, base)
		}
		files = append(files, abortedFile{base: base, raw: raw, damaged: bad != nil})
	}
	l.setAborted(files)
	return damaged, l.cutAborted(l.end.Load())
}

func (l *Log) setAborted(files []abortedFile) {
	if len(files) == 0 {
		l.aborted.Store(nil)
		return
	}
	slices.SortFunc(files, func(a, b abortedFile) int { return cmp.Compare(a.base, b.base) })
	l.aborted.Store(&files)
}

// cutAborted drops, durably, the entries of transactions that ended at offset end
// or later, and the files that have no others.
func (l *Log) cutAborted(end int64) error {
	old := l.aborted.Load()
	if old == nil {
		return nil
	}
	var files []abortedFile
	for _, f := range *old {
		kept := f
		if f.base >= end {
			kept.raw, kept.damaged = nil, false
		} else {
			kept.raw = filterAborted(f.raw, func(a Aborted) bool { return a.Last < end })
		}
		name := fileName("", f.base, suffixAborted)
		switch {
		case len(kept.raw) == 0 && !kept.damaged:
			if err := errors.Join(l.remove(fileName(l.dir, f.base, suffixAborted)), l.fs.SyncDir(l.dir)); err != nil {
				return err
			}
			continue
		case len(kept.raw) < len(f.raw):
			if err := vfs.ReplaceFile(l.fs, l.dir, name, kept.raw); err != nil {
				return err
			}
		}
		files = append(files, kept)
	}
	l.setAborted(files)
	return nil
}

// dropAborted removes what stands beside a segment that goes.
func (l *Log) dropAborted(base int64) error {
	old := l.aborted.Load()
	if old == nil {
		return nil
	}
	l.setAborted(slices.DeleteFunc(slices.Clone(*old), func(f abortedFile) bool { return f.base == base }))
	return l.remove(fileName(l.dir, base, suffixAborted))
}

// reloadAborted reads anew what a compaction has changed.
func (l *Log) reloadAborted() error {
	if l.aborted.Load() == nil {
		return nil
	}
	files, err := l.list()
	if err != nil {
		return err
	}
	damaged, err := l.loadAborted(files.names)
	if err != nil {
		return err
	}
	_, err = l.rebuildAborted(damaged, files.snapshots, l.gaps())
	return err
}

// readAborted returns the entries of a part's .txnindex; none if there is no such
// file.
func (l *Log) readAborted(base int64) ([]byte, error) {
	name := fileName(l.dir, base, suffixAborted)
	raw, err := readFile(l.fs, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(raw)%abortedEntry != 0 {
		return nil, &CorruptError{Path: name, Pos: int64(len(raw) / abortedEntry * abortedEntry), Why: fmt.Sprintf("%d bytes are no whole number of entries of %d", len(raw), abortedEntry)}
	}
	for pos := 0; pos < len(raw); pos += abortedEntry {
		if v := binary.BigEndian.Uint16(raw[pos:]); v != abortedVersion {
			return nil, &CorruptError{Path: name, Pos: int64(pos), Why: fmt.Sprintf("its version is %d, this release reads %d", v, abortedVersion)}
		}
	}
	return raw, nil
}

// keepAborted returns the entries whose markers are among those that stay.
func keepAborted(entries []byte, markers map[int64]bool) []byte {
	return filterAborted(entries, func(a Aborted) bool { return markers[a.Last] })
}

func filterAborted(entries []byte, keep func(Aborted) bool) (kept []byte) {
	for e := entries; len(e) > 0; e = e[abortedEntry:] {
		if keep(parseAborted(e)) {
			kept = append(kept, e[:abortedEntry]...)
		}
	}
	return kept
}
