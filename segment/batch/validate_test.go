package batch

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// raw is a batch around a payload that need not be records.
func raw(codec Codec, count int32, payload []byte) Batch {
	s := Of()
	s.Codec = codec
	b := slices.Concat(s.Bytes()[:HeaderSize], payload)
	binary.BigEndian.PutUint32(b[posLength:], uint32(len(b)-PeekLen))
	binary.BigEndian.PutUint32(b[posCount:], uint32(count))
	binary.BigEndian.PutUint32(b[posLastOffsetDelta:], uint32(count-1))
	b.seal()
	return b
}

const tinyPayload = HeaderSize * 2 // where tiny's records start, in hex digits

// TestRecordFaults holds each fault of framing against all ways to read it:
// uncompressed, through every decompressor, and as Records.
func TestRecordFaults(t *testing.T) {
	good := tiny[tinyPayload:]
	for _, c := range []struct {
		name  string
		count int32
		plain string
		index int32 // -1: no single record is to blame
		text  string
	}{
		{"nothing there", 1, "", 0, "ends inside"},
		{"one too few", 3, good, 2, "ends inside"},
		{"one too many", 1, good, -1, "more bytes follow"},
		{"a trailing byte", 2, good + "00", -1, "more bytes follow"},
		{"cut inside a value", 1, "10000000026b02", 0, ""},
		{"length too large", 1, "1200000002" + "6b027600", 0, ""},
		{"length too small", 1, "0e00000002" + "6b027600", 0, ""},
		{"negative length", 1, "0f00000002" + "6b027600", 0, "claims -8 bytes"},
		{"huge length", 1, "feffffff0f" + "00", 0, ""},
		{"length of more than 32 bits", 1, "80808080807f" + "00", 0, "more than 32 bits"},
		{"endless varint", 1, "ffffffffffffffffffffff" + "00", 0, "more than 64 bits"},
		{"huge key", 1, "10000000" + "feffffff0f" + "0000", 0, "its key claims"},
		{"key of -2", 1, "10000000" + "03" + "6b027600", 0, "its key claims -2"},
		{"value of -2", 1, "10000000" + "026b" + "03" + "7600", 0, "its value claims -2"},
		{"negative headers", 1, "10000000" + "026b" + "0276" + "01", 0, "claims -1 headers"},
		{"more headers than bytes", 1, "10000000" + "026b" + "0276" + "fe", 0, ""},
		{"two billion headers", 1, "18000000" + "026b" + "0276" + "feffffff0f", 0, "claims 2147483647 headers"},
		{"header without a key", 1, "14000000" + "026b" + "0276" + "02" + "01" + "01", 0, "no key"},
		{"header value too long", 1, "14000000" + "026b" + "0276" + "02" + "00" + "02", 0, "its header value claims 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plain := unhex(t, c.plain)
			for _, codec := range codecs() {
				b := raw(codec, c.count, compress(nil, plain, codec, 0))
				err := b.Validate(Rules{})
				if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.text) {
					t.Fatalf("%v: Validate gives %v, want %q", codec, err, c.text)
				}
				if re := (*RecordError)(nil); errors.As(err, &re) != (c.index >= 0) || re != nil && re.Index != c.index {
					t.Fatalf("%v: %v, want record %d blamed", codec, err, c.index)
				}
				if err := last(b); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.text) {
					t.Fatalf("%v: Records ends with %v, want %q", codec, err, c.text)
				}
			}
		})
	}
}

// last is the error that Records ends with.
func last(b Batch) (err error) {
	for _, err = range b.Records(0) {
	}
	return err
}

func TestHeaderRules(t *testing.T) {
	internal := Rules{Internal: true}
	for _, c := range []struct {
		name  string
		rules Rules
		spec  func(s *Spec)
		want  error
	}{
		{"good", Rules{}, func(*Spec) {}, nil},
		{"base offset", Rules{}, func(s *Spec) { s.BaseOffset = 1 }, ErrInvalid},
		{"base offset, internal", internal, func(s *Spec) { s.BaseOffset = 1 }, nil},
		{"control", Rules{}, func(s *Spec) { s.Control = true }, ErrInvalid},
		{"control, internal", internal, func(s *Spec) { s.Control = true }, nil},
		{"append time", Rules{}, func(s *Spec) { s.TimestampType = LogAppendTime }, ErrTimestamp},
		{"append time, internal", internal, func(s *Spec) { s.TimestampType = LogAppendTime }, nil},
		{"producer without a sequence", Rules{}, func(s *Spec) { s.ProducerID = 0 }, ErrInvalid},
		{"producer with a sequence", Rules{}, func(s *Spec) { s.ProducerID, s.ProducerEpoch, s.BaseSequence = 0, 0, 0 }, nil},
		{"codec 5", Rules{}, func(s *Spec) { s.Codec = 5 }, ErrCodec},
		{"codec 7, internal", internal, func(s *Spec) { s.Codec = 7 }, ErrCodec},
		{"no records", Rules{}, func(s *Spec) { s.Records = nil }, ErrInvalid},
		{"key required", Rules{RequireKeys: true}, func(*Spec) {}, ErrInvalid},
		{"key required and there", Rules{RequireKeys: true}, func(s *Spec) { s.Records = s.Records[:1] }, nil},
		{"at the bounds", Rules{MinTimestamp: 1000, MaxTimestamp: 1300}, func(*Spec) {}, nil},
		{"too old", Rules{MinTimestamp: 1001}, func(*Spec) {}, ErrTimestamp},
		{"too new", Rules{MaxTimestamp: 1299}, func(*Spec) {}, ErrTimestamp},
		{"no timestamp", Rules{MinTimestamp: 1000}, func(s *Spec) { s.Records[1].Timestamp = NoTimestamp }, nil},
		{"before 1970, unbounded", Rules{}, func(s *Spec) { s.Records[1].Timestamp = -5 }, nil},
	} {
		for _, codec := range codecs() {
			s := Of(tinyRecords()...)
			s.Codec = codec
			c.spec(&s)
			if err := s.Bytes().Validate(c.rules); !errors.Is(err, c.want) {
				t.Errorf("%s, %v: %v, want %v", c.name, codec, err, c.want)
			}
		}
	}
}

// TestAllRecordsBlamed: every record that breaks a rule is named, up to a bound,
// and one bad time makes the whole a matter of times, as Kafka 4.4 answers.
func TestAllRecordsBlamed(t *testing.T) {
	key := []byte("k")
	record := func(k []byte, time int64) Record { return Record{Key: k, Timestamp: time} }
	rules := Rules{RequireKeys: true, MinTimestamp: 100, MaxTimestamp: 200}
	for _, c := range []struct {
		records []Record
		blamed  []int32
		want    error
	}{
		{[]Record{record(key, 100), record(nil, 150), record(nil, 150), record(key, 200)}, []int32{1, 2}, ErrInvalid},
		{[]Record{record(nil, 150), record(key, 99), record(key, 201)}, []int32{0, 1, 2}, ErrTimestamp},
		{[]Record{record(key, 99), record(key, 150)}, []int32{0}, ErrTimestamp},
		{slices.Repeat([]Record{record(nil, 150)}, 3*recordErrorsMax), nil, ErrInvalid},
	} {
		err := Of(c.records...).Bytes().Validate(rules)
		var many RecordErrors
		var blamed []int32
		if errors.As(err, &many) {
			for _, e := range many {
				blamed = append(blamed, e.Index)
			}
		} else if one := (*RecordError)(nil); errors.As(err, &one) {
			blamed = []int32{one.Index}
		}
		if c.blamed == nil && len(blamed) != recordErrorsMax || c.blamed != nil && !slices.Equal(blamed, c.blamed) {
			t.Errorf("%d records: %d are blamed, want %v", len(c.records), len(blamed), c.blamed)
		}
		if !errors.Is(err, c.want) || c.want == ErrTimestamp && errors.Is(err, ErrInvalid) {
			t.Errorf("%v, want %v", err, c.want)
		}
	}
	// What is framed wrongly counts before rules that are broken.
	plain := unhex(t, tiny[tinyPayload:])
	if err := raw(None, 3, plain).Validate(Rules{MaxTimestamp: 1}); errors.Is(err, ErrTimestamp) || !errors.Is(err, ErrInvalid) {
		t.Errorf("a record that isn't there: %v", err)
	}
}

func TestOffsetRules(t *testing.T) {
	swapped := tiny[tinyPayload+18:] + tiny[tinyPayload:tinyPayload+18]
	b := raw(None, 2, unhex(t, swapped))
	err := b.Validate(Rules{})
	if re := (*RecordError)(nil); !errors.As(err, &re) || re.Index != 0 || !errors.Is(err, ErrInvalid) {
		t.Errorf("records in the wrong order: %v", err)
	}
	if err := last(b); err != nil {
		t.Errorf("Records minds gaps, which compaction makes: %v", err)
	}
	for _, delta := range []uint32{0, 5, math.MaxUint32} {
		b := Of(tinyRecords()...).Bytes()
		binary.BigEndian.PutUint32(b[posLastOffsetDelta:], delta)
		if err := b.Validate(Rules{}); !errors.Is(err, ErrInvalid) {
			t.Errorf("last offset delta %d: %v", int32(delta), err)
		}
	}
}

func TestFacts(t *testing.T) {
	b := Of(tinyRecords()...).Bytes()
	b.StampMaxTimestamp(99) // a lie
	f, err := b.Examine(Rules{})
	if err != nil || f.MaxTimestamp != 1300 || f.PlainSize != int64(len(b)-HeaderSize) {
		t.Fatalf("%+v, %v", f, err)
	}
	b.StampMaxTimestamp(f.MaxTimestamp)
	if err := b.Check(); err != nil || b.MaxTimestamp() != 1300 {
		t.Fatalf("corrected to %d: %v", b.MaxTimestamp(), err)
	}
}
