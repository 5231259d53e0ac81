// Package wire is the Kafka protocol as bytes: one struct per message, decoded
// from a request's frame and encoded into a response's, for every version that
// Kafka 4.4 speaks. The structs are generated from the message definitions in
// the kafka-clients jar (see ./gen); readers, writers and limits are by hand.
//
// It is a server's codec, made for frames that anybody may have written:
//
//   - Every count is checked against the bytes that are left and against
//     [MaxElements] and [MaxTags] before anything is allocated, and all that one
//     frame may allocate is bounded by [Reader.Reset]. Malformed input is a
//     [*DecodeError], never a panic.
//   - Decoding reuses the capacity of the struct it is given, and a [Reader]
//     remembers the short strings it has seen, so a connection that repeats a
//     request decodes it without allocating.
//   - Encoding appends to one reused buffer. Record bytes that are to be sent
//     from a file are left out as a [Hole]; lengths count them.
//
// # Lifetimes
//
// Bytes and [Records] of a decoded message alias the frame: they are good as
// long as the frame is. Slices are reused when the struct is decoded again.
// Strings are copies and may be kept; a *string is shared with the Reader's
// memory of strings, so it may be kept but not written through.
//
// # Null, empty and default
//
// A nullable string is a *string. A nullable array is a slice whose nil is null
// and whose empty non-nil value is empty; in an array that isn't nullable both
// are empty. Fields that a version doesn't have are decoded as their default.
// The zero value of a struct isn't its default: where defaults are not zero
// (leader epochs are -1) a zero is sent as such, so start from Default, or from
// [Append] for the elements of an array.
package wire

//go:generate go run ./gen -kafka 4.4.0
