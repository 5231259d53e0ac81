package batch

import (
	"encoding/binary"
	"iter"
)

// An Entry is a record as compaction looks at it: what decides whether it stays,
// and its bytes, which are written again as they lie.
type Entry struct {
	Offset    int64
	Timestamp int64  // ms since 1970, or NoTimestamp
	Key       []byte // nil is null
	Tombstone bool   // its value is null
	// Size is the record's length in a plain payload.
	Size int

	attributes  int8
	offsetDelta int32
	raw         []byte // the whole record
	body        []byte // what of it follows the offset delta
}

// AppendPlain appends the plain payload to dst, within the budget that
// [Batch.Plain] describes. A payload that is not compressed is copied too.
func (b Batch) AppendPlain(dst []byte, budget int64) ([]byte, error) {
	if b.Codec() == None {
		return append(dst, b.Payload()...), nil
	}
	return appendDecompressed(dst, b.Codec(), b.Payload(), budget)
}

// Entries yields the records of the batch, whose plain payload the caller has:
// b.Payload itself where Codec is None, else what AppendPlain made. An error is
// the last thing yielded. The entries alias plain.
func (b Batch) Entries(plain []byte) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		c := cursor{buf: plain}
		base, baseTimestamp := b.BaseOffset(), b.BaseTimestamp()
		appendTime := b.TimestampType() == LogAppendTime
		for i := range b.Count() {
			e, h := c.entry()
			if c.err != nil {
				yield(Entry{}, recordError(i, c.err))
				return
			}
			e.Offset, e.Timestamp = base+int64(h.offsetDelta), baseTimestamp+h.timestampDelta
			if appendTime {
				e.Timestamp = b.MaxTimestamp()
			}
			if !yield(e, nil) {
				return
			}
		}
		if err := c.finish(); err != nil {
			yield(Entry{}, countError(b.Count(), err))
		}
	}
}

// entry reads a record as far as an Entry needs it. What lies behind the value
// was checked when the record was produced, and the batch's CRC says that it is
// the same.
func (c *cursor) entry() (e Entry, h head) {
	from := c.pos
	var end int64
	h, e.attributes, end = c.start()
	if c.err == nil && c.at() > end {
		c.end(end)
	}
	if c.err != nil {
		return e, h
	}
	e.offsetDelta = h.offsetDelta
	e.body = c.buf[c.pos:end]
	e.Key = c.take(c.length(end, "key"))
	value := c.length(end, "value")
	c.skip(value)
	if c.err == nil && c.at() > end {
		c.end(end)
	}
	if c.err != nil {
		return e, h
	}
	e.Tombstone = value < 0
	c.pos = int(end)
	e.raw = c.buf[from:c.pos]
	e.Size = len(e.raw)
	return e, h
}

// A Remainder is what compaction leaves of a batch, and how it is to be stored.
type Remainder struct {
	// Kept are the records that stay, of the batch's own, in their order; at
	// least one. See AppendEmpty for none.
	Kept []Entry
	// Horizon, unless it is NoTimestamp, becomes the batch's delete horizon: the
	// time in ms from which compaction may drop its tombstones (KIP-534).
	Horizon int64
	Codec   Codec
	Level   int // of the codec, by Kafka's numbers; 0 is its default
	// Scratch is room for the plain payload of a batch that is to be compressed.
	Scratch []byte
}

// AppendThinned appends b with no more records than r keeps, and returns all and
// the room that it used. Base and last offset stay, and so do sequences, producer
// and flags, so that the batch is known again when its producer sends it twice.
// MaxTimestamp becomes that of the newest record that stays.
//
// A delete horizon lies in the field of the base timestamp, with a flag: the
// records' timestamps are then relative to it.
func (b Batch) AppendThinned(dst []byte, r Remainder) (all, scratch []byte) {
	a := b.Attributes()&^maskCodec | Attributes(r.Codec)
	base := b.BaseTimestamp()
	if r.Horizon != NoTimestamp {
		a, base = a|flagDeleteHorizon, r.Horizon
	}
	start := len(dst)
	dst = append(dst, b[:HeaderSize]...)
	if r.Codec == None {
		dst = b.appendEntries(dst, r.Kept, base)
	} else {
		r.Scratch = b.appendEntries(r.Scratch[:0], r.Kept, base)
		dst = compress(dst, r.Scratch, r.Codec, r.Level)
	}
	newest := b.MaxTimestamp()
	if b.TimestampType() == CreateTime {
		newest = NoTimestamp
		for i := range r.Kept {
			newest = max(newest, r.Kept[i].Timestamp)
		}
	}
	Batch(dst[start:]).finish(a, base, newest, int32(len(r.Kept)))
	return dst, r.Scratch
}

// appendEntries writes records with timestamps relative to base.
func (b Batch) appendEntries(dst []byte, kept []Entry, base int64) []byte {
	for i := range kept {
		e := &kept[i]
		if base == b.BaseTimestamp() {
			dst = append(dst, e.raw...)
			continue
		}
		delta := e.Timestamp - base
		size := 1 + varintLen(delta) + varintLen(int64(e.offsetDelta)) + len(e.body)
		dst = binary.AppendVarint(dst, int64(size))
		dst = append(dst, byte(e.attributes))
		dst = binary.AppendVarint(dst, delta)
		dst = binary.AppendVarint(dst, int64(e.offsetDelta))
		dst = append(dst, e.body...)
	}
	return dst
}

// AppendEmpty appends b's header alone, of no records: it keeps the batch's
// offsets, and what is known of its producer.
func (b Batch) AppendEmpty(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, b[:HeaderSize]...)
	Batch(dst[start:]).finish(b.Attributes()&^(maskCodec|flagDeleteHorizon), NoTimestamp, b.MaxTimestamp(), 0)
	return dst
}

// finish writes what a header says of a payload that has changed.
func (b Batch) finish(a Attributes, baseTimestamp, maxTimestamp int64, count int32) {
	binary.BigEndian.PutUint32(b[posLength:], uint32(len(b)-PeekLen))
	binary.BigEndian.PutUint16(b[posAttributes:], uint16(a))
	binary.BigEndian.PutUint64(b[posBaseTimestamp:], uint64(baseTimestamp))
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(maxTimestamp))
	binary.BigEndian.PutUint32(b[posCount:], uint32(count))
	b.seal()
}
