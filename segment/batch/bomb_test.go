package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"runtime"
	"testing"

	"github.com/klauspost/compress/snappy"
)

// zstdBlocks is a zstd frame of RLE blocks: four bytes for 128 KiB of zeros each.
func zstdBlocks(header string, blocks int) []byte {
	p := []byte("\x28\xb5\x2f\xfd" + header)
	for i := range blocks {
		block := uint32(128<<10)<<3 | 1<<1
		if i == blocks-1 {
			block |= 1
		}
		p = append(p, byte(block), byte(block>>8), byte(block>>16), 0)
	}
	return p
}

// claims are a few bytes that say they hold very much.
func claims() map[string]Batch {
	return map[string]Batch{
		"snappy, 4 GiB":                 raw(Snappy, 1, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0x00}),
		"zstd, window of 3.75 TB":       raw(Zstd, 1, zstdBlocks("\x00\xff", 1)),
		"zstd, one segment of 60 GB":    raw(Zstd, 1, zstdBlocks("\xe0"+string(binary.LittleEndian.AppendUint64(nil, 60e9)), 1)),
		"zstd, one segment of 16 MiB":   raw(Zstd, 1, zstdBlocks("\xa0\x00\x00\x00\x01", 1)),
		"zstd, content size of 1<<63-1": raw(Zstd, 1, zstdBlocks("\xc0\x58\xff\xff\xff\xff\xff\xff\xff\x7f", 4)),
	}
}

// bombs are small payloads that do hold very much.
func bombs() map[string]Batch {
	zeros := make([]byte, 16<<20)
	return map[string]Batch{
		"gzip, 16 MiB":                raw(Gzip, 1, compress(nil, zeros, Gzip, 1)),
		"lz4, 16 MiB":                 raw(LZ4, 1, compress(nil, zeros, LZ4, 0)),
		"snappy, 16 MiB":              raw(Snappy, 1, compress(nil, zeros, Snappy, 0)),
		"snappy, 16 MiB raw":          raw(Snappy, 1, snappy.Encode(nil, zeros)),
		"zstd, 16 MiB":                raw(Zstd, 1, compress(nil, zeros, Zstd, 1)),
		"zstd, 512 MiB of RLE":        raw(Zstd, 1, zstdBlocks("\x00\x58", 4096)),
		"zstd, the same, wide window": raw(Zstd, 1, zstdBlocks("\x00\x88", 4096)),
		"zstd, one segment of 64 MiB": raw(Zstd, 1, zstdBlocks("\xa0\x00\x00\x00\x04", 512)),
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestBombs: what a payload claims sizes nothing, and what it is stops at the
// budget. The bound leaves room for a fresh decoder with its window.
func TestBombs(t *testing.T) {
	const budget, bound = 1 << 20, 12 << 20
	all := bombs()
	maps.Copy(all, claims())
	for name, b := range all {
		t.Run(name, func(t *testing.T) {
			if len(b) > 1<<20 {
				t.Fatalf("%d bytes are no bomb", len(b))
			}
			if err := b.Check(); err != nil {
				t.Fatal(err)
			}
			var err error
			if n := allocated(func() { err = b.Validate(Rules{MaxDecompressed: budget}) }); n > bound {
				t.Errorf("Validate allocated %d bytes", n)
			}
			if !errors.Is(err, ErrBudget) && !errors.Is(err, ErrInvalid) {
				t.Errorf("Validate: %v", err)
			}
			if n := allocated(func() { _, err = b.Plain(budget) }); n > bound {
				t.Errorf("Plain allocated %d bytes", n)
			}
			if !errors.Is(err, ErrBudget) && !errors.Is(err, ErrInvalid) {
				t.Errorf("Plain: %v", err)
			}
		})
	}
}

// TestValidateHoldsChunksOnly: a payload that is much larger than what may be
// held at once, and within its budget, passes.
func TestValidateHoldsChunksOnly(t *testing.T) {
	s := Of(Record{Value: bytes.Repeat([]byte("0123456789abcdef"), 2<<20)})
	for _, codec := range codecs()[1:] {
		s.Codec = codec
		b := s.Bytes()
		var err error
		n := allocated(func() { err = b.Validate(Rules{}) })
		if err != nil {
			t.Errorf("%v: %v", codec, err)
		}
		if n > 12<<20 {
			t.Errorf("%v: allocated %d bytes to look at %d", codec, n, len(s.Records[0].Value))
		}
	}
}

func TestBudgetIsExact(t *testing.T) {
	size := int64(len(Of(samples()...).Bytes()) - HeaderSize)
	for _, codec := range codecs()[1:] {
		s := Of(samples()...)
		s.Codec = codec
		b := s.Bytes()
		if err := b.Validate(Rules{MaxDecompressed: size}); err != nil {
			t.Errorf("%v at its budget: %v", codec, err)
		}
		if err := b.Validate(Rules{MaxDecompressed: size - 1}); !errors.Is(err, ErrBudget) {
			t.Errorf("%v one over its budget: %v", codec, err)
		}
	}
}
