package batch

import "fmt"

// Codec is how a batch's payload is compressed, numbered as in the attributes.
type Codec int8

// The codecs of message format 2.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

// codecNames are the names that compression.type uses, indexed by Codec.
func codecNames() [5]string { return [...]string{"none", "gzip", "snappy", "lz4", "zstd"} }

// Known tells whether c is one of the codecs above.
func (c Codec) Known() bool { return c >= None && c <= Zstd }

// String returns the name that compression.type uses, or "codec(7)".
func (c Codec) String() string {
	if !c.Known() {
		return fmt.Sprintf("codec(%d)", int8(c))
	}
	return codecNames()[c]
}

// ParseCodec is the inverse of [Codec.String], with "uncompressed" as another
// name for "none", as in Kafka's topic configs. Its error wraps [ErrCodec].
func ParseCodec(name string) (Codec, error) {
	if name == "uncompressed" {
		return None, nil
	}
	for c, n := range codecNames() {
		if n == name {
			return Codec(c), nil
		}
	}
	return None, fmt.Errorf("%w %q: want none, gzip, snappy, lz4 or zstd", ErrCodec, name)
}
