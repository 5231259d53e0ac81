package batch

import (
	"encoding/binary"
	"iter"
	"math/bits"
)

// A Record is one record of a batch. On the wire it is relative to its batch:
//
//	length         varint, of all that follows
//	attributes     i8, unused
//	timestampDelta varlong, to the batch's baseTimestamp
//	offsetDelta    varint, to the batch's baseOffset
//	key            varint length (-1: null), bytes
//	value          varint length (-1: null), bytes
//	headers        varint count, each: key (varint length, UTF-8), value (as above)
//
// with zigzag varints. Source: Apache Kafka, clients/…/common/record/DefaultRecord.java.
type Record struct {
	Offset     int64 // in the partition; a Spec numbers its records itself
	Timestamp  int64 // ms since 1970, or NoTimestamp
	Key, Value []byte
	Headers    []Header
	Attributes int8 // unused by Kafka; kept
}

// A Header is one key and value beside a record's own. A nil Value is null.
type Header struct {
	Key   string
	Value []byte
}

// Records yields the batch's records in order, and decompresses first when that
// is needed. More than budget decompressed bytes give [ErrBudget]; a budget of
// 0 is [DefaultBudget]. An error is the last thing yielded, with a zero Record;
// it is a [*RecordError] when one record is at fault.
//
// Keys and values of an uncompressed batch alias its bytes; those of a
// compressed one alias memory that nothing else uses, so they may be kept.
// Records checks framing and count, not what [Batch.Validate] asks of a
// producer: compacted batches have gaps in their offsets.
func (b Batch) Records(budget int64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		plain, err := b.Plain(budget)
		if err != nil {
			yield(Record{}, err)
			return
		}
		c := cursor{buf: plain}
		appendTime := b.TimestampType() == LogAppendTime
		base, baseTimestamp := b.BaseOffset(), b.BaseTimestamp()
		for i := range b.Count() {
			r, h := c.record()
			if c.err != nil {
				yield(Record{}, recordError(i, c.err))
				return
			}
			r.Offset = base + int64(h.offsetDelta)
			r.Timestamp = baseTimestamp + h.timestampDelta
			if appendTime {
				r.Timestamp = b.MaxTimestamp()
			}
			if !yield(r, nil) {
				return
			}
		}
		if err := c.finish(); err != nil {
			yield(Record{}, countError(b.Count(), err))
		}
	}
}

// bodySize is the record's length on the wire without the length itself.
func (r *Record) bodySize(delta int, baseTimestamp int64) int {
	size := 1 + varintLen(r.Timestamp-baseTimestamp) + varintLen(int64(delta)) + bytesLen(r.Key) + bytesLen(r.Value) + varintLen(int64(len(r.Headers)))
	for _, h := range r.Headers {
		size += varintLen(int64(len(h.Key))) + len(h.Key) + bytesLen(h.Value)
	}
	return size
}

// append writes r as the record that is delta after its batch's first one.
func (r *Record) append(dst []byte, delta int, baseTimestamp int64) []byte {
	size := r.bodySize(delta, baseTimestamp)
	dst = binary.AppendVarint(dst, int64(size))
	dst = append(dst, byte(r.Attributes))
	dst = binary.AppendVarint(dst, r.Timestamp-baseTimestamp)
	dst = binary.AppendVarint(dst, int64(delta))
	dst = appendBytes(dst, r.Key)
	dst = appendBytes(dst, r.Value)
	dst = binary.AppendVarint(dst, int64(len(r.Headers)))
	for _, h := range r.Headers {
		dst = binary.AppendVarint(dst, int64(len(h.Key)))
		dst = append(dst, h.Key...)
		dst = appendBytes(dst, h.Value)
	}
	return dst
}

func appendBytes(dst, p []byte) []byte {
	if p == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(p))), p...)
}

func bytesLen(p []byte) int {
	if p == nil {
		return 1 // the varint -1
	}
	return varintLen(int64(len(p))) + len(p)
}

// varintLen is how many bytes v takes as a zigzag varint: 7 bits a byte.
func varintLen(v int64) int {
	return (bits.Len64(uint64(v)<<1^uint64(v>>63)|1) + 6) / 7
}
