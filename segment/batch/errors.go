package batch

import (
	"errors"
	"fmt"
)

// What can be wrong with a batch. Every error of this package wraps one of
// these and says where and why; the Kafka error in brackets is what a producer
// should get.
var (
	// ErrCorrupt: the bytes are not what was written: framing or CRC
	// (CORRUPT_MESSAGE, which producers retry).
	ErrCorrupt = errors.New("batch: corrupt")
	// ErrTruncated is an ErrCorrupt whose bytes end inside a batch: the torn
	// tail of a log, or the last batch of a fetch that was cut by its limit.
	ErrTruncated = fmt.Errorf("%w: truncated", ErrCorrupt)
	// ErrMagic: a message format other than 2 (INVALID_RECORD; Kafka 4 reads
	// no other either).
	ErrMagic = errors.New("batch: unsupported magic")
	// ErrInvalid: whole, but its content breaks a rule (INVALID_RECORD, which
	// producers do not retry). A payload that does not decompress is of this
	// kind: its CRC was right, so sending it again would not help.
	ErrInvalid = errors.New("batch: invalid")
	// ErrTimestamp: a record's time is out of bounds, or the producer claims
	// the append time (INVALID_TIMESTAMP).
	ErrTimestamp = errors.New("batch: invalid timestamp")
	// ErrCodec: the attributes name a compression that does not exist
	// (UNSUPPORTED_COMPRESSION_TYPE).
	ErrCodec = errors.New("batch: unknown compression")
	// ErrBudget: the payload decompresses to more than the caller allows
	// (MESSAGE_TOO_LARGE, on which Java producers split the batch).
	ErrBudget = errors.New("batch: decompresses to too much")
)

// RecordError is the error of one record of a batch. Produce responses name the
// record by Index.
type RecordError struct {
	Index int32  // of the record in its batch, from 0
	Why   string // for people
	Err   error  // one of the package's sentinels
}

// Error says which record and why.
func (e *RecordError) Error() string { return fmt.Sprintf("%v: record %d: %s", e.Err, e.Index, e.Why) }

// Unwrap returns Err.
func (e *RecordError) Unwrap() error { return e.Err }

// recordErrorsMax bounds how many records of one batch are blamed one by one: a
// batch may hold a hundred times as many, and each costs the answer some 60 bytes.
const recordErrorsMax = 1000

// RecordErrors are those of the records that break a topic's rules, at least two
// and at most recordErrorsMax of them, in the order of the batch.
type RecordErrors []*RecordError

// Error says what is wrong with the first and how many there are.
func (e RecordErrors) Error() string {
	return fmt.Sprintf("%v, and %d more records like it", e[0], len(e)-1)
}

// Unwrap returns one error for all: [ErrTimestamp] if that is one of them, as in
// Kafka, else the first one's.
func (e RecordErrors) Unwrap() error {
	for _, r := range e {
		if errors.Is(r, ErrTimestamp) {
			return ErrTimestamp
		}
	}
	return e[0].Err
}
