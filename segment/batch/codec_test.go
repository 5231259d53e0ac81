package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

func TestCodecNames(t *testing.T) {
	for _, c := range codecs() {
		if got, err := ParseCodec(c.String()); got != c || err != nil || !c.Known() {
			t.Errorf("%v parses as %v, %v", c, got, err)
		}
	}
	if got, err := ParseCodec("uncompressed"); got != None || err != nil {
		t.Errorf("uncompressed parses as %v, %v", got, err)
	}
	for _, name := range []string{"", "GZIP", "brotli", "producer"} {
		if _, err := ParseCodec(name); !errors.Is(err, ErrCodec) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if Codec(7).Known() || Codec(7).String() != "codec(7)" {
		t.Errorf("codec 7 is %v", Codec(7))
	}
}

// javaSpec is what is in testdata/java-*.batch, as Kafka 4.4's
// MemoryRecordsBuilder wrote them: a transactional batch of producer 4711 in
// epoch 3, from sequence 2147483646 on, of leader epoch 9.
func javaSpec() Spec {
	s := Of(
		Record{Timestamp: 1700000000000, Key: []byte("k0"), Value: []byte("v0")},
		Record{Timestamp: 1700000000005, Value: []byte(strings.Repeat("abc", 30_000))},
		Record{Timestamp: 1699999999990, Key: []byte{}, Headers: []Header{{"h", []byte("x")}, {"", nil}, {"ü", []byte{}}}},
		Record{Timestamp: NoTimestamp, Key: []byte("k3"), Value: []byte{}},
	)
	s.ProducerID, s.ProducerEpoch, s.BaseSequence, s.Transactional, s.LeaderEpoch = 4711, 3, 2147483646, true, 9
	return s
}

func TestJavaClientsBatches(t *testing.T) {
	for name, codec := range map[string]Codec{"gzip": Gzip, "snappy": Snappy, "lz4": LZ4, "zstd": Zstd, "zstd22": Zstd} {
		t.Run(name, func(t *testing.T) {
			p, err := os.ReadFile("testdata/java-" + name + ".batch")
			if err != nil {
				t.Fatal(err)
			}
			b := Batch(p)
			if err := b.Check(); err != nil {
				t.Fatal(err)
			}
			if err := b.Validate(Rules{}); err != nil {
				t.Fatal(err)
			}
			sameRecords(t, collect(t, b), javaSpec().Records)
			plain, err := Recompress(b, None, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			if want := javaSpec().Bytes(); b.Codec() != codec || !bytes.Equal(plain, want) {
				t.Errorf("%v, and its plain form differs from ours", b.Codec())
			}
		})
	}
}

func TestWireForms(t *testing.T) {
	plain := bytes.Repeat([]byte("0123456789abcdef"), 6<<10) // 96 KiB: 3 snappy blocks, 2 of lz4
	for codec, head := range map[Codec]string{
		Gzip:   "1f8b08",
		Snappy: "82534e41505059000000000100000001", // then a block's length
		LZ4:    "04224d18604082",
		Zstd:   "28b52ffd",
	} {
		p := compress(nil, plain, codec, 0)
		if !bytes.HasPrefix(p, unhex(t, head)) || len(p) > len(plain)/10 {
			t.Errorf("%v: %d bytes, % x…", codec, len(p), p[:20])
		}
	}
	if p := compress(nil, plain, Snappy, 0)[16:]; len(p) > 0 {
		n := binary.BigEndian.Uint32(p)
		if l, err := snappy.DecodedLen(p[4 : 4+n]); l != xerialBlockSize || err != nil {
			t.Errorf("the first snappy block holds %d, %v", l, err)
		}
	}
	p := compress(nil, plain, LZ4, 0)
	if !bytes.HasSuffix(p, make([]byte, 4)) {
		t.Error("the LZ4 frame has no end mark")
	}
}

// TestLevels takes every level that Kafka's configs allow, and some they do not.
func TestLevels(t *testing.T) {
	random := make([]byte, 100<<10) // does not compress: stored blocks
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(random)
	for _, plain := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("abcd"), 50<<10), random} {
		for _, codec := range codecs() {
			for _, level := range []int{-131072, -1, 0, 1, 3, 6, 8, 9, 10, 12, 17, 19, 22, 1000} {
				p := compress([]byte("head"), plain, codec, level)
				got, err := raw(codec, 1, p[4:]).Plain(0)
				if err != nil || !bytes.Equal(got, plain) || string(p[:4]) != "head" {
					t.Errorf("%v level %d of %d bytes: %d back, %v", codec, level, len(plain), len(got), err)
				}
			}
		}
	}
}

func TestRecompress(t *testing.T) {
	want := javaSpec()
	for _, from := range codecs() {
		for _, to := range codecs() {
			s := want
			s.Codec = from
			b, err := Recompress(s.Bytes(), to, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			s.Codec = to
			if !bytes.Equal(b, s.Bytes()) {
				t.Errorf("%v to %v differs from what is built as %v", from, to, to)
			}
		}
	}
	if _, err := Recompress(want.Bytes(), 6, 0, 0); !errors.Is(err, ErrCodec) {
		t.Errorf("to codec 6: %v", err)
	}
	want.Codec = Zstd
	if _, err := Recompress(want.Bytes(), LZ4, 0, 1000); !errors.Is(err, ErrBudget) || !strings.Contains(err.Error(), "more than 1000 bytes") {
		t.Errorf("over its budget: %v", err)
	}
}

// TestOtherClientsForms reads what clients other than Java's write.
func TestOtherClientsForms(t *testing.T) {
	plain := Of(samples()...).Bytes().Payload()
	half := len(plain) / 2
	join := func(codec Codec) []byte { // two streams, one after the other
		return compress(compress(nil, plain[:half], codec, 0), plain[half:], codec, 0)
	}
	lz4Frame := func(options ...lz4.Option) []byte {
		var buf bytes.Buffer
		w := lz4.NewWriter(&buf)
		if err := w.Apply(options...); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(plain)
		_ = w.Close()
		return buf.Bytes()
	}
	zstdStream := func(options ...zstd.EOption) []byte { // of unknown size
		var buf bytes.Buffer
		w, err := zstd.NewWriter(&buf, options...)
		if err != nil {
			t.Fatal(err)
		}
		for chunk := plain; len(chunk) > 0; chunk = chunk[min(1000, len(chunk)):] {
			_, _ = w.Write(chunk[:min(1000, len(chunk))])
		}
		_ = w.Close()
		return buf.Bytes()
	}
	for _, c := range []struct {
		name    string
		codec   Codec
		payload []byte
	}{
		{"snappy, one raw block (librdkafka)", Snappy, snappy.Encode(nil, plain)},
		{"snappy, two streams", Snappy, join(Snappy)},
		{"gzip, two members", Gzip, join(Gzip)},
		{"zstd, two frames", Zstd, join(Zstd)},
		{"zstd, stream with checksum", Zstd, zstdStream()},
		{"zstd, window of 8 MiB", Zstd, zstdStream(zstd.WithWindowSize(8 << 20))},
		{"zstd, window of 64 MiB", Zstd, zstdStream(zstd.WithWindowSize(64 << 20))},
		{"lz4, blocks of 4 MiB, checksums (sarama)", LZ4, lz4Frame(lz4.BlockSizeOption(lz4.Block4Mb), lz4.BlockChecksumOption(true))},
		{"lz4, all checksums and the content size", LZ4, lz4Frame(lz4.BlockChecksumOption(true), lz4.ChecksumOption(true), lz4.SizeOption(uint64(len(plain))))},
		{"lz4, content size", LZ4, lz4Frame(lz4.SizeOption(uint64(len(plain))))},
	} {
		b := raw(c.codec, int32(len(samples())), c.payload)
		if err := b.Validate(Rules{}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got, err := b.Plain(0); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %d bytes of %d, %v", c.name, len(got), len(plain), err)
		}
	}
}

func TestBrokenPayloads(t *testing.T) {
	plain := Of(samples()...).Bytes().Payload()
	framed := compress(nil, plain, LZ4, 0)
	flag := func(p []byte, pos int, b byte) []byte {
		p = bytes.Clone(p)
		p[pos] ^= b
		return p
	}
	for _, c := range []struct {
		name    string
		codec   Codec
		payload []byte
	}{
		{"gzip, checksum", Gzip, flag(compress(nil, plain, Gzip, 0), len(compress(nil, plain, Gzip, 0))-8, 1)},
		{"gzip, garbage behind", Gzip, append(compress(nil, plain, Gzip, 0), 1, 2, 3)},
		{"lz4, header checksum", LZ4, flag(framed, 6, 1)},
		{"lz4, dependent blocks", LZ4, flag(framed, 4, 0x20)},
		{"lz4, a second frame", LZ4, append(compress(nil, nil, LZ4, 0), framed...)},
		{"lz4, garbage behind", LZ4, append(bytes.Clone(framed), 1)},
		{"lz4, legacy frame", LZ4, append([]byte{0x02, 0x21, 0x4c, 0x18}, framed[7:]...)},
		{"lz4, skippable frame first", LZ4, append([]byte{0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}, framed...)},
		{"snappy, header only", Snappy, []byte(xerialHeader)},
		{"snappy, block length", Snappy, append([]byte(xerialHeader), 0xff, 0xff, 0xff, 0xff)},
		{"snappy, six bytes for 4 GiB", Snappy, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0x00}},
		{"zstd, magic", Zstd, []byte("garbage!")},
	} {
		b := raw(c.codec, int32(len(samples())), c.payload)
		if err := b.Validate(Rules{}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := last(b); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: Records: %v", c.name, err)
		}
	}
	for _, codec := range codecs()[1:] {
		whole := compress(nil, plain, codec, 0)
		for cut := range len(whole) {
			if cut > 100 && cut < len(whole)-100 && cut%997 != 0 {
				continue
			}
			b := raw(codec, int32(len(samples())), whole[:cut])
			if err := b.Validate(Rules{}); !errors.Is(err, ErrInvalid) {
				t.Fatalf("%v cut at %d of %d: %v", codec, cut, len(whole), err)
			}
		}
	}
}
