package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
)

// indexEntry is one entry of an index; at is where it stands in the file.
type indexEntry struct {
	key, value int64 // last offset → position, or timestamp → last offset
	at         int64
}

// The sizes of entries: (offset - base) i32, position i32; and timestamp i64,
// (offset - base) i32; and those of aborted transactions.
const (
	offsetEntryBytes = 8
	timeEntryBytes   = 12
	txnEntryBytes    = 34
)

// reservedRoom is why a finding is about zeros behind the entries.
const reservedRoom = "bytes of zeros follow the last entry: the broker that wrote it was not stopped cleanly"

// isReserved tells whether f is about room that was reserved.
func isReserved(f finding) bool { return strings.HasSuffix(f.Why, reservedRoom) }

// readIndex reads a .index or .timeindex. What it finds wrong with the file
// itself comes as findings; the entries are those before it.
func readIndex(path string, base int64, entryBytes int) ([]indexEntry, []finding, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	var found []finding
	if odd := len(raw) % entryBytes; odd != 0 {
		found = append(found, warning(path, int64(len(raw)-odd), fmt.Sprintf("%d bytes are left over: an entry has %d", odd, entryBytes)))
	}
	var entries []indexEntry
	for at := 0; at+entryBytes <= len(raw); at += entryBytes {
		e := decodeEntry(raw[at:at+entryBytes], base)
		e.at = int64(at)
		if n := len(entries); n > 0 && e.key <= entries[n-1].key || e.isZero(base, entryBytes, at) {
			if allZero(raw[at:]) {
				// A clean stop gives it back.
				return entries, append(found, warning(path, e.at, fmt.Sprintf("%d %s", len(raw)-at, reservedRoom))), nil
			}
			return entries, append(found, warning(path, e.at, fmt.Sprintf("entry %d does not ascend: %d after %d", at/entryBytes, e.key, entries[max(n-1, 0)].key))), nil
		}
		entries = append(entries, e)
	}
	return entries, found, nil
}

func decodeEntry(b []byte, base int64) indexEntry {
	if len(b) == offsetEntryBytes {
		return indexEntry{key: base + int64(int32(binary.BigEndian.Uint32(b))), value: int64(int32(binary.BigEndian.Uint32(b[4:])))}
	}
	return indexEntry{key: int64(binary.BigEndian.Uint64(b)), value: base + int64(int32(binary.BigEndian.Uint32(b[8:])))}
}

// isZero tells whether the entry at byte at is room that was never written. A
// first entry of zeros is one: nothing is entered before the first bytes.
func (e indexEntry) isZero(base int64, entryBytes, at int) bool {
	if entryBytes == offsetEntryBytes {
		return at == 0 && e.key == base && e.value == 0
	}
	return at == 0 && e.key == 0 && e.value == base
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
