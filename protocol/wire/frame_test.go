package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestRequestHeader reads the headers that kmsg writes for every request that
// it knows, not only for those that are generated.
func TestRequestHeader(t *testing.T) {
	name := "a client"
	for _, id := range []*string{nil, new(string), &name} {
		var options []kmsg.RequestFormatterOpt
		if id != nil {
			options = append(options, kmsg.FormatterClientID(*id))
		}
		formatter := kmsg.NewRequestFormatter(options...)
		seen := 0
		for key := range int16(100) {
			request := kmsg.RequestForKey(key)
			api, ok := LookupAPI(key)
			if request == nil || !ok {
				continue
			}
			seen++
			for v := api.Min; v <= min(api.Max, request.MaxVersion()); v++ {
				request.SetVersion(v)
				frame := formatter.AppendRequest(nil, request, 42)
				r := NewReader(frame[4:])
				h, err := DecodeRequestHeader(r)
				if err != nil {
					t.Fatalf("%s v%d: %v", api.Name, v, err)
				}
				if h.RequestApiKey != key || h.RequestApiVersion != v || h.CorrelationId != 42 || !same(h.ClientId, id) {
					t.Errorf("%s v%d: header is %+v", api.Name, v, h)
				}
				if body := request.AppendTo(nil); r.Remaining() != len(body) {
					t.Errorf("%s v%d: %d bytes left of a body of %d", api.Name, v, r.Remaining(), len(body))
				}
				var w Writer
				w.BeginRequest(&h)
				w.buf = request.AppendTo(w.buf)
				if err := w.Finish(); err != nil || !bytes.Equal(w.Bytes(), frame) {
					t.Errorf("%s v%d: %v\n got % x\nwant % x", api.Name, v, err, w.Bytes(), frame)
				}
			}
		}
		if seen < 80 {
			t.Errorf("only %d APIs compared", seen)
		}
	}
}

func same(a, b *string) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func TestBadRequestHeader(t *testing.T) {
	tests := []struct {
		name, frame string
		is          error
		text        string
	}{
		{"empty", "", ErrMalformed, "RequestHeader: 4 bytes wanted, but 0 left"},
		{"only a key", "\x00\x00\x00", ErrMalformed, "RequestHeader: 4 bytes wanted, but 3 left"},
		{"unknown key", "\x7f\xff\x00\x00\x00\x00\x00\x00\x00\x00", ErrUnknownKey, "RequestHeader.RequestApiKey: unknown API key 32767"},
		{"dropped API", "\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00", ErrUnknownKey, "RequestHeader.RequestApiKey: unknown API key 4"},
		{"no correlation id", "\x00\x00\x00\x03\x00\x00", ErrMalformed, "RequestHeader.CorrelationId: 4 bytes wanted, but 2 left"},
		{"client id beyond the end", "\x00\x00\x00\x03\x00\x00\x00\x01\x7f\xffab", ErrMalformed, "RequestHeader.ClientId: length 32767, but 2 bytes left"},
		{"client id of negative length", "\x00\x00\x00\x03\x00\x00\x00\x01\xff\xfeab", ErrMalformed, "RequestHeader.ClientId: length -2"},
		{"tag count of 2^32-1", "\x00\x00\x00\x09\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\x0f", ErrMalformed, "RequestHeader: 4294967295 tagged fields, more than 10000"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := DecodeRequestHeader(NewReader([]byte(test.frame)))
			if !errors.Is(err, test.is) || err.Error() != test.text {
				t.Errorf("error is %v", err)
			}
		})
	}
	// A version that is too new still has a header, so that it can be refused.
	h, err := DecodeRequestHeader(NewReader([]byte("\x00\x12\x7f\xff\x00\x00\x00\x07\xff\xff\x00")))
	if err != nil || h.RequestApiVersion != 0x7fff || h.CorrelationId != 7 {
		t.Errorf("too new: %+v, %v", h, err)
	}
}

func TestResponseHeader(t *testing.T) {
	tests := []struct {
		key, version int16
		want         string
	}{
		{KeyProduce, 8, "\x00\x00\x00\x04\x00\x00\x00\x07"},
		{KeyProduce, 9, "\x00\x00\x00\x05\x00\x00\x00\x07\x00"},
		{KeyApiVersions, 0, "\x00\x00\x00\x04\x00\x00\x00\x07"},
		{KeyApiVersions, 3, "\x00\x00\x00\x04\x00\x00\x00\x07"},
		{KeySaslHandshake, 1, "\x00\x00\x00\x04\x00\x00\x00\x07"},
	}
	for _, test := range tests {
		var w Writer
		w.BeginResponse(test.key, test.version, 7)
		if err := w.Finish(); err != nil || string(w.Bytes()) != test.want {
			t.Errorf("key %d version %d: % x, %v", test.key, test.version, w.Bytes(), err)
		}
		api, _ := LookupAPI(test.key)
		r, h := NewReader(w.Bytes()[4:]), new(ResponseHeader)
		h.Default()
		if err := h.Decode(r, api.ResponseHeaderVersion(test.version)); err != nil || h.CorrelationId != 7 || len(r.buf) != 0 {
			t.Errorf("key %d version %d: read back as %+v, %v", test.key, test.version, h, err)
		}
	}
	var w Writer
	w.BeginResponse(999, 0, 1)
	if err := w.Finish(); !errors.Is(err, ErrUnencodable) {
		t.Errorf("unknown key: %v", err)
	}
}

// fetchResponse has partitions whose record bytes are a hole of 1000+i bytes,
// or if filled is true that many bytes.
func fetchResponse(partitions int, filled bool) *FetchResponse {
	m := new(FetchResponse)
	topic := Append(&m.Responses)
	topic.TopicId = UUID{1, 2, 3}
	for i := range partitions {
		p := Append(&topic.Partitions)
		p.PartitionIndex = int32(i)
		p.HighWatermark = 100
		p.Records = Records{Hole: int64(1000 + i), ID: i}
		if filled {
			p.Records = Records{Bytes: bytes.Repeat([]byte{byte(i)}, 1000+i)}
		}
	}
	return m
}

// TestHoles fills the holes of several frames in one Writer and compares with
// the frames encoded whole.
func TestHoles(t *testing.T) {
	for _, version := range []int16{4, 11, 12, 18} {
		var holes, whole Writer
		for i, partitions := range []int{3, 0, 1} {
			for w, filled := range map[*Writer]bool{&holes: false, &whole: true} {
				m := fetchResponse(partitions, filled)
				if version < 13 {
					m.Responses[0].TopicId, m.Responses[0].Topic = UUID{}, "t"
				}
				w.BeginResponse(KeyFetch, version, int32(i))
				m.Encode(w, version)
				if err := w.Finish(); err != nil {
					t.Fatal(err)
				}
			}
		}
		var sent []byte
		at := 0
		for i, h := range holes.Holes() {
			if want := []int{0, 1, 2, 0}[i]; h.ID != want || h.Size != int64(1000+want) {
				t.Errorf("v%d: hole %d is %+v", version, i, h)
			}
			sent = append(sent, holes.Bytes()[at:h.At]...)
			sent = append(sent, bytes.Repeat([]byte{byte(h.ID)}, int(h.Size))...)
			at = h.At
		}
		sent = append(sent, holes.Bytes()[at:]...)
		if !bytes.Equal(sent, whole.Bytes()) || holes.Size() != int64(len(sent)) {
			t.Errorf("v%d: %d bytes of size %d, want %d", version, len(sent), holes.Size(), len(whole.Bytes()))
		}
		for rest := sent; len(rest) > 0; {
			n := binary.BigEndian.Uint32(rest)
			if int(n)+4 > len(rest) {
				t.Fatalf("v%d: frame of %d bytes, but %d left", version, n, len(rest))
			}
			rest = rest[4+n:]
		}
	}
}

func TestRecordsEmptyAndNull(t *testing.T) {
	for _, test := range []struct {
		records Records
		want    string
	}{
		{Records{}, "\x01"}, {Records{Bytes: []byte{}}, "\x01"}, {Records{Null: true}, "\x00"}, {Records{Bytes: []byte("ab")}, "\x03ab"},
	} {
		var w Writer
		m := ProduceRequestPartitionProduceData{Index: 7, Records: test.records}
		w.begin("test", 9, 9, 9, true)
		m.encode(&w, 9)
		if got := strings.TrimSuffix(string(w.Bytes()[4:]), "\x00"); got != test.want && got+"\x00" != test.want {
			t.Errorf("%+v: % x", test.records, got)
		}
	}
}

func TestUnencodable(t *testing.T) {
	long := strings.Repeat("a", MaxString+1)
	cursor := &DescribeTopicPartitionsResponse{NextCursor: &DescribeTopicPartitionsResponseCursor{TopicName: long}}
	tests := []struct {
		name    string
		message Message
		version int16
		text    string
	}{
		{"field that matters and isn't there", &FetchResponse{SessionId: 1}, 6, "FetchResponse.SessionId: set, but version 6 doesn't have it"},
		{"tagged field that isn't there", &FetchResponse{NodeEndpoints: make([]FetchResponseNodeEndpoint, 1)}, 15, "FetchResponse.NodeEndpoints: set, but version 15 doesn't have it"},
		{"null string", &FindCoordinatorResponse{Coordinators: make([]FindCoordinatorResponseCoordinator, 1)}, 3, "FindCoordinatorResponse.Coordinators: set, but version 3 doesn't have it"},
		{"null name", &MetadataResponse{ControllerId: -1, ClusterAuthorizedOperations: -1 << 31, Topics: make([]MetadataResponseTopic, 1)}, 11, "MetadataResponse.Topics.Name: null, but must not be in this version"},
		{"string too long", cursor, 0, "DescribeTopicPartitionsResponse.NextCursor.TopicName: string of 32768 bytes, more than 32767"},
		{"negative hole", fetchWith(Records{Hole: -1}), 18, "FetchResponse.Responses.Partitions.Records: hole of -1 bytes"},
		{"hole too large", fetchWith(Records{Hole: 1 << 31}), 18, "FetchResponse.Responses.Partitions.Records: length 2147483648 is over 2 GiB"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var w Writer
			w.BeginResponse(test.message.Key(), test.version, 1)
			test.message.Encode(&w, test.version)
			err := w.Finish()
			if _, ok := errors.AsType[*EncodeError](err); !ok || !errors.Is(err, ErrUnencodable) || err.Error() != test.text {
				t.Errorf("error is %v", err)
			}
			if w.Reset(); w.Err() != nil || w.Size() != 0 || len(w.Holes()) != 0 {
				t.Errorf("after Reset: %+v", w)
			}
		})
	}
	var w Writer
	if (&FetchResponse{ErrorCode: 5, ThrottleTimeMs: 3}).Encode(&w, 6); w.Err() != nil {
		t.Errorf("an ignorable field isn't ignored: %v", w.Err())
	}
}

func fetchWith(records Records) *FetchResponse {
	m := new(FetchResponse)
	Append(&Append(&m.Responses).Partitions).Records = records
	return m
}

// TestFrameTooLarge: each part fits an int32 and the frame doesn't.
func TestFrameTooLarge(t *testing.T) {
	m := fetchWith(Records{Hole: 1 << 30})
	Append(&m.Responses[0].Partitions).Records = Records{Hole: 1 << 30}
	var w Writer
	w.BeginResponse(KeyFetch, 18, 1)
	m.Encode(&w, 18)
	if err := w.Finish(); !errors.Is(err, ErrUnencodable) {
		t.Errorf("error is %v", err)
	}
}
