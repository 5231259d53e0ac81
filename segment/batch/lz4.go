package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/pierrec/lz4/v4"
)

// The parts of an LZ4 frame that are not left to its decoder. Numbers are
// little-endian. Format: github.com/lz4/lz4, doc/lz4_Frame_format.md.
const (
	lz4Magic            = 0x184D2204
	lz4Independent      = 0x20 // flags, in the fifth byte
	lz4BlockChecksums   = 0x10
	lz4ContentSize      = 0x08
	lz4ContentChecksum  = 0x04
	lz4Dictionary       = 0x01
	lz4ShortestHeader   = 7
	lz4ContentSizeBytes = 8
)

// checkLZ4 refuses what the decoder could read and Kafka's Java consumer could
// not: frames that are legacy or skippable, that need a dictionary, or whose
// blocks depend on each other, and anything behind the first frame.
func checkLZ4(payload []byte) error {
	if len(payload) < lz4ShortestHeader || binary.LittleEndian.Uint32(payload) != lz4Magic {
		return errors.New("no LZ4 frame")
	}
	flags := payload[4]
	if flags&lz4Independent == 0 || flags&lz4Dictionary != 0 {
		return errors.New("blocks of the LZ4 frame do not stand alone")
	}
	pos, perBlock := int64(lz4ShortestHeader), int64(4)
	if flags&lz4ContentSize != 0 {
		pos += lz4ContentSizeBytes
	}
	if flags&lz4BlockChecksums != 0 {
		perBlock += 4
	}
	for pos+4 <= int64(len(payload)) {
		n := binary.LittleEndian.Uint32(payload[pos:])
		if n != 0 {
			pos += perBlock + int64(n&^lz4Stored)
			continue
		}
		pos += 4
		if flags&lz4ContentChecksum != 0 {
			pos += 4
		}
		if pos < int64(len(payload)) {
			return fmt.Errorf("%d bytes follow the LZ4 frame", int64(len(payload))-pos)
		}
		return nil
	}
	return errors.New("the LZ4 frame has no end")
}

// The one LZ4 frame header that Kafka's Lz4BlockOutputStream writes: version 1,
// independent blocks of at most 64 KiB, no checksums, no content size; its last
// byte is the header's own checksum.
const (
	lz4Header      = "\x04\x22\x4d\x18\x60\x40\x82"
	lz4BlockSize   = 64 << 10
	lz4Stored      = 1 << 31 // in a block's length: not compressed
	lz4KafkaLevel  = 9       // Kafka's default, for which it uses the fast compressor
	lz4FirstLevel  = 8       // lz4.Level1 is 1<<9, Level2 1<<10 …
	lz4BestHCLevel = 9
)

func (d *deflater) appendLZ4(dst, plain []byte, level int) []byte {
	encode := d.lz4.CompressBlock
	if level != 0 && level != lz4KafkaLevel {
		if d.hc == nil {
			d.hc = new(lz4.CompressorHC)
		}
		d.hc.Level = 1 << (lz4FirstLevel + min(max(level, 1), lz4BestHCLevel))
		encode = d.hc.CompressBlock
	}
	dst = append(dst, lz4Header...)
	for block := range slices.Chunk(plain, lz4BlockSize) {
		dst = slices.Grow(dst, 4+lz4.CompressBlockBound(len(block)))
		at := len(dst) + 4
		n, err := encode(block, dst[at:cap(dst)])
		if err != nil || n == 0 || n >= len(block) {
			n = copy(dst[at:cap(dst)], block)
			dst = binary.LittleEndian.AppendUint32(dst, uint32(n)|lz4Stored)[:at+n]
			continue
		}
		dst = binary.LittleEndian.AppendUint32(dst, uint32(n))[:at+n]
	}
	return binary.LittleEndian.AppendUint32(dst, 0)
}
