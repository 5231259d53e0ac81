package wire

import (
	"encoding/base64"
	"fmt"
)

// UUID is a topic's, directory's or member's id: 16 bytes, most significant
// first. Its text form is Kafka's: base64url without padding, 22 characters.
type UUID [16]byte

// ParseUUID reads Kafka's text form of a UUID.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != base64.RawURLEncoding.EncodedLen(len(u)) {
		return UUID{}, fmt.Errorf("UUID %.40q: %d characters instead of %d of base64url",
			s, len(s), base64.RawURLEncoding.EncodedLen(len(u)))
	}
	if _, err := base64.RawURLEncoding.Decode(u[:], []byte(s)); err != nil {
		return UUID{}, fmt.Errorf("UUID %q: %w", s, err)
	}
	return u, nil
}

// String returns Kafka's text form.
func (u UUID) String() string { return base64.RawURLEncoding.EncodeToString(u[:]) }

// IsZero reports whether u is all zeros, which stands for "no id".
func (u UUID) IsZero() bool { return u == UUID{} }
