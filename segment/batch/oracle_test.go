package batch

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kgoCodecs are franz-go's names for ours, in the same order.
func kgoCodecs() []kgo.CompressionCodec {
	return []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
}

// randomSpec makes a batch of every kind of field, with numbers of every length.
func randomSpec(rng *rand.Rand) Spec {
	number := func() int64 { return int64(rng.Uint64() >> rng.UintN(64)) }
	text := func() []byte {
		switch rng.UintN(6) {
		case 0:
			return nil
		case 1:
			return []byte{}
		}
		return []byte(strings.Repeat("some text ", rng.IntN(200)))
	}
	s := Spec{
		BaseOffset: number() / 2, LeaderEpoch: rng.Int32(), ProducerID: number(), ProducerEpoch: int16(rng.UintN(1 << 15)),
		BaseSequence: rng.Int32(), Transactional: rng.UintN(2) == 0, Control: rng.UintN(2) == 0,
	}
	base := number() / 4
	for range rng.IntN(300) {
		r := Record{Timestamp: base + number()/4 - number()/4, Key: text(), Value: text(), Attributes: int8(rng.UintN(256))}
		for range rng.IntN(4) * rng.IntN(2) {
			r.Headers = append(r.Headers, Header{Key: string(text()), Value: text()})
		}
		s.Records = append(s.Records, r)
	}
	return s
}

// TestKmsgReadsWhatWeWrite has franz-go decode our batches.
func TestKmsgReadsWhatWeWrite(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	unpack := kgo.DefaultDecompressor()
	for i := range 100 {
		s := randomSpec(rng)
		s.Codec = Codec(i % 5)
		b := s.Bytes()
		var k kmsg.RecordBatch
		if err := k.ReadFrom(b); err != nil {
			t.Fatal(err)
		}
		if k.FirstOffset != s.BaseOffset || k.PartitionLeaderEpoch != s.LeaderEpoch || k.ProducerID != s.ProducerID ||
			k.ProducerEpoch != s.ProducerEpoch || k.FirstSequence != s.BaseSequence || int(k.NumRecords) != len(s.Records) ||
			k.Attributes != int16(b.Attributes()) || uint32(k.CRC) != b.CRC() || int64(k.Length)+12 != b.Size() ||
			k.LastOffsetDelta != b.LastOffsetDelta() || k.FirstTimestamp != b.BaseTimestamp() || k.MaxTimestamp != b.MaxTimestamp() {
			t.Fatalf("kmsg reads %+v out of %+v", k, s)
		}
		plain, err := unpack.Decompress(k.Records, kgo.CompressionCodecType(s.Codec))
		if err != nil {
			t.Fatal(err)
		}
		for j, want := range s.Records {
			var r kmsg.Record
			if err := r.ReadFrom(plain); err != nil {
				t.Fatal(err)
			}
			got := Record{Timestamp: k.FirstTimestamp + r.TimestampDelta64, Key: r.Key, Value: r.Value, Attributes: r.Attributes}
			for _, h := range r.Headers {
				got.Headers = append(got.Headers, Header{h.Key, h.Value})
			}
			if int(r.OffsetDelta) != j {
				t.Fatalf("record %d has offset delta %d", j, r.OffsetDelta)
			}
			sameRecords(t, []Record{got}, []Record{want})
			plain = plain[varintLen(int64(r.Length))+int(r.Length):]
		}
		if len(plain) > 0 {
			t.Fatalf("%d bytes are left", len(plain))
		}
	}
}

// TestWeReadWhatKmsgWrites has franz-go build and compress batches.
func TestWeReadWhatKmsgWrites(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var packers []kgo.Compressor
	for _, c := range kgoCodecs() {
		pack, err := kgo.DefaultCompressor(c)
		if err != nil {
			t.Fatal(err)
		}
		packers = append(packers, pack)
	}
	for i := range 100 {
		s := randomSpec(rng)
		if len(s.Records) == 0 {
			continue
		}
		s.Codec, s.Control, s.BaseOffset = Codec(i%5), false, 0
		var plain []byte
		for j, r := range s.Records {
			k := kmsg.Record{Attributes: r.Attributes, TimestampDelta64: r.Timestamp - s.Records[0].Timestamp, OffsetDelta: int32(j), Key: r.Key, Value: r.Value}
			for _, h := range r.Headers {
				k.Headers = append(k.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
			}
			k.Length = int32(len(k.AppendTo(nil)) - 1) // without the length, one byte for 0
			plain = k.AppendTo(plain)
		}
		b := s.Bytes()
		var k kmsg.RecordBatch
		if err := k.ReadFrom(b); err != nil {
			t.Fatal(err)
		}
		k.Records = plain
		if s.Codec != None {
			k.Records, _ = packers[s.Codec].Compress(new(bytes.Buffer), plain)
		}
		k.Length = int32(HeaderSize - PeekLen + len(k.Records))
		theirs := Batch(k.AppendTo(nil))
		theirs.seal()
		if err := theirs.Check(); err != nil {
			t.Fatal(err)
		}
		if err := theirs.Validate(Rules{}); err != nil {
			t.Fatalf("%v: %v", s.Codec, err)
		}
		sameRecords(t, collect(t, theirs), s.Records)
		ours, err := b.Plain(0)
		if err != nil || !bytes.Equal(ours, plain) {
			t.Fatalf("the same records are other bytes: %v", err)
		}
	}
}

func TestVarintLen(t *testing.T) {
	for _, v := range []int64{0, 1, -1, 63, 64, -64, -65, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		r := Record{Timestamp: v}
		c := cursor{buf: r.append(nil, 0, 0)}
		if h := c.next(); c.err != nil || h.timestampDelta != v {
			t.Errorf("%d comes back as %d, %v", v, h.timestampDelta, c.err)
		}
	}
}
