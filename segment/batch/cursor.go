package batch

import (
	"fmt"
	"math"
)

// A cursor reads the fields of records, from memory or from a decompressor's
// chunks, without ever holding more than one chunk. Its first error sticks:
// after it every read gives zero, so a caller tests err once a record.
type cursor struct {
	buf  []byte    // the chunk at hand
	pos  int       // Invariant: 0 <= pos <= len(buf); buf[pos:] is unread
	past int64     // bytes of the chunks before buf
	in   *inflater // gives the next chunk; nil when buf is everything
	err  error
}

// at is the position in the plain payload.
func (c *cursor) at() int64 { return c.past + int64(c.pos) }

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// fill replaces the chunk, which must have been read wholly, by the next.
func (c *cursor) fill() bool {
	if c.err != nil {
		return false
	}
	if c.in != nil {
		c.past += int64(len(c.buf))
		c.pos = 0
		c.buf, c.err = c.in.next()
	}
	if c.err == nil && c.pos == len(c.buf) {
		c.fail("the payload ends inside it, at byte %d", c.at())
	}
	return c.err == nil
}

// varint reads a zigzag varint of up to 64 bits.
func (c *cursor) varint() int64 {
	if c.pos < len(c.buf) {
		if x := c.buf[c.pos]; x < 0x80 {
			c.pos++
			return int64(x>>1) ^ -int64(x&1)
		}
	}
	return c.longVarint()
}

func (c *cursor) longVarint() int64 {
	var x uint64
	for shift := uint(0); shift < 64; shift += 7 {
		if c.pos == len(c.buf) && !c.fill() {
			return 0
		}
		b := c.buf[c.pos]
		c.pos++
		if shift == 63 && b > 1 {
			break
		}
		x |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return int64(x>>1) ^ -int64(x&1)
		}
	}
	c.fail("the number at byte %d has more than 64 bits", c.at())
	return 0
}

// int32 reads a zigzag varint that must fit 32 bits.
func (c *cursor) int32() int32 {
	v := c.varint()
	if v != int64(int32(v)) {
		c.fail("the number at byte %d has more than 32 bits", c.at())
		return 0
	}
	return int32(v)
}

// length reads the length of a nullable field of a record that ends at end:
// -1 for null, else at most what is left of the record.
func (c *cursor) length(end int64, what string) int {
	n := c.varint()
	if n < -1 || n > end-c.at() {
		c.fail("its %s claims %d bytes, but %d are left of the record", what, n, max(end-c.at(), 0))
		return -1
	}
	return int(n)
}

// skip passes over n bytes; nothing if n is negative.
func (c *cursor) skip(n int) {
	for n > len(c.buf)-c.pos {
		n -= len(c.buf) - c.pos
		c.pos = len(c.buf)
		if !c.fill() {
			return
		}
	}
	c.pos += max(n, 0)
}

// take returns the next n bytes, nil if n is negative. Only for a cursor over
// memory, and for an n that length has checked.
func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.buf)-c.pos {
		return nil
	}
	p := c.buf[c.pos : c.pos+n : c.pos+n]
	c.pos += n
	return p
}

// finish checks that nothing follows. It reads a decompressor to its end, and
// so has it check its own trailing checksums.
func (c *cursor) finish() error {
	if c.in != nil && c.err == nil && c.pos == len(c.buf) {
		c.past += int64(len(c.buf))
		c.pos = 0
		c.buf, c.err = c.in.next()
	}
	if c.pos < len(c.buf) {
		c.fail("more bytes follow at byte %d", c.at())
	}
	return c.err
}

// A head is what rules look at in a record.
type head struct {
	timestampDelta int64
	offsetDelta    int32
	hasKey         bool
}

// start reads the frame of a record and the fields before its key; end is where
// the record must end.
func (c *cursor) start() (h head, attributes int8, end int64) {
	n := c.int32()
	if n < 0 {
		c.fail("it claims %d bytes", n)
		return
	}
	end = c.at() + int64(n)
	if c.in == nil && end > int64(len(c.buf)) {
		c.fail("it claims %d bytes, but the payload has only %d more", n, len(c.buf)-c.pos)
		return
	}
	if c.pos == len(c.buf) && !c.fill() {
		return
	}
	attributes = int8(c.buf[c.pos])
	c.pos++
	h.timestampDelta = c.varint()
	h.offsetDelta = c.int32()
	return h, attributes, end
}

// headers reads how many headers a record has that ends at end. Each takes at
// least two bytes, which bounds the number.
func (c *cursor) headers(end int64) int {
	n := c.varint()
	if n < 0 || n > (end-c.at())/2 {
		c.fail("it claims %d headers, but %d bytes are left of it", n, max(end-c.at(), 0))
		return 0
	}
	return int(n)
}

func (c *cursor) end(end int64) {
	if c.err == nil && c.at() != end {
		c.fail("its fields end at byte %d, but its length says %d", c.at(), end)
	}
}

// next walks over one record and returns its head.
func (c *cursor) next() head {
	if h, size := quick(c.buf[c.pos:]); size > 0 {
		c.pos += size
		return h
	}
	return c.careful()
}

// careful is next for every record, good or bad.
func (c *cursor) careful() head {
	h, _, end := c.start()
	if c.err != nil {
		return h
	}
	key := c.length(end, "key")
	h.hasKey = key >= 0
	c.skip(key)
	c.skip(c.length(end, "value"))
	for n := c.headers(end); n > 0 && c.err == nil; n-- {
		c.skip(c.headerKey(end))
		c.skip(c.length(end, "header value"))
	}
	c.end(end)
	return h
}

func (c *cursor) headerKey(end int64) int {
	n := c.length(end, "header key")
	if n < 0 {
		c.fail("a header has no key")
	}
	return n
}

// record reads one record whole. Its slices alias the cursor's memory.
func (c *cursor) record() (r Record, h head) {
	var end int64
	h, r.Attributes, end = c.start()
	if c.err != nil {
		return r, h
	}
	r.Key = c.take(c.length(end, "key"))
	h.hasKey = r.Key != nil
	r.Value = c.take(c.length(end, "value"))
	if n := c.headers(end); n > 0 {
		r.Headers = make([]Header, 0, min(n, math.MaxUint8))
		for ; n > 0 && c.err == nil; n-- {
			key := string(c.take(c.headerKey(end)))
			r.Headers = append(r.Headers, Header{Key: key, Value: c.take(c.length(end, "header value"))})
		}
	}
	c.end(end)
	return r, h
}
