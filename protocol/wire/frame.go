package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrUnknownKey is wrapped by errors about an API key that Kafka 4.4 doesn't
// have.
var ErrUnknownKey = errors.New("unknown API key")

// DecodeRequestHeader reads the header at the start of r's frame and leaves r at
// the request's body. The header's own version follows from the API's key and
// version, which come first; a version that is newer than the codec's has the
// newest header. Errors are a [*DecodeError], or wrap [ErrUnknownKey] when the
// header can't be read because the key isn't Kafka's.
func DecodeRequestHeader(r *Reader) (RequestHeader, error) {
	var h RequestHeader
	if r.err != nil {
		return h, r.err
	}
	r.message = "RequestHeader"
	if len(r.buf) < 4 {
		r.short("", 4)
		return h, r.err
	}
	key := int16(binary.BigEndian.Uint16(r.buf))
	version := int16(binary.BigEndian.Uint16(r.buf[2:]))
	api, ok := LookupAPI(key)
	if !ok {
		return h, fmt.Errorf("RequestHeader.RequestApiKey: %w %d", ErrUnknownKey, key)
	}
	err := h.Decode(r, api.RequestHeaderVersion(version))
	return h, err
}

// BeginRequest starts a frame: room for its length and the header, whose
// version follows from its key and version. The body comes next, then
// [Writer.Finish].
func (w *Writer) BeginRequest(h *RequestHeader) {
	w.beginFrame()
	api, ok := LookupAPI(h.RequestApiKey)
	if !ok {
		w.message = "RequestHeader"
		w.fail("RequestApiKey", "%d is unknown", h.RequestApiKey)
		return
	}
	h.Encode(w, api.RequestHeaderVersion(h.RequestApiVersion))
}

// BeginResponse starts a frame: room for its length and the header of a
// response to a request of the given key and version. The body comes next, then
// [Writer.Finish]. Several frames may follow each other in one Writer.
func (w *Writer) BeginResponse(key, version int16, correlationID int32) {
	w.beginFrame()
	api, ok := LookupAPI(key)
	if !ok {
		w.message = "ResponseHeader"
		w.fail("", "API key %d is unknown", key)
		return
	}
	h := ResponseHeader{CorrelationId: correlationID}
	h.Encode(w, api.ResponseHeaderVersion(version))
}

func (w *Writer) beginFrame() {
	w.frame, w.before = len(w.buf), w.holeBytes
	w.int32(0)
}

// Finish ends the frame: it sets its length, holes included, and returns the
// Writer's error if it has one.
func (w *Writer) Finish() error {
	if w.err != nil {
		return w.err
	}
	n := int64(len(w.buf)-w.frame-4) + w.holeBytes - w.before
	if n > math.MaxInt32 {
		w.fail("", "frame of %d bytes is over 2 GiB", n)
		return w.err
	}
	binary.BigEndian.PutUint32(w.buf[w.frame:], uint32(n))
	return nil
}
