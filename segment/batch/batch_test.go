package batch

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
)

// tiny is a batch derived by hand from the format, of two records; its CRC, and
// then all of its bytes, were confirmed by Kafka 4.4's MemoryRecordsBuilder.
const tiny = "" +
	"0000000000000000" + // base offset
	"00000045" + // length 81-12
	"ffffffff" + // leader epoch -1
	"02" + // magic
	"2cc1743c" + // CRC
	"0000" + // attributes
	"00000001" + // last offset delta
	"00000000000003e8" + // base timestamp 1000
	"0000000000000514" + // max timestamp 1300
	"ffffffffffffffff" + "ffff" + "ffffffff" + // producer: none
	"00000002" + // count
	"10" + "00" + "00" + "00" + "02" + "6b" + "02" + "76" + "00" + // 8 bytes; k, v
	"14" + "00" + "d804" + "02" + "01" + "00" + "02" + "02" + "68" + "01" // +300 ms, 1; null, "", h: null

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	p, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func tinyRecords() []Record {
	return []Record{
		{Timestamp: 1000, Key: []byte("k"), Value: []byte("v")},
		{Timestamp: 1300, Value: []byte{}, Headers: []Header{{Key: "h"}}},
	}
}

func TestKnownAnswer(t *testing.T) {
	want := unhex(t, tiny)
	if got := Of(tinyRecords()...).Bytes(); !bytes.Equal(got, want) {
		t.Fatalf("built\n% x, want\n% x", got, want)
	}
	b := Batch(want)
	if err := b.Check(); err != nil {
		t.Fatal(err)
	}
	sameRecords(t, collect(t, b), tinyRecords())
	if err := b.Validate(Rules{}); err != nil {
		t.Fatal(err)
	}
}

func TestAccessors(t *testing.T) {
	s := Spec{
		BaseOffset: 0x0102030405060708, LeaderEpoch: 0x11121314, Codec: None, TimestampType: LogAppendTime,
		ProducerID: 0x2122232425262728, ProducerEpoch: 0x3132, BaseSequence: math.MaxInt32 - 1,
		Transactional: true, Control: true, BaseTimestamp: 0x41424344, Records: make([]Record, 5),
	}
	s.Records[2].Timestamp = 0x4142434445
	b := s.Bytes()
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"BaseOffset", b.BaseOffset(), s.BaseOffset},
		{"LastOffset", b.LastOffset(), s.BaseOffset + 4},
		{"NextOffset", b.NextOffset(), s.BaseOffset + 5},
		{"Size", b.Size(), int64(len(b))},
		{"LeaderEpoch", b.LeaderEpoch(), s.LeaderEpoch},
		{"Attributes", b.Attributes(), Attributes(0x38)},
		{"Codec", b.Codec(), None},
		{"TimestampType", b.TimestampType(), LogAppendTime},
		{"IsTransactional", b.IsTransactional(), true},
		{"IsControl", b.IsControl(), true},
		{"HasDeleteHorizon", b.HasDeleteHorizon(), false},
		{"BaseTimestamp", b.BaseTimestamp(), s.BaseTimestamp},
		{"MaxTimestamp", b.MaxTimestamp(), s.Records[2].Timestamp},
		{"ProducerID", b.ProducerID(), s.ProducerID},
		{"ProducerEpoch", b.ProducerEpoch(), s.ProducerEpoch},
		{"BaseSequence", b.BaseSequence(), s.BaseSequence},
		{"LastSequence", b.LastSequence(), int32(2)}, // MaxInt32-1, MaxInt32, 0, 1, 2
		{"Count", b.Count(), int32(5)},
		{"CRC", b.CRC(), binary.BigEndian.Uint32(b[17:])},
		{"Payload", len(b.Payload()), len(b) - 61},
	} {
		if c.got != c.want {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
	if got := Of(tinyRecords()...).Bytes().LastSequence(); got != NoSequence {
		t.Errorf("without a producer LastSequence is %d", got)
	}
	for i, r := range collect(t, b) {
		if r.Timestamp != b.MaxTimestamp() {
			t.Errorf("record %d of an append-time batch is at %d", i, r.Timestamp)
		}
	}
}

func TestStamp(t *testing.T) {
	b := Of(tinyRecords()...).Bytes()
	crc := b.CRC()
	b.Stamp(1<<40, 7)
	if err := b.Check(); err != nil || b.CRC() != crc {
		t.Fatalf("stamping touched the CRC: %v", err)
	}
	if b.BaseOffset() != 1<<40 || b.LeaderEpoch() != 7 {
		t.Fatalf("stamped %d, %d", b.BaseOffset(), b.LeaderEpoch())
	}
}

func TestStampTimes(t *testing.T) {
	b := Of(tinyRecords()...).Bytes()
	crc := b.CRC()
	b.StampMaxTimestamp(1300)
	if b.CRC() != crc {
		t.Error("a max timestamp that was right is written again")
	}
	b.StampAppendTime(5000)
	if err := b.Check(); err != nil || b.TimestampType() != LogAppendTime || b.MaxTimestamp() != 5000 {
		t.Errorf("append time: %v, %v, %d", err, b.TimestampType(), b.MaxTimestamp())
	}
	b.StampMaxTimestamp(1300)
	if err := b.Check(); err != nil || b.TimestampType() != CreateTime || b.CRC() != crc {
		t.Errorf("back to create time: %v, %v, %x", err, b.TimestampType(), b.CRC())
	}
}

// patched is tiny with the bytes at pos replaced, and its CRC made right again
// if the change is behind it.
func patched(t testing.TB, pos int, with string) Batch {
	t.Helper()
	b := Batch(unhex(t, tiny))
	copy(b[pos:], unhex(t, with))
	if pos > posCRC {
		b.seal()
	}
	return b
}

func TestCheck(t *testing.T) {
	whole := unhex(t, tiny)
	for _, c := range []struct {
		name string
		b    Batch
		want error
		text string
	}{
		{"good", whole, nil, ""},
		{"empty", nil, ErrTruncated, "0 bytes"},
		{"inside the length", whole[:11], ErrTruncated, "11 bytes"},
		{"one byte short", whole[:80], ErrCorrupt, "81 bytes, but it has 80"},
		{"one byte more", append(Batch(whole), 0), ErrCorrupt, "81 bytes, but it has 82"},
		{"negative length", patched(t, posLength, "ffffffff"), ErrCorrupt, "says 11 bytes"},
		{"length below a header", patched(t, posLength, "00000030"), ErrCorrupt, "says 60 bytes, the least is 61"},
		{"magic 1", patched(t, posMagic, "01"), ErrMagic, "magic 1"},
		{"magic -1", patched(t, posMagic, "ff"), ErrMagic, "magic -1"},
		{"CRC", patched(t, posCRC, "00000000"), ErrCorrupt, "CRC is 00000000, but its bytes give 2cc1743c"},
		{"base offset is outside the CRC", patched(t, posBaseOffset, "0000000000ffffff"), nil, ""},
		{"leader epoch is outside the CRC", patched(t, posLeaderEpoch, "00000009"), nil, ""},
		{"compacted to nothing", patched(t, posCount, "00000000"), nil, ""},
		{"negative count", patched(t, posCount, "ffffffff"), ErrInvalid, "-1 records"},
		{"more records than offsets", patched(t, posCount, "00000003"), ErrInvalid, "3 records"},
		{"negative delta", patched(t, posLastOffsetDelta, "ffffffff"), ErrInvalid, "delta of -1"},
		{"offset overflow", patched(t, posBaseOffset, "7fffffffffffffff"), ErrInvalid, "no room"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.b.Check()
			if !errors.Is(err, c.want) || c.want != nil && !strings.Contains(err.Error(), c.text) {
				t.Fatalf("%v, want %v with %q", err, c.want, c.text)
			}
		})
	}
}

func TestEveryFlippedBitIsSeen(t *testing.T) {
	whole := unhex(t, tiny)
	for bit := posLength * 8; bit < len(whole)*8; bit++ {
		if bit/8 >= posLeaderEpoch && bit/8 < posMagic {
			continue // the broker's own, outside the CRC
		}
		b := Batch(bytes.Clone(whole))
		b[bit/8] ^= 1 << (bit % 8)
		if b.Check() == nil {
			t.Fatalf("bit %d of byte %d flipped: still good", bit%8, bit/8)
		}
	}
}

func TestPeekSize(t *testing.T) {
	whole := unhex(t, tiny)
	old := unhex(t, "0000000000000000"+"0000000e"+"00000000"+"00"+"00") // magic 0, 14 bytes
	for _, c := range []struct {
		name   string
		header []byte
		want   int64
		err    error
	}{
		{"12 bytes", whole[:12], 81, nil},
		{"17 bytes", whole[:17], 81, nil},
		{"all", whole, 81, nil},
		{"11 bytes", whole[:11], 0, ErrTruncated},
		{"largest", unhex(t, "00000000000000007fffffff"), MaxSize, nil},
		{"negative", unhex(t, "000000000000000080000000"), 0, ErrCorrupt},
		{"old message by its magic", old, 0, ErrMagic},
		{"old message by its size", old[:12], 0, ErrCorrupt},
	} {
		if got, err := PeekSize(c.header); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %d, %v, want %d, %v", c.name, got, err, c.want, c.err)
		}
	}
}

func TestNext(t *testing.T) {
	whole := unhex(t, tiny)
	buf := append(append([]byte{}, whole...), whole[:50]...)
	b, rest, err := Next(buf)
	if err != nil || !bytes.Equal(b, whole) || len(rest) != 50 {
		t.Fatalf("%d bytes, rest %d, %v", len(b), len(rest), err)
	}
	if cap(b) != len(b) {
		t.Error("appending to a batch would overwrite the next one")
	}
	b, again, err := Next(rest)
	if b != nil || len(again) != 50 || !errors.Is(err, ErrTruncated) || !errors.Is(err, ErrCorrupt) {
		t.Fatalf("the cut one: %d bytes, rest %d, %v", len(b), len(again), err)
	}
}

func TestCandidate(t *testing.T) {
	raw := Of(Record{Value: []byte("x")}).Bytes()
	for _, c := range []struct {
		buf  []byte
		want int
	}{
		{raw, 0},
		{append(make([]byte, 1000), raw...), 1000},
		{raw[:HeaderSize], 0},
		{raw[:HeaderSize-1], -1},
		{append(make([]byte, 7), raw[:HeaderSize-1]...), -1},
		{make([]byte, 1000), -1},
		{nil, -1},
	} {
		if got := Candidate(c.buf); got != c.want {
			t.Errorf("in %d bytes a batch may begin at %d, want %d", len(c.buf), got, c.want)
		}
	}
}
