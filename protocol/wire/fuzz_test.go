package wire

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// FuzzDecodeRequest decodes any bytes as any version of any request.
func FuzzDecodeRequest(f *testing.F) { fuzzDecode(f, sides[0]) }

// FuzzDecodeResponse does the same for responses: brokers read each other's.
func FuzzDecodeResponse(f *testing.F) { fuzzDecode(f, sides[1]) }

// fuzzDecode checks that what is accepted can be encoded, and that what was
// encoded is a fixed point.
func fuzzDecode(f *testing.F, s side) {
	for _, api := range generatedAPIs() {
		for v := api.Min; v <= api.Latest; v++ {
			if v <= api.Max {
				fill := filler{rng: rand.New(rand.NewPCG(3, uint64(v))), version: v, tags: api.Flexible(v)}
				f.Add(api.Key, v, fill.message(s.newOne(api.Key, v)).AppendTo(nil))
			}
			f.Add(api.Key, v, make([]byte, 40))
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		m := s.newOur(key)
		if m == nil {
			return
		}
		r := NewReader(body)
		budget := r.budget
		err := m.Decode(r, version)
		if spent := budget - r.budget; spent > 40*len(body) {
			t.Errorf("%d bytes take %d", len(body), spent)
		}
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupportedVersion) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		var first, second Writer
		m.Encode(&first, version)
		if first.Err() != nil {
			t.Fatalf("decoded, but can't be encoded: %v", first.Err())
		}
		r.Reset(first.Bytes())
		if err := m.Decode(r, version); err != nil || r.Remaining() != 0 {
			t.Fatalf("encoded, but can't be decoded: %v, %d bytes left", err, r.Remaining())
		}
		if m.Encode(&second, version); !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("% x\nthen % x", first.Bytes(), second.Bytes())
		}
	})
}

// FuzzDecodeRequestHeader reads any bytes as a frame, and what follows the
// header as the request that it names.
func FuzzDecodeRequestHeader(f *testing.F) {
	id := "client"
	for _, api := range generatedAPIs() {
		var w Writer
		w.BeginRequest(&RequestHeader{RequestApiKey: api.Key, RequestApiVersion: api.Max, ClientId: &id})
		f.Add(append(w.Bytes()[4:], make([]byte, 30)...))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		r := NewReader(frame)
		h, err := DecodeRequestHeader(r)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnknownKey) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		if m := NewRequest(h.RequestApiKey); m != nil {
			_ = m.Decode(r, h.RequestApiVersion)
		}
	})
}
