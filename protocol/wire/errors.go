package wire

import (
	"errors"
	"fmt"
)

var (
	// ErrMalformed is wrapped by every [DecodeError]: the bytes aren't the
	// message they claim to be, or more than the limits allow.
	ErrMalformed = errors.New("malformed message")
	// ErrUnsupportedVersion is wrapped by every [VersionError].
	ErrUnsupportedVersion = errors.New("unsupported version")
	// ErrUnencodable is wrapped by every [EncodeError]: the message holds
	// something that its version can't express.
	ErrUnencodable = errors.New("message can't be encoded")
)

// DecodeError says where decoding a message stopped and why. It wraps
// [ErrMalformed].
type DecodeError struct {
	// Message is the message's name, as in "ProduceRequest".
	Message string
	// Field is the path of the field within the message, as in
	// "TopicData.PartitionData.Records"; empty for the message as a whole.
	Field string
	// Why is what was wrong with the bytes.
	Why string
}

func (e *DecodeError) Error() string {
	return e.Message + dot(e.Field) + ": " + e.Why
}

// Unwrap returns [ErrMalformed].
func (e *DecodeError) Unwrap() error { return ErrMalformed }

// EncodeError says which field of a message can't be encoded and why. It wraps
// [ErrUnencodable].
type EncodeError struct {
	Message string
	Field   string
	Why     string
}

func (e *EncodeError) Error() string {
	return e.Message + dot(e.Field) + ": " + e.Why
}

// Unwrap returns [ErrUnencodable].
func (e *EncodeError) Unwrap() error { return ErrUnencodable }

// VersionError says that a message was asked for in a version which it doesn't
// have. It wraps [ErrUnsupportedVersion].
type VersionError struct {
	Message string
	Version int16
	// Min and Max are the versions that the codec knows.
	Min, Max int16
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s: version %d isn't supported, only %d to %d", e.Message, e.Version, e.Min, e.Max)
}

// Unwrap returns [ErrUnsupportedVersion].
func (e *VersionError) Unwrap() error { return ErrUnsupportedVersion }

func dot(field string) string {
	if field == "" {
		return ""
	}
	return "." + field
}
