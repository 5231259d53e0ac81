package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// A journal file is a run of groups, each at a multiple of journalBlock. What lies
// behind the last group of a file is zeros, or groups of the time when the file
// had another sequence number: each group says whose it is, so they are never
// mistaken for this file's.
//
//	group:  0  4  magic "bjl1"
//	        4  4  CRC-32C of everything behind it, padding excepted
//	        8  8  sequence number of the file
//	       16  8  number of the group, ascending over all files without a gap
//	       24  8  number of the last group that was durable when this one was written
//	       32  4  length in bytes, without the padding up to the next block
//	       36  4  number of entries
//	       40     entries
//
//	entry:  0  1  kind: 1 batches, 2 barrier
//	        1  1  zero
//	        2  2  length of the log's name
//	        4  4  length of the batches
//	        8  8  offset at which the batches begin, where the log ended before them
//	       16  8  offset after them
//	       24 16  topic id
//	       40     name, batches
//
// Numbers are big-endian, as in the batches.
const (
	journalMagic = "bjl1"
	journalBlock = 4096 // bytes

	groupCRC     = 4
	groupFile    = 8
	groupNumber  = 16
	groupDurable = 24
	groupLength  = 32
	groupEntries = 36
	groupHeader  = 40

	entryKind    = 0
	entryName    = 2
	entryBatches = 4
	entryFrom    = 8
	entryNext    = 16
	entryTopic   = 24
	entryHeader  = 40

	entryIsBatches = 1
	entryIsBarrier = 2
)

// groupStamp is what a group says of itself.
type groupStamp struct {
	file    uint64
	number  uint64
	durable uint64
}

// journalEntry is one entry of a group. A barrier says that the log needs nothing
// of what the journal had of it before.
type journalEntry struct {
	name       string
	topic      [16]byte
	barrier    bool
	from, next int64
	// pos and size are where the batches lie, counted from the group's beginning.
	pos, size int64
}

// entrySize is what an entry takes in a group, in bytes.
func entrySize(name string, batches int64) int64 { return entryHeader + int64(len(name)) + batches }

// appendEntry adds an entry to a group and returns the room for its batches.
func appendEntry(group []byte, e journalEntry) (longer, batches []byte) {
	at := len(group)
	group = slices.Grow(group, int(entrySize(e.name, e.size)))[:at+int(entrySize(e.name, e.size))]
	h := group[at:]
	clear(h[:entryHeader])
	h[entryKind] = entryIsBatches
	if e.barrier {
		h[entryKind] = entryIsBarrier
	}
	binary.BigEndian.PutUint16(h[entryName:], uint16(len(e.name)))
	binary.BigEndian.PutUint32(h[entryBatches:], uint32(e.size))
	binary.BigEndian.PutUint64(h[entryFrom:], uint64(e.from))
	binary.BigEndian.PutUint64(h[entryNext:], uint64(e.next))
	copy(h[entryTopic:], e.topic[:])
	copy(h[entryHeader:], e.name)
	return group, h[entryHeader+len(e.name):]
}

// sealGroup writes the header of a group and pads it to whole blocks.
func sealGroup(group []byte, entries int, s groupStamp) []byte {
	n := len(group)
	copy(group, journalMagic)
	binary.BigEndian.PutUint64(group[groupFile:], s.file)
	binary.BigEndian.PutUint64(group[groupNumber:], s.number)
	binary.BigEndian.PutUint64(group[groupDurable:], s.durable)
	binary.BigEndian.PutUint32(group[groupLength:], uint32(n))
	binary.BigEndian.PutUint32(group[groupEntries:], uint32(entries))
	binary.BigEndian.PutUint32(group[groupCRC:], crc32.Checksum(group[groupFile:], castagnoli))
	padded := int(wholeBlocks(int64(n)))
	group = slices.Grow(group, padded-n)[:padded]
	clear(group[n:])
	return group
}

// wholeBlocks rounds up to a multiple of journalBlock.
func wholeBlocks(n int64) int64 { return (n + journalBlock - 1) / journalBlock * journalBlock }

// errNoGroup says that bytes are not a whole group of this file.
var errNoGroup = errors.New("not a whole group of this file")

// groupSize returns how many bytes the group has that begins with header, which
// is to lie in a file with so many left.
func groupSize(header []byte, file uint64, left int64) (int64, error) {
	if len(header) < groupHeader || string(header[:len(journalMagic)]) != journalMagic ||
		binary.BigEndian.Uint64(header[groupFile:]) != file {
		return 0, errNoGroup
	}
	n := int64(binary.BigEndian.Uint32(header[groupLength:]))
	if n < groupHeader || n > left {
		return 0, errNoGroup
	}
	return n, nil
}

// readGroup verifies a group of which groupSize has found the length, and reads
// its entries. The names alias the group.
func readGroup(group []byte) (groupStamp, []journalEntry, error) {
	if binary.BigEndian.Uint32(group[groupCRC:]) != crc32.Checksum(group[groupFile:], castagnoli) && !bugJournalTorn.made() {
		return groupStamp{}, nil, errNoGroup
	}
	s := groupStamp{
		file:    binary.BigEndian.Uint64(group[groupFile:]),
		number:  binary.BigEndian.Uint64(group[groupNumber:]),
		durable: binary.BigEndian.Uint64(group[groupDurable:]),
	}
	var entries []journalEntry
	at := int64(groupHeader)
	for range binary.BigEndian.Uint32(group[groupEntries:]) {
		e, size, err := readEntry(group, at)
		if err != nil {
			return s, nil, err
		}
		entries = append(entries, e)
		at += size
	}
	if at != int64(len(group)) {
		return s, nil, fmt.Errorf("its entries end at byte %d of %d", at, len(group))
	}
	return s, entries, nil
}

func readEntry(group []byte, at int64) (e journalEntry, size int64, err error) {
	h := group[at:]
	if len(h) < entryHeader {
		return e, 0, fmt.Errorf("an entry at byte %d of %d", at, len(group))
	}
	name := int64(binary.BigEndian.Uint16(h[entryName:]))
	e.size = int64(binary.BigEndian.Uint32(h[entryBatches:]))
	if entryHeader+name+e.size > int64(len(h)) {
		return e, 0, fmt.Errorf("an entry of %d bytes at byte %d of %d", entryHeader+name+e.size, at, len(group))
	}
	kind := h[entryKind]
	e.barrier = kind == entryIsBarrier
	e.name = string(h[entryHeader : entryHeader+name])
	e.from = int64(binary.BigEndian.Uint64(h[entryFrom:]))
	e.next = int64(binary.BigEndian.Uint64(h[entryNext:]))
	e.topic = [16]byte(h[entryTopic:])
	e.pos = at + entryHeader + name
	if _, _, ok := splitName(e.name); !ok || kind != entryIsBatches && kind != entryIsBarrier || e.from < 0 || e.next < e.from {
		return e, 0, fmt.Errorf("an entry of kind %d for the log %q, offsets %d to %d", kind, e.name, e.from, e.next)
	}
	return e, entryHeader + name + e.size, nil
}
