package wire

import (
	"fmt"
	"testing"
)

func BenchmarkDecode(b *testing.B) {
	for _, version := range []int16{9, 13} {
		b.Run(fmt.Sprintf("api=Produce/version=%d/records=16KiB", version), func(b *testing.B) {
			body := produceRequest(version, 16<<10)
			var r Reader
			var m ProduceRequest
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(body)
				if err := m.Decode(&r, version); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("api=Fetch/version=18/partitions=100", func(b *testing.B) {
		var request FetchRequest
		request.Default()
		topic := Append(&request.Topics)
		for range 100 {
			Append(&topic.Partitions)
		}
		var w Writer
		request.Encode(&w, 18)
		var r Reader
		b.ReportAllocs()
		for b.Loop() {
			r.Reset(w.Bytes())
			if err := request.Decode(&r, 18); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	for _, partitions := range []int{1, 100} {
		b.Run(fmt.Sprintf("api=Fetch/partitions=%d", partitions), func(b *testing.B) {
			m := fetchResponse(partitions, false)
			var w Writer
			b.ReportAllocs()
			for b.Loop() {
				w.Reset()
				w.BeginResponse(KeyFetch, 18, 1)
				m.Encode(&w, 18)
				if err := w.Finish(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
