package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// decodeRequest decodes a body into a new request of the key.
func decodeRequest(key, version int16, body []byte) (Message, error) {
	m := NewRequest(key)
	return m, m.Decode(NewReader(body), version)
}

func TestMalformed(t *testing.T) {
	const (
		huge  = "\x7f\xff\xff\xff"
		minus = "\xff\xff\xff\xfe"
		null  = "\xff\xff\xff\xff"
	)
	uvarint := func(n uint64) string { return string(binary.AppendUvarint(nil, n)) }
	produce9 := "\x00\xff\xff\x00\x00\x00\x01" // no transaction, acks -1, timeout 1
	tests := []struct {
		name         string
		key, version int16
		body         string
		field, why   string
	}{
		{"empty", KeyProduce, 9, "", "TransactionalId", "1 bytes wanted, but 0 left"},
		{"half a number", KeyProduce, 9, "\x00\xff", "Acks", "2 bytes wanted, but 1 left"},
		{"string beyond the end", KeyProduce, 3, "\x00\x05ab", "TransactionalId", "length 5, but 2 bytes left"},
		{"string of negative length", KeyProduce, 3, "\xff\xfeab", "TransactionalId", "length -2"},
		{"compact string too long", KeyProduce, 9, uvarint(40000) + strings.Repeat("a", 40000), "TransactionalId", "string of 39999 bytes, more than 32767"},
		{"null string", KeyFindCoordinator, 0, "\xff\xff", "Key", "null, but must not be"},
		{"null array", KeyMetadata, 0, null, "Topics", "null, but must not be"},
		{"array of negative length", KeyMetadata, 1, minus, "Topics", "array of -2 elements"},
		{"huge array", KeyMetadata, 1, huge, "Topics", "array of 2147483647 elements, more than 1000000"},
		{"huge compact array", KeyProduce, 9, produce9 + "\xff\xff\xff\xff\x0f", "TopicData", "array of 4294967294 elements, more than 1000000"},
		{"array beyond the end", KeyMetadata, 1, "\x00\x00\x00\x03\x00\x00\x00\x00", "Topics", "array of 3 elements, but 4 bytes left"},
		{"huge tag count", KeyProduce, 9, produce9 + "\x01\xff\xff\xff\xff\x0f", "", "4294967295 tagged fields, more than 10000"},
		{"tag count beyond the end", KeyProduce, 9, produce9 + "\x01" + uvarint(10000) + "\x00\x00", "", "10000 tagged fields, but 2 bytes left"},
		{"tag beyond the end", KeyProduce, 9, produce9 + "\x01\x01\x09\x05abcd", "", "tagged field 9 of 5 bytes, but 4 left"},
		{"huge tag size", KeyProduce, 9, produce9 + "\x01\x01\x09\xff\xff\xff\xff\x0f", "", "tagged field 9 of 4294967295 bytes, but 0 left"},
		{"number of 33 bits", KeyProduce, 9, "\xff\xff\xff\xff\x1f", "TransactionalId", "number of more than 32 bits"},
		{"number of 6 bytes", KeyProduce, 9, "\x80\x80\x80\x80\x80\x00", "TransactionalId", "number of more than 32 bits"},
		{"known tag longer than its value", KeyFetch, 15, strings.Repeat("\x00", 4+4+4+1+4+4) + "\x01\x01\x01\x01\x00\x03\x02a!", "", "tagged field 0 is 1 bytes longer than its value"},
		{"known tag shorter than its value", KeyFetch, 15, strings.Repeat("\x00", 4+4+4+1+4+4) + "\x01\x01\x01\x01\x00\x02\x03ab", "ClusterId", "length 2, but 1 bytes left"},
		{"records beyond the end", KeyProduce, 9, produce9 + "\x02\x02t\x02\x00\x00\x00\x00\x09abc", "TopicData.PartitionData.Records", "length 8, but 3 bytes left"},
		{"null cursor is fine, half of one isn't", KeyDescribeTopicPartitions, 0, "\x01\x00\x00\x00\x01\x01\x02t\x00", "Cursor.PartitionIndex", "4 bytes wanted, but 1 left"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := decodeRequest(test.key, test.version, []byte(test.body))
			e, ok := errors.AsType[*DecodeError](err)
			if !ok || !errors.Is(err, ErrMalformed) {
				t.Fatalf("error is %v, want a *DecodeError", err)
			}
			api, _ := LookupAPI(test.key)
			if e.Message != api.Name+"Request" || e.Field != test.field || e.Why != test.why {
				t.Errorf("error is %+v", *e)
			}
		})
	}
}

func TestUnsupportedVersion(t *testing.T) {
	for _, version := range []int16{-1, 2, 14} {
		_, err := decodeRequest(KeyProduce, version, nil)
		e, ok := errors.AsType[*VersionError](err)
		if !ok || !errors.Is(err, ErrUnsupportedVersion) || *e != (VersionError{"ProduceRequest", version, 3, 13}) {
			t.Errorf("version %d: error is %v", version, err)
		}
		var w Writer
		if NewRequest(KeyProduce).Encode(&w, version); !errors.Is(w.Err(), ErrUnsupportedVersion) {
			t.Errorf("version %d: encoding says %v", version, w.Err())
		}
	}
}

func TestErrorSticks(t *testing.T) {
	r := NewReader([]byte{1})
	first := new(ProduceRequest).Decode(r, 9)
	if first == nil || new(MetadataRequest).Decode(r, 1) != first || r.Err() != first || r.Remaining() != 0 {
		t.Errorf("errors: %v, then %v", first, r.Err())
	}
	if r.Reset([]byte{0xff, 0xff, 0xff, 0xff}); new(MetadataRequest).Decode(r, 1) != nil {
		t.Errorf("after Reset: %v", r.Err())
	}
}

// TestTrailingBytes: Kafka doesn't look at what follows a request.
func TestTrailingBytes(t *testing.T) {
	r := NewReader([]byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3})
	var m MetadataRequest
	if err := m.Decode(r, 1); err != nil || r.Remaining() != 3 || m.Topics != nil {
		t.Errorf("error %v, %d bytes left, topics %v", err, r.Remaining(), m.Topics)
	}
}

// TestMemoryOfSmallFrames puts huge counts in every place of real requests,
// cut to 64 bytes. What one of them takes from the Reader's budget is held
// against what 64 bytes of empty elements can take, and what all of them
// allocate shows that the budget tells the truth.
func TestMemoryOfSmallFrames(t *testing.T) {
	const most = 32 * 64
	counts := [][]byte{
		{0x7f, 0xff, 0xff, 0xff}, {0x00, 0x0f, 0x42, 0x40}, {0x00, 0x00, 0x00, 0x20},
		{0xff, 0xff, 0xff, 0xff, 0x0f}, {0xc1, 0x84, 0x3d}, {0x20}, {0x3f},
	}
	eachOracle(t, func(t *testing.T, api API, s side, version int16) {
		f := filler{rng: rand.New(rand.NewPCG(1, 1)), version: version}
		sample := f.message(s.newOne(api.Key, version)).AppendTo(nil)
		body := make([]byte, 64)
		frames, spent := 0, 0
		r := new(Reader)
		total := allocated(func() {
			for at := range min(len(sample), len(body)) {
				for _, count := range counts {
					clear(body)
					copy(body, sample)
					copy(body[at:], count)
					r.Reset(body)
					before := r.budget
					_ = s.newOur(api.Key).Decode(r, version)
					if n := before - r.budget; n > most {
						t.Fatalf("% x takes %d bytes", body, n)
					}
					frames++
					spent += before - r.budget
				}
			}
		})
		// A message, its error and null strings come on top.
		if limit := uint64(spent + frames*1024); total > limit {
			t.Errorf("%d frames allocated %d bytes, more than %d", frames, total, limit)
		}
	})
}

// TestMemoryOfLargeFrames: arrays whose elements are empty take many times
// their size in memory, which is refused when it is much.
func TestMemoryOfLargeFrames(t *testing.T) {
	const elements = MaxElements
	tests := []struct {
		key, version int16
		body         []byte
	}{
		{KeyMetadata, 1, append([]byte{0x00, 0x0f, 0x42, 0x40}, make([]byte, 2*elements)...)},
		{KeyCreatePartitions, 0, append([]byte{0x00, 0x0f, 0x42, 0x40}, make([]byte, 10*elements)...)},
		{KeyFindCoordinator, 4, append([]byte{0x00, 0xc1, 0x84, 0x3d}, bytes.Repeat([]byte{1}, elements+1)...)},
		{KeyProduce, 9, append([]byte("\x00\xff\xff\x00\x00\x00\x01\xc1\x84\x3d"), make([]byte, 3*elements+1)...)},
	}
	for _, test := range tests {
		api, _ := LookupAPI(test.key)
		t.Run(fmt.Sprintf("%s/v%d", api.Name, test.version), func(t *testing.T) {
			var err error
			n := allocated(func() { _, err = decodeRequest(test.key, test.version, test.body) })
			if limit := uint64(memoryGrace + memoryFactor*len(test.body)); n > limit+4096 {
				t.Errorf("a frame of %d bytes allocated %d", len(test.body), n)
			}
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// TestMostElements: a million elements are taken when the frame pays for them.
func TestMostElements(t *testing.T) {
	name := "\x00\x0aten-letter"
	body := append([]byte{0x00, 0x0f, 0x42, 0x40}, strings.Repeat(name, MaxElements)...)
	m, err := decodeRequest(KeyDeleteTopics, 1, append(body, 0, 0, 0, 1))
	if err != nil || len(m.(*DeleteTopicsRequest).TopicNames) != MaxElements {
		t.Errorf("a million names: %v", err)
	}
	body[3]++
	if _, err = decodeRequest(KeyDeleteTopics, 1, append(body, 0, 0, 0, 1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a million and one: %v", err)
	}
}

// allocated is the number of bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
