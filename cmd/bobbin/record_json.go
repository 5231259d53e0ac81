package main

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// jsonRecord is one line of consume -o json. A key or value that is not UTF-8
// is in the field ending in base64 instead, and the other one is absent; a null
// one is null.
type jsonRecord struct {
	Topic       string       `json:"topic"`
	Partition   int32        `json:"partition"`
	Offset      int64        `json:"offset"`
	Timestamp   int64        `json:"timestamp"` // milliseconds since 1970
	Key         *jsonText    `json:"key,omitempty"`
	KeyBase64   []byte       `json:"key_base64,omitempty"`
	Value       *jsonText    `json:"value,omitempty"`
	ValueBase64 []byte       `json:"value_base64,omitempty"`
	Headers     []jsonHeader `json:"headers,omitempty"`
}

type jsonHeader struct {
	Key         string    `json:"key"`
	Value       *jsonText `json:"value,omitempty"`
	ValueBase64 []byte    `json:"value_base64,omitempty"`
}

// jsonText is UTF-8, or null if nil.
type jsonText []byte

// MarshalJSON implements json.Marshaler.
func (t *jsonText) MarshalJSON() ([]byte, error) {
	if *t == nil {
		return []byte("null"), nil
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(string(*t))
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// jsonBytes sorts b into one of the two fields.
func jsonBytes(b []byte) (text *jsonText, other []byte) {
	if !utf8.Valid(b) {
		return nil, b
	}
	t := jsonText(b)
	return &t, nil
}

// appendRecordJSON appends r as one line.
func appendRecordJSON(dst []byte, r *kgo.Record) ([]byte, error) {
	j := jsonRecord{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli()}
	j.Key, j.KeyBase64 = jsonBytes(r.Key)
	j.Value, j.ValueBase64 = jsonBytes(r.Value)
	for _, h := range r.Headers {
		jh := jsonHeader{Key: h.Key}
		jh.Value, jh.ValueBase64 = jsonBytes(h.Value)
		j.Headers = append(j.Headers, jh)
	}
	out := bytes.NewBuffer(dst)
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	err := e.Encode(j)
	return out.Bytes(), err
}
