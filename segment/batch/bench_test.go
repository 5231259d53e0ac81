package batch

import (
	"bytes"
	"fmt"
	"testing"
)

// benchSpec makes a batch of about size bytes before compression, of records of
// recordSize bytes of text that compresses somewhat.
func benchSpec(size, recordSize int) Spec {
	text := bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog. 0123456789 "), recordSize/56+1)
	s := Of()
	for i := range max(size/(recordSize+8), 1) {
		value := bytes.Clone(text[:recordSize])
		copy(value, fmt.Sprintf("%08d %x ", i, i*2654435761))
		s.Records = append(s.Records, Record{Timestamp: 1700000000000 + int64(i), Value: value})
	}
	return s
}

func BenchmarkParse(b *testing.B) {
	for _, kib := range []int{1, 16, 64, 1024} {
		b.Run(fmt.Sprintf("batch=%dKiB", kib), func(b *testing.B) {
			p := benchSpec(kib<<10, 1000).Bytes()
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkValidate(b *testing.B) {
	for _, codec := range codecs() {
		for _, recordSize := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("codec=%v/batch=16KiB/record=%dB", codec, recordSize), func(b *testing.B) {
				s := benchSpec(16<<10, recordSize)
				s.Codec = codec
				p := s.Bytes()
				b.SetBytes(16 << 10)
				b.ReportAllocs()
				for b.Loop() {
					if err := p.Validate(Rules{}); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(p.Count()), "ns/record")
			})
		}
	}
}

func BenchmarkRecords(b *testing.B) {
	for _, codec := range codecs() {
		b.Run(fmt.Sprintf("codec=%v/batch=16KiB", codec), func(b *testing.B) {
			s := benchSpec(16<<10, 100)
			s.Codec = codec
			p := s.Bytes()
			b.SetBytes(16 << 10)
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range p.Records(0) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, codec := range codecs() {
		b.Run(fmt.Sprintf("codec=%v/batch=16KiB", codec), func(b *testing.B) {
			s := benchSpec(16<<10, 100)
			s.Codec = codec
			dst := s.Append(nil)
			b.SetBytes(16 << 10)
			b.ReportAllocs()
			for b.Loop() {
				dst = s.Append(dst[:0])
			}
			b.ReportMetric(float64(len(dst)), "B/batch")
		})
	}
}
