package wire

// Records is a field of record batches: bytes, a hole in their place, or null.
// The zero value is empty, not null: a consumer takes an empty answer, but not
// a null one.
type Records struct {
	// Bytes are the batches. Decoded they alias the frame.
	Bytes []byte
	// Hole is the number of bytes that the sender puts here itself, from a file
	// say. When encoding it takes the place of Bytes; decoded it is 0.
	Hole int64
	// ID is handed on to [Hole.ID], so that the sender knows its own.
	ID int
	// Null says that there is no field at all.
	Null bool
}

// Size is the number of record bytes on the wire.
func (r Records) Size() int64 {
	if r.Null {
		return 0
	}
	if r.Hole != 0 {
		return r.Hole
	}
	return int64(len(r.Bytes))
}

// Hole is a gap in what a [Writer] encoded, to be filled by the sender.
type Hole struct {
	// At is the position in [Writer.Bytes] before which the gap lies.
	At int
	// Size is the gap's length in bytes, at least 1.
	Size int64
	// ID is the [Records.ID] of the field.
	ID int
}
