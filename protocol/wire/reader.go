package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
)

// Limits of what is decoded. Kafka 4.4 refuses the same, before it allocates.
const (
	// MaxElements is the largest number of elements in one array.
	MaxElements = 1_000_000
	// MaxTags is the largest number of tagged fields in one struct.
	MaxTags = 10_000
	// MaxString is the longest string in bytes.
	MaxString = math.MaxInt16
)

// A frame may allocate memoryFactor times its size plus memoryGrace bytes. What
// real requests need is below three times; a hostile one (arrays of empty
// structs and empty strings) reaches the 30-fold, which is harmless in a small
// frame and refused in a large one.
const (
	memoryFactor = 4
	memoryGrace  = 1 << 20
)

// Reader decodes the messages in a frame. The zero value is ready after
// [Reader.Reset]. A Reader is used by one goroutine at a time; keeping one per
// connection lets it recognise that connection's strings.
//
// Its first error sticks: later reads return zero values.
type Reader struct {
	// buf is what is left of the frame or, inside a tagged field, of the field.
	// It is nil after an error, which is what makes the later reads fail.
	buf []byte
	// budget is how many bytes may yet be allocated for this frame.
	budget int
	// err is nil, a *DecodeError or a *VersionError.
	err error
	// message is the name of the message being decoded.
	message string
	// flexible says that lengths are compact and structs end in tagged fields.
	flexible bool

	strings stringCache
}

// NewReader returns a Reader of frame, which doesn't include the length prefix.
func NewReader(frame []byte) *Reader {
	r := new(Reader)
	r.Reset(frame)
	return r
}

// Reset makes the Reader start over with another frame. It bounds what decoding
// the frame may allocate: 1 MiB plus four times its length.
func (r *Reader) Reset(frame []byte) {
	r.buf, r.err = frame, nil
	r.message, r.flexible = "frame", false
	r.budget = memoryGrace + memoryFactor*len(frame)
}

// Remaining is the number of bytes that weren't decoded yet; 0 after an error.
func (r *Reader) Remaining() int { return len(r.buf) }

// Err returns the first error since Reset.
func (r *Reader) Err() error { return r.err }

// begin starts a message. It reports whether there is something to decode.
func (r *Reader) begin(message string, version, lo, hi int16, flexible bool) bool {
	if r.err != nil {
		return false
	}
	if version < lo || version > hi {
		r.err = &VersionError{Message: message, Version: version, Min: lo, Max: hi}
		r.buf = nil
		return false
	}
	r.message, r.flexible = message, flexible
	return true
}

func (r *Reader) fail(field, format string, args ...any) {
	if r.err == nil {
		r.err = &DecodeError{Message: r.message, Field: field, Why: fmt.Sprintf(format, args...)}
	}
	r.buf = nil
}

// short notes that n bytes were wanted and not there.
func (r *Reader) short(field string, n int) {
	r.fail(field, "%d bytes wanted, but %d left", n, len(r.buf))
}

// spend takes n bytes from the budget.
func (r *Reader) spend(field string, n int) bool {
	if n > r.budget {
		r.fail(field, "takes more memory than a frame of this size may")
		return false
	}
	r.budget -= n
	return true
}

func (r *Reader) bool(field string) bool { return r.int8(field) != 0 }

func (r *Reader) int8(field string) int8 {
	if len(r.buf) < 1 {
		r.short(field, 1)
		return 0
	}
	v := int8(r.buf[0])
	r.buf = r.buf[1:]
	return v
}

func (r *Reader) uint16(field string) uint16 {
	if len(r.buf) < 2 {
		r.short(field, 2)
		return 0
	}
	v := binary.BigEndian.Uint16(r.buf)
	r.buf = r.buf[2:]
	return v
}

func (r *Reader) int16(field string) int16 { return int16(r.uint16(field)) }

func (r *Reader) int32(field string) int32 {
	if len(r.buf) < 4 {
		r.short(field, 4)
		return 0
	}
	v := int32(binary.BigEndian.Uint32(r.buf))
	r.buf = r.buf[4:]
	return v
}

func (r *Reader) int64(field string) int64 {
	if len(r.buf) < 8 {
		r.short(field, 8)
		return 0
	}
	v := int64(binary.BigEndian.Uint64(r.buf))
	r.buf = r.buf[8:]
	return v
}

func (r *Reader) uuid(field string) UUID {
	var u UUID
	if len(r.buf) < len(u) {
		r.short(field, len(u))
		return u
	}
	copy(u[:], r.buf)
	r.buf = r.buf[len(u):]
	return u
}

// uvarint reads an unsigned number of at most 32 bits, 7 bits a byte, the least
// significant first.
func (r *Reader) uvarint(field string) uint32 {
	var v uint64
	for i := range 5 {
		if i == len(r.buf) {
			r.short(field, i+1)
			return 0
		}
		b := r.buf[i]
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if v > math.MaxUint32 {
				break
			}
			r.buf = r.buf[i+1:]
			return uint32(v)
		}
	}
	r.fail(field, "number of more than 32 bits")
	return 0
}

// length reads a compact length, which is one more than the length, or an
// int32. It returns -1 for null.
func (r *Reader) length(field string) int {
	if r.flexible {
		return int(r.uvarint(field)) - 1
	}
	return int(r.int32(field))
}

// take cuts n bytes, which may be -1 for null, off the front.
func (r *Reader) take(n int, nullable bool, field string) []byte {
	switch {
	case r.err != nil:
		return nil
	case n == -1 && nullable:
		return nil
	case n == -1:
		r.fail(field, "null, but must not be")
		return nil
	case n < 0:
		r.fail(field, "length %d", n)
		return nil
	case n > len(r.buf):
		r.fail(field, "length %d, but %d bytes left", n, len(r.buf))
		return nil
	}
	b := r.buf[:n:n]
	r.buf = r.buf[n:]
	return b
}

func (r *Reader) records(nullable bool, field string) Records {
	n := r.length(field)
	return Records{Bytes: r.take(n, nullable, field), Null: n == -1}
}

// stringBytes reads a string's bytes; nil stands for null and for errors.
func (r *Reader) stringBytes(compact, nullable bool, field string) []byte {
	var n int
	if compact {
		n = int(r.uvarint(field)) - 1
	} else {
		n = int(r.int16(field))
	}
	if n > MaxString {
		r.fail(field, "string of %d bytes, more than %d", n, MaxString)
		return nil
	}
	return r.take(n, nullable, field)
}

func (r *Reader) string(field string) string {
	return r.copyString(r.stringBytes(r.flexible, false, field), field)
}

func (r *Reader) nullableString(nullable bool, field string) *string {
	return r.copyNullable(r.stringBytes(r.flexible, nullable, field), field)
}

// classicNullableString reads a string with a two-byte length whatever the
// version: the client id in the request header.
func (r *Reader) classicNullableString(nullable bool, field string) *string {
	return r.copyNullable(r.stringBytes(false, nullable, field), field)
}

func (r *Reader) copyString(b []byte, field string) string {
	if len(b) == 0 {
		return ""
	}
	if p := r.strings.find(b); p != nil {
		return *p
	}
	if !r.spend(field, len(b)) {
		return ""
	}
	return *r.strings.add(b)
}

func (r *Reader) copyNullable(b []byte, field string) *string {
	switch {
	case b == nil:
		return nil
	case len(b) == 0:
		return new(string)
	}
	if p := r.strings.find(b); p != nil {
		return p
	}
	if !r.spend(field, len(b)+16) {
		return nil
	}
	return r.strings.add(b)
}

// leastString is the smallest encoding of a string in bytes.
func (r *Reader) leastString() int {
	if r.flexible {
		return 1
	}
	return 2
}

// present reads the mark before a struct that may be null.
func (r *Reader) present(nullable bool, field string) bool {
	switch v := r.int8(field); {
	case r.err != nil:
		return false
	case v >= 0:
		return true
	case !nullable:
		r.fail(field, "null, but must not be")
	}
	return false
}

// array reads an array's length and returns old with that length, reallocated
// if its capacity is too small. least is the smallest encoding of an element
// in bytes, which must be positive. Null and errors give nil.
func array[T any](r *Reader, old []T, least int, nullable bool, field string) []T {
	n := r.length(field)
	switch {
	case r.err != nil:
		return nil
	case n == -1 && nullable:
		return nil
	case n == -1:
		r.fail(field, "null, but must not be")
		return nil
	case n < 0:
		r.fail(field, "array of %d elements", n)
		return nil
	case n > MaxElements:
		r.fail(field, "array of %d elements, more than %d", n, MaxElements)
		return nil
	case n > len(r.buf)/least:
		r.fail(field, "array of %d elements, but %d bytes left", n, len(r.buf))
		return nil
	case n <= cap(old) && old != nil:
		return old[:n]
	case n == 0:
		return []T{}
	}
	if !r.spend(field, n*int(reflect.TypeFor[T]().Size())) {
		return nil
	}
	grown := make([]T, n)
	copy(grown, old[:cap(old)]) // their own slices are worth keeping
	return grown
}

// tags reads how many tagged fields follow.
func (r *Reader) tags(field string) int {
	n := int(r.uvarint(field))
	switch {
	case n > MaxTags:
		r.fail(field, "%d tagged fields, more than %d", n, MaxTags)
		return 0
	case n > len(r.buf)/2:
		r.fail(field, "%d tagged fields, but %d bytes left", n, len(r.buf))
		return 0
	}
	return n
}

// tag starts a tagged field: until endTag the Reader sees nothing but it. rest
// is what follows the field.
func (r *Reader) tag(field string) (tag uint32, rest []byte) {
	tag = r.uvarint(field)
	n := int(r.uvarint(field))
	if n > len(r.buf) {
		r.fail(field, "tagged field %d of %d bytes, but %d left", tag, n, len(r.buf))
	}
	if r.err != nil {
		return math.MaxUint32, nil
	}
	rest = r.buf[n:]
	r.buf = r.buf[:n:n]
	return tag, rest
}

// skipTag passes over a tagged field that this version doesn't know.
func (r *Reader) skipTag() { r.buf = nil }

// skipTags passes over all tagged fields of a struct that has none we know.
func (r *Reader) skipTags(field string) {
	for range r.tags(field) {
		tag, rest := r.tag(field)
		r.skipTag()
		if !r.endTag(tag, rest, field) {
			return
		}
	}
}

// endTag goes on after a tagged field. It reports whether all is well.
func (r *Reader) endTag(tag uint32, rest []byte, field string) bool {
	if len(r.buf) != 0 {
		r.fail(field, "tagged field %d is %d bytes longer than its value", tag, len(r.buf))
	}
	if r.err != nil {
		return false
	}
	r.buf = rest
	return true
}
