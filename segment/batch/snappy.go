package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/snappy"
)

// Kafka's snappy is the framing of the snappy-java library (org.xerial.snappy,
// SnappyOutputStream): a header of a magic, a version and the oldest version
// that can read it, then blocks, each a big-endian length and a raw snappy
// block. librdkafka and others send one raw block without any framing, and
// snappy-java reads that as well.
const (
	xerialMagic     = "\x82SNAPPY\x00"
	xerialHeader    = xerialMagic + "\x00\x00\x00\x01\x00\x00\x00\x01"
	xerialBlockSize = 32 << 10

	// maxSnappyRatio bounds what a raw block can become: no element of the
	// format gives more than 64 bytes for 3.
	maxSnappyRatio = 22
	// keptBlock is the largest block in bytes that a decoder keeps for reuse.
	keptBlock = 256 << 10
)

// A snappyReader decodes both forms, a block at a time.
type snappyReader struct {
	rest   []byte
	framed bool
	block  []byte
}

func (s *snappyReader) reset(payload []byte) {
	s.rest = payload
	s.framed = len(payload) >= len(xerialHeader) && string(payload[:len(xerialMagic)]) == xerialMagic
}

func (s *snappyReader) release() {
	s.rest = nil
	if cap(s.block) > keptBlock {
		s.block = nil
	}
}

// next decodes the next block that is not empty, of at most left bytes.
func (s *snappyReader) next(left int64) ([]byte, error) {
	for len(s.rest) > 0 {
		raw, err := s.cut()
		if err != nil {
			return nil, err
		}
		n, err := snappy.DecodedLen(raw)
		if err != nil {
			return nil, err
		}
		if int64(n) > maxSnappyRatio*int64(len(raw)) {
			return nil, fmt.Errorf("a block of %d bytes claims to hold %d", len(raw), n)
		}
		if int64(n) > left {
			return nil, ErrBudget
		}
		if s.block, err = snappy.DecodeStrict(s.block[:cap(s.block)], raw); err != nil {
			return nil, err
		}
		if n > 0 {
			return s.block, nil
		}
	}
	return nil, io.EOF
}

// cut takes the next raw block off the rest. Streams may follow one another,
// each with its header.
func (s *snappyReader) cut() (raw []byte, err error) {
	if !s.framed {
		raw, s.rest = s.rest, nil
		return raw, nil
	}
	for bytes.HasPrefix(s.rest, []byte(xerialMagic)) {
		if len(s.rest) < len(xerialHeader) {
			return nil, errors.New("its header is cut short")
		}
		s.rest = s.rest[len(xerialHeader):]
	}
	if len(s.rest) == 0 {
		return nil, io.EOF
	}
	if len(s.rest) < 4 {
		return nil, errors.New("a block's length is cut short")
	}
	n := binary.BigEndian.Uint32(s.rest)
	if int64(n) > int64(len(s.rest)-4) {
		return nil, fmt.Errorf("a block claims %d bytes, but %d are left", n, len(s.rest)-4)
	}
	raw, s.rest = s.rest[4:4+n], s.rest[4+n:]
	return raw, nil
}

// appendSnappy frames src as snappy-java does.
func appendSnappy(dst, src []byte) []byte {
	dst = append(dst, xerialHeader...)
	for block := range slices.Chunk(src, xerialBlockSize) {
		dst = slices.Grow(dst, 4+snappy.MaxEncodedLen(len(block)))
		at := len(dst) + 4
		n := len(snappy.Encode(dst[at:cap(dst)], block))
		dst = binary.BigEndian.AppendUint32(dst, uint32(n))[:at+n]
	}
	return dst
}
