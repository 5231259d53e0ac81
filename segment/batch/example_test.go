package batch_test

import (
	"errors"
	"fmt"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// A broker parses what came over the wire once, holds each batch against the
// topic's rules and stamps it in place.
func ExampleParse() {
	wire := batch.Of(
		batch.Record{Timestamp: 1000, Key: []byte("a"), Value: []byte("1")},
		batch.Record{Timestamp: 1001, Key: []byte("b"), Value: []byte("2")},
	).Bytes()

	set, err := batch.Parse(wire)
	if err != nil {
		fmt.Println(err)
		return
	}
	next := int64(42)
	for b := range set.All() {
		if err := b.Validate(batch.Rules{RequireKeys: true}); err != nil {
			fmt.Println(err)
			return
		}
		b.Stamp(next, 7)
		next = b.NextOffset()
	}
	fmt.Println(set.Len(), "batch,", set.Records(), "records, from", set.First().BaseOffset(), "to", next)
	// Output: 1 batch, 2 records, from 42 to 44
}

// Records decompresses as needed; 0 is the default budget.
func ExampleBatch_Records() {
	spec := batch.Of(batch.Record{Timestamp: 1000, Key: []byte("a"), Value: []byte("1"), Headers: []batch.Header{{Key: "h", Value: []byte("x")}}})
	spec.Codec, spec.BaseOffset = batch.Zstd, 100
	for r, err := range spec.Bytes().Records(0) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d %d %s=%s %s=%s\n", r.Offset, r.Timestamp, r.Key, r.Value, r.Headers[0].Key, r.Headers[0].Value)
	}
	// Output: 100 1000 a=1 h=x
}

// The error names the record that is to blame.
func ExampleBatch_Validate() {
	b := batch.Of(batch.Record{Key: []byte("a")}, batch.Record{Value: []byte("no key")}).Bytes()
	err := b.Validate(batch.Rules{RequireKeys: true})
	fmt.Println(err)
	fmt.Println(errors.Is(err, batch.ErrInvalid))
	// Output:
	// batch: invalid: record 1: a compacted topic needs a key
	// true
}
