package wire

// Message is a request or a response without its header.
type Message interface {
	// Key is the API key, the same for a request and its response.
	Key() int16
	// Default sets every field to its default. Slices keep their capacity.
	Default()
	// Decode reads the message's given version, setting every field, and leaves
	// the Reader after it. What the Reader still has is nobody's: Kafka ignores
	// it too. After an error ([DecodeError] or [VersionError]) the message's
	// contents are undefined, but it may be decoded into again. A message keeps
	// the capacity that its largest frame took: one that is pooled is better
	// dropped after an unusual frame.
	Decode(r *Reader, version int16) error
	// Encode appends the message's given version. Fields which that version
	// doesn't have are left out if Kafka's definitions call them ignorable or
	// if they hold their default; otherwise, and for other values that can't be
	// expressed, [Writer.Err] tells.
	Encode(w *Writer, version int16)
}

// Append makes *s one element longer and returns the new element, set to its
// default. Capacity that the slice, and slices in the element, had from an
// earlier use is used again: a response that is built with Append in a reused
// struct stops allocating. The pointer is good until the next Append.
func Append[T any, P interface {
	*T
	Default()
}](s *[]T) *T {
	if n := len(*s); n < cap(*s) {
		*s = (*s)[:n+1]
	} else {
		var zero T
		*s = append(*s, zero)
	}
	e := &(*s)[len(*s)-1]
	P(e).Default()
	return e
}

// empty is s without its elements, and never nil, which would be null.
func empty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s[:0]
}
