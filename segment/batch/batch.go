// Package batch views and stamps Kafka record batches of magic 2 in place. A
// Batch is the bytes that a producer sent, and the bytes that are stored and
// served: nothing here copies them unless its name says so.
//
//	 0 baseOffset      i64   stamped by the broker, outside the CRC
//	 8 length          i32   of all that follows: the batch's size - 12
//	12 leaderEpoch     i32   stamped by the broker, outside the CRC
//	16 magic           i8    2
//	17 crc             u32   CRC-32C of everything from attributes to the end
//	21 attributes      i16   0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon
//	23 lastOffsetDelta i32
//	27 baseTimestamp   i64   milliseconds
//	35 maxTimestamp    i64
//	43 producerId      i64   -1: none
//	51 producerEpoch   i16
//	53 baseSequence    i32
//	57 count           i32
//	61 records…
//
// Format: Apache Kafka, clients/…/common/record/DefaultRecordBatch.java.
package batch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// Positions of the header's fields, each the one before plus that one's length.
const (
	posBaseOffset      = 0
	posLength          = posBaseOffset + 8
	posLeaderEpoch     = posLength + 4
	posMagic           = posLeaderEpoch + 4
	posCRC             = posMagic + 1
	posAttributes      = posCRC + 4
	posLastOffsetDelta = posAttributes + 2
	posBaseTimestamp   = posLastOffsetDelta + 4
	posMaxTimestamp    = posBaseTimestamp + 8
	posProducerID      = posMaxTimestamp + 8
	posProducerEpoch   = posProducerID + 8
	posBaseSequence    = posProducerEpoch + 2
	posCount           = posBaseSequence + 4
	posRecords         = posCount + 4
)

const (
	// HeaderSize is the length in bytes of a batch's header, and so of the
	// smallest batch.
	HeaderSize = posRecords
	// PeekLen is how many bytes [PeekSize] needs to tell a batch's size;
	// PeekMagicLen is how many it needs to check the magic too.
	PeekLen      = posLength + 4
	PeekMagicLen = posMagic + 1
	// MaxSize is the largest batch that the format's length field can express.
	// It is a bound on arithmetic only: readers bound what they allocate by
	// their own limits.
	MaxSize = math.MaxInt32 + PeekLen

	magic = 2
)

// Attributes are the batch's flags, as on the wire.
type Attributes int16

const (
	maskCodec         Attributes = 0x07
	flagLogAppendTime Attributes = 0x08
	flagTransactional Attributes = 0x10
	flagControl       Attributes = 0x20
	flagDeleteHorizon Attributes = 0x40
)

// What a header holds when there is nothing to say.
const (
	NoProducerID    int64 = -1
	NoProducerEpoch int16 = -1
	NoSequence      int32 = -1
	NoTimestamp     int64 = -1
	NoLeaderEpoch   int32 = -1
)

// TimestampType says who set the timestamps of a batch's records.
type TimestampType int8

const (
	// CreateTime: each record carries the producer's time.
	CreateTime TimestampType = iota
	// LogAppendTime: every record has the batch's MaxTimestamp, which the
	// broker set when it appended the batch.
	LogAppendTime
)

// String returns the name that Kafka's message.timestamp.type uses.
func (t TimestampType) String() string {
	if t == LogAppendTime {
		return "LogAppendTime"
	}
	return "CreateTime"
}

// A Batch is exactly one batch, header and records, viewed in the bytes that
// hold it. Invariant: it is at least HeaderSize long, as [Next], [Parse] and
// [Spec.Bytes] make it; the accessors panic on anything shorter. Only the Stamp
// methods write to it.
type Batch []byte

// BaseOffset is the offset of the first record.
func (b Batch) BaseOffset() int64 { return int64(binary.BigEndian.Uint64(b[posBaseOffset:])) }

// LastOffset is the offset of the last record that the producer put into the
// batch. Compaction may have removed that record; the offset stays.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastOffsetDelta()) }

// NextOffset is the offset after LastOffset: where the next batch may start.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

// LastOffsetDelta is LastOffset less BaseOffset.
func (b Batch) LastOffsetDelta() int32 {
	return int32(binary.BigEndian.Uint32(b[posLastOffsetDelta:]))
}

// Size is the batch's length in bytes, from its length field. For a framed
// batch it equals len(b).
func (b Batch) Size() int64 {
	return int64(int32(binary.BigEndian.Uint32(b[posLength:]))) + PeekLen
}

// LeaderEpoch is the epoch of the leader that appended the batch.
func (b Batch) LeaderEpoch() int32 { return int32(binary.BigEndian.Uint32(b[posLeaderEpoch:])) }

// CRC is the checksum that the batch carries, which need not be right.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[posCRC:]) }

// Attributes are the batch's flags.
func (b Batch) Attributes() Attributes {
	return Attributes(binary.BigEndian.Uint16(b[posAttributes:]))
}

// Codec is how the payload is compressed. It may be one that does not exist:
// see [Codec.Known].
func (b Batch) Codec() Codec { return Codec(b.Attributes() & maskCodec) }

// TimestampType says who set the timestamps.
func (b Batch) TimestampType() TimestampType {
	if b.Attributes()&flagLogAppendTime != 0 {
		return LogAppendTime
	}
	return CreateTime
}

// IsTransactional tells whether the batch is part of a transaction.
func (b Batch) IsTransactional() bool { return b.Attributes()&flagTransactional != 0 }

// IsControl tells whether the records are markers of the broker, not data.
func (b Batch) IsControl() bool { return b.Attributes()&flagControl != 0 }

// HasDeleteHorizon tells whether BaseTimestamp holds the time in ms after which
// compaction may drop the batch's tombstones.
func (b Batch) HasDeleteHorizon() bool { return b.Attributes()&flagDeleteHorizon != 0 }

// BaseTimestamp is what the records' timestamps are relative to, in ms since 1970.
func (b Batch) BaseTimestamp() int64 { return int64(binary.BigEndian.Uint64(b[posBaseTimestamp:])) }

// MaxTimestamp is the newest timestamp of the records, or the append time, in
// ms since 1970; NoTimestamp when there is none.
func (b Batch) MaxTimestamp() int64 { return int64(binary.BigEndian.Uint64(b[posMaxTimestamp:])) }

// ProducerID is the idempotent producer's id, or NoProducerID.
func (b Batch) ProducerID() int64 { return int64(binary.BigEndian.Uint64(b[posProducerID:])) }

// ProducerEpoch is the idempotent producer's epoch, or NoProducerEpoch.
func (b Batch) ProducerEpoch() int16 { return int16(binary.BigEndian.Uint16(b[posProducerEpoch:])) }

// BaseSequence is the producer's sequence number of the first record, or NoSequence.
func (b Batch) BaseSequence() int32 { return int32(binary.BigEndian.Uint32(b[posBaseSequence:])) }

// LastSequence is the sequence number of the last record, or NoSequence.
// Sequence numbers wrap: after 2,147,483,647 comes 0.
func (b Batch) LastSequence() int32 {
	if b.BaseSequence() == NoSequence {
		return NoSequence
	}
	return int32((int64(b.BaseSequence()) + int64(b.LastOffsetDelta())) & math.MaxInt32)
}

// Count is the number of records. It is less than LastOffsetDelta+1 only where
// compaction removed some.
func (b Batch) Count() int32 { return int32(binary.BigEndian.Uint32(b[posCount:])) }

// Payload is the records as they are stored, compressed if Codec says so.
func (b Batch) Payload() []byte { return b[posRecords:] }

// Stamp gives the batch its place in the log. Both fields lie outside the CRC,
// so this is all that an append writes.
func (b Batch) Stamp(baseOffset int64, leaderEpoch int32) {
	binary.BigEndian.PutUint64(b[posBaseOffset:], uint64(baseOffset))
	binary.BigEndian.PutUint32(b[posLeaderEpoch:], uint32(leaderEpoch))
}

// StampAppendTime turns the batch into one of LogAppendTime at ms and writes
// its CRC anew, which reads all of the batch.
func (b Batch) StampAppendTime(ms int64) {
	b.setTime(b.Attributes()|flagLogAppendTime, ms)
}

// StampMaxTimestamp turns the batch into one of CreateTime whose newest record
// is at ms. It touches nothing when that is so already; else it writes the CRC
// anew. Kafka's broker corrects a producer's MaxTimestamp so.
func (b Batch) StampMaxTimestamp(ms int64) {
	b.setTime(b.Attributes()&^flagLogAppendTime, ms)
}

func (b Batch) setTime(a Attributes, maxTimestamp int64) {
	if a == b.Attributes() && maxTimestamp == b.MaxTimestamp() {
		return
	}
	binary.BigEndian.PutUint16(b[posAttributes:], uint16(a))
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(maxTimestamp))
	b.seal()
}

// seal writes the CRC that the bytes have now.
func (b Batch) seal() { binary.BigEndian.PutUint32(b[posCRC:], b.checksum()) }

func (b Batch) checksum() uint32 { return crc32.Checksum(b[posAttributes:], castagnoli) }

// castagnoli is CRC-32C's polynomial; hash/crc32 keeps one table for it and
// uses the processor's instruction. It is never written to.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Check verifies one whole batch without looking at its records: length and CRC
// ([ErrCorrupt]), magic ([ErrMagic]), and that the counts of the header can be
// true ([ErrInvalid]): 0 <= count <= lastOffsetDelta+1.
func (b Batch) Check() error {
	size, err := PeekSize(b)
	if err != nil {
		return err
	}
	if size != int64(len(b)) {
		return fmt.Errorf("%w: its length field says %d bytes, but it has %d", ErrCorrupt, size, len(b))
	}
	if got := b.checksum(); got != b.CRC() {
		return fmt.Errorf("%w: CRC is %08x, but its bytes give %08x", ErrCorrupt, b.CRC(), got)
	}
	if b.Count() < 0 || b.LastOffsetDelta() < 0 || int64(b.Count()) > int64(b.LastOffsetDelta())+1 {
		return fmt.Errorf("%w: %d records cannot be with a last offset delta of %d", ErrInvalid, b.Count(), b.LastOffsetDelta())
	}
	if b.BaseOffset() > math.MaxInt64-1-int64(b.LastOffsetDelta()) {
		return fmt.Errorf("%w: base offset %d leaves no room for %d more", ErrInvalid, b.BaseOffset(), b.LastOffsetDelta())
	}
	return nil
}

// PeekSize tells the size in bytes of the batch that starts with header, which
// needs to hold PeekLen bytes; with PeekMagicLen or more the magic is checked
// as well. The size is at least HeaderSize and at most MaxSize: compare it with
// your own limit before you allocate. Errors: [ErrTruncated], [ErrMagic],
// [ErrCorrupt].
func PeekSize(header []byte) (int64, error) {
	if len(header) < PeekLen {
		return 0, fmt.Errorf("%w: %d bytes, but its length field ends at %d", ErrTruncated, len(header), PeekLen)
	}
	// The magic first: the older formats' messages are smaller than our header
	// and deserve the better error. All formats have it at the same place.
	if len(header) >= PeekMagicLen && header[posMagic] != magic {
		return 0, fmt.Errorf("%w %d (only %d is supported)", ErrMagic, int8(header[posMagic]), magic)
	}
	size := int64(int32(binary.BigEndian.Uint32(header[posLength:]))) + PeekLen
	if size < HeaderSize {
		return 0, fmt.Errorf("%w: its length field says %d bytes, the least is %d", ErrCorrupt, size, HeaderSize)
	}
	return size, nil
}

// Candidate returns the first position in buf at which the header of a batch can
// begin, by its magic alone, or -1. It is for whoever looks for a batch where he
// does not know that there is one: gigabytes of zeros take no time.
func Candidate(buf []byte) int {
	if len(buf) < HeaderSize {
		return -1
	}
	return bytes.IndexByte(buf[posMagic:len(buf)-HeaderSize+posMagic+1], magic)
}

// Next cuts the first batch off buf. It checks framing and magic, not the CRC.
// A buf that ends inside the batch gives [ErrTruncated]; then and after any
// other error rest is buf. An empty buf is truncated too: test for it first.
func Next(buf []byte) (b Batch, rest []byte, err error) {
	size, err := PeekSize(buf)
	if err != nil {
		return nil, buf, err
	}
	if int64(len(buf)) < size {
		return nil, buf, fmt.Errorf("%w: %d of %d bytes", ErrTruncated, len(buf), size)
	}
	return Batch(buf[:size:size]), buf[size:], nil
}
