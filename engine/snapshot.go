package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"slices"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A producer snapshot, N.snapshot, holds the idempotent producers' state as it
// was when N was the next offset. Kafka's format, version 1:
//
//	0 version i16 = 1
//	2 crc     u32   CRC-32C of all that follows
//	6 count   i32
//	10 entries of 46 bytes:
//	   0 producerId   i64    8 epoch     i16    10 lastSequence i32   14 lastOffset i64
//	  22 offsetDelta  i32   26 timestamp i64    34 coordinatorEpoch i32 (-1: none)
//	  38 currentTxnFirstOffset i64 (-1: none)   46 (end)
//
// A producer that is known only by a marker has -1 for lastSequence and lastOffset.
//
// Kafka writes one entry for a producer, its last batch, so that after a restart
// only that one is recognised as a duplicate. We write one entry for each of the
// last five batches, oldest first. Kafka reads such a file as if only the last
// of them were there, for the later entry of an id replaces the earlier.
//
// Source: Apache Kafka, storage/…/ProducerStateManager.java, ProducerSnapshot.json.
const (
	snapshotVersion = 1
	posSnapshotCRC  = 2
	posSnapshotRest = 6
	snapshotHeader  = 10
	snapshotEntry   = 46
)

func encodeSnapshot(p *producers) []byte {
	b := make([]byte, snapshotHeader, snapshotHeader+len(p.byID)*snapshotEntry)
	count := 0
	for _, id := range slices.Sorted(maps.Keys(p.byID)) {
		s := p.byID[id]
		batches := s.sent[:s.n]
		if s.n == 0 {
			batches = []sentBatch{{lastSequence: -1, lastOffset: -1, timestamp: s.seen}}
		}
		for _, sent := range batches {
			b = binary.BigEndian.AppendUint64(b, uint64(id))
			b = binary.BigEndian.AppendUint16(b, uint16(s.epoch))
			b = binary.BigEndian.AppendUint32(b, uint32(sent.lastSequence))
			b = binary.BigEndian.AppendUint64(b, uint64(sent.lastOffset))
			b = binary.BigEndian.AppendUint32(b, uint32(sent.offsetDelta))
			b = binary.BigEndian.AppendUint64(b, uint64(sent.timestamp))
			b = binary.BigEndian.AppendUint32(b, uint32(s.coordinator))
			b = binary.BigEndian.AppendUint64(b, uint64(s.open))
			count++
		}
	}
	binary.BigEndian.PutUint16(b, snapshotVersion)
	binary.BigEndian.PutUint32(b[posSnapshotRest:], uint32(count))
	binary.BigEndian.PutUint32(b[posSnapshotCRC:], crc32.Checksum(b[posSnapshotRest:], castagnoli))
	return b
}

// castagnoli is a constant table of hash/crc32.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func decodeSnapshot(b []byte) (producers, error) {
	p := newProducers()
	if len(b) < snapshotHeader {
		return p, errors.New("it is shorter than its header")
	}
	if v := binary.BigEndian.Uint16(b); v != snapshotVersion {
		return p, fmt.Errorf("its version is %d, this release reads %d", v, snapshotVersion)
	}
	if crc32.Checksum(b[posSnapshotRest:], castagnoli) != binary.BigEndian.Uint32(b[posSnapshotCRC:]) {
		return p, errors.New("its CRC does not match")
	}
	n := int64(int32(binary.BigEndian.Uint32(b[posSnapshotRest:])))
	if n < 0 || n*snapshotEntry != int64(len(b)-snapshotHeader) {
		return p, fmt.Errorf("it announces %d entries and has %d bytes for them", n, len(b)-snapshotHeader)
	}
	for e := b[snapshotHeader:]; len(e) > 0; e = e[snapshotEntry:] {
		sent := sentBatch{
			lastSequence: int32(binary.BigEndian.Uint32(e[10:])),
			lastOffset:   int64(binary.BigEndian.Uint64(e[14:])),
			offsetDelta:  int32(binary.BigEndian.Uint32(e[22:])),
			timestamp:    int64(binary.BigEndian.Uint64(e[26:])),
		}
		known := p.of(int64(binary.BigEndian.Uint64(e)), int16(binary.BigEndian.Uint16(e[8:])))
		known.seen = sent.timestamp
		known.coordinator = int32(binary.BigEndian.Uint32(e[34:]))
		known.open = max(int64(binary.BigEndian.Uint64(e[38:])), noTransaction)
		if sent.lastSequence >= 0 && sent.offsetDelta >= 0 {
			known.add(sent)
		}
	}
	p.changed = false
	return p, nil
}

// writeSnapshot makes the snapshot at offset. It is not renamed into place: its
// checksum tells a torn one. One that found no room does not stay: nobody can
// read it, and it would look like damage.
func writeSnapshot(fsys vfs.FS, dir string, offset int64, b []byte) error {
	name := fileName(dir, offset, suffixSnapshot)
	err := vfs.WriteFile(fsys, name, b)
	if err != nil {
		_ = fsys.Remove(name) // the next one at this offset would do so, too
	}
	return err
}

// loadSnapshot reads the newest usable snapshot at or below upTo and returns the
// offset that it was taken at, or the first part's base if there is none.
// Snapshots past upTo and damaged ones are removed, and the caller syncs the
// directory before a record is added: they speak of a log that is no more. Those
// before the first part are of no use, for the records between are gone.
func (l *Log) loadSnapshot(offsets []int64, upTo int64) (producers, int64, error) {
	first := (*l.view.Load())[0].base
	for _, at := range slices.Backward(offsets) {
		name := fileName(l.dir, at, suffixSnapshot)
		if (at <= upTo || bugSnapshotNewer.made()) && at >= first {
			raw, err := readFile(l.fs, name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // it went with a segment past the end
			}
			if err != nil {
				return producers{}, 0, err
			}
			p, err := decodeSnapshot(raw)
			if err == nil {
				return p, at, nil
			}
			l.log.Warn("producer snapshot is not usable, reading the log instead", "path", name, "why", err)
		}
		if err := l.remove(name); err != nil {
			return producers{}, 0, err
		}
	}
	return newProducers(), first, nil
}
