package wire

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Writer encodes messages, one frame after the other, into a buffer that is
// kept between uses. Record bytes that come from elsewhere are left out as
// holes: what is to be sent is [Writer.Bytes] with each of [Writer.Holes]
// filled in at its place, [Writer.Size] bytes in all. The zero value is ready.
//
// Its first error sticks until [Writer.Reset]; what was written is then not to
// be sent.
type Writer struct {
	buf   []byte
	holes []Hole
	// holeBytes is the sum of the holes' sizes.
	holeBytes int64
	// frame is the position of the open frame's length prefix in buf, and
	// before the bytes of holes that lie before it.
	frame  int
	before int64
	// err is nil, an *EncodeError or a *VersionError.
	err error
	// message is the name of the message being encoded.
	message string
	// flexible says that lengths are compact and structs end in tagged fields.
	flexible bool
}

// Reset empties the Writer and forgets its error, keeping its buffers.
func (w *Writer) Reset() {
	w.buf, w.holes = w.buf[:0], w.holes[:0]
	w.holeBytes, w.frame, w.before = 0, 0, 0
	w.err, w.message, w.flexible = nil, "", false
}

// Bytes is what was encoded, without the holes. It is good until the next
// write or Reset.
func (w *Writer) Bytes() []byte { return w.buf }

// Holes are the gaps in order. The slice is good until the next write or Reset.
func (w *Writer) Holes() []Hole { return w.holes }

// Size is the number of bytes to send: Bytes and holes together.
func (w *Writer) Size() int64 { return int64(len(w.buf)) + w.holeBytes }

// Err returns the first error since Reset: an [*EncodeError] or [*VersionError].
func (w *Writer) Err() error { return w.err }

// begin starts a message. It reports whether to encode it.
func (w *Writer) begin(message string, version, lo, hi int16, flexible bool) bool {
	if w.err != nil {
		return false
	}
	if version < lo || version > hi {
		w.err = &VersionError{Message: message, Version: version, Min: lo, Max: hi}
		return false
	}
	w.message, w.flexible = message, flexible
	return true
}

func (w *Writer) fail(field, format string, args ...any) {
	if w.err == nil {
		w.err = &EncodeError{Message: w.message, Field: field, Why: fmt.Sprintf(format, args...)}
	}
}

// absent notes that a field which matters has a value and the version has no
// such field.
func (w *Writer) absent(field string, version int16) {
	w.fail(field, "set, but version %d doesn't have it", version)
}

// null notes that a field is null and must not be.
func (w *Writer) null(field string) {
	w.fail(field, "null, but must not be in this version")
}

func (w *Writer) bool(v bool) {
	if v {
		w.buf = append(w.buf, 1)
	} else {
		w.buf = append(w.buf, 0)
	}
}

func (w *Writer) int8(v int8)   { w.buf = append(w.buf, byte(v)) }
func (w *Writer) int16(v int16) { w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(v)) }
func (w *Writer) int32(v int32) { w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(v)) }
func (w *Writer) int64(v int64) { w.buf = binary.BigEndian.AppendUint64(w.buf, uint64(v)) }
func (w *Writer) uuid(v UUID)   { w.buf = append(w.buf, v[:]...) }

func (w *Writer) uvarint(v uint32) { w.buf = binary.AppendUvarint(w.buf, uint64(v)) }

// length writes the length of bytes, records or an array; -1 is null.
func (w *Writer) length(n int64, nullable bool, field string) {
	switch {
	case n == -1 && !nullable:
		w.null(field)
	case n > math.MaxInt32:
		w.fail(field, "length %d is over 2 GiB", n)
	}
	if w.flexible {
		w.uvarint(uint32(n + 1))
	} else {
		w.int32(int32(n))
	}
}

func (w *Writer) records(r Records, nullable bool, field string) {
	switch {
	case r.Null:
		w.length(-1, nullable, field)
	case r.Hole < 0:
		w.fail(field, "hole of %d bytes", r.Hole)
	case r.Hole > 0:
		w.length(r.Hole, nullable, field)
		w.holes = append(w.holes, Hole{At: len(w.buf), Size: r.Hole, ID: r.ID})
		w.holeBytes += r.Hole
	default:
		w.length(int64(len(r.Bytes)), nullable, field)
		w.buf = append(w.buf, r.Bytes...)
	}
}

func (w *Writer) stringLength(n int, compact bool, field string) {
	if n > MaxString {
		w.fail(field, "string of %d bytes, more than %d", n, MaxString)
	}
	if compact {
		w.uvarint(uint32(n + 1))
	} else {
		w.int16(int16(n))
	}
}

func (w *Writer) string(s string, field string) {
	w.stringLength(len(s), w.flexible, field)
	w.buf = append(w.buf, s...)
}

func (w *Writer) nullableString(s *string, nullable bool, field string) {
	w.optionalString(s, w.flexible, nullable, field)
}

// classicNullableString writes a string with a two-byte length whatever the
// version: the client id in the request header.
func (w *Writer) classicNullableString(s *string, nullable bool, field string) {
	w.optionalString(s, false, nullable, field)
}

func (w *Writer) optionalString(s *string, compact, nullable bool, field string) {
	switch {
	case s != nil:
		w.stringLength(len(*s), compact, field)
		w.buf = append(w.buf, *s...)
	case nullable:
		w.stringLength(-1, compact, field)
	default:
		w.null(field)
	}
}

// present writes the mark before a struct that may be null.
func (w *Writer) present(present, nullable bool, field string) {
	switch {
	case present:
		w.int8(1)
	case nullable:
		w.int8(-1)
	default:
		w.null(field)
	}
}

// arrayLength writes an array's length. A nil array is null if it may be, and
// empty otherwise.
func arrayLength[T any](w *Writer, s []T, nullable bool, field string) {
	n := int64(len(s))
	if s == nil && nullable {
		n = -1
	}
	w.length(n, nullable, field)
}

// beginTag starts a tagged field; its result is for endTag.
func (w *Writer) beginTag(tag uint32) int {
	w.uvarint(tag)
	w.buf = append(w.buf, 0)
	return len(w.buf)
}

// endTag writes the length of the tagged field that starts at start. One byte
// is set aside for it; the rare longer field is moved.
func (w *Writer) endTag(start int) {
	n := len(w.buf) - start
	if n < 0x80 {
		w.buf[start-1] = byte(n)
		return
	}
	var length [binary.MaxVarintLen32]byte
	k := binary.PutUvarint(length[:], uint64(n))
	w.buf = append(w.buf, length[1:k]...)
	copy(w.buf[start-1+k:], w.buf[start:start+n])
	copy(w.buf[start-1:], length[:k])
}
