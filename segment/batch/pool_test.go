package batch

import (
	"bytes"
	"runtime"
	"sync"
	"testing"
)

// TestCodersAreShared has more goroutines at work than there are coders, each
// with batches of its own: none gets another's bytes, and all get through.
func TestCodersAreShared(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 4 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			value := bytes.Repeat([]byte{byte('a' + g)}, 70_000)
			for i := range 20 {
				s := Of(Record{Timestamp: 1, Value: value})
				s.Codec = Codec(1 + (g+i)%4)
				b := s.Bytes()
				if err := b.Validate(Rules{}); err != nil {
					t.Error(err)
				}
				for r, err := range b.Records(0) {
					if err != nil || !bytes.Equal(r.Value, value) {
						t.Errorf("goroutine %d reads %.5q…, %v", g, r.Value, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := len(coders.workers); n != 0 {
		t.Errorf("%d coders are still at work", n)
	}
}

// TestNoCoderIsHeldWhileYielding: a loop over records may do anything, also
// read more batches than there are coders.
func TestNoCoderIsHeldWhileYielding(t *testing.T) {
	s := Of(tinyRecords()[:1]...)
	s.Codec = Zstd
	b := s.Bytes()
	var nest func(depth int) int
	nest = func(depth int) (n int) {
		for _, err := range b.Records(0) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; depth > 0 {
				n += nest(depth - 1)
			}
		}
		return n
	}
	if depth := 2 * cap(coders.workers); nest(depth) != depth+1 {
		t.Error("lost records")
	}
}

// TestFailedPayloadsGiveCodersBack: after errors of every kind all work on.
func TestFailedPayloadsGiveCodersBack(t *testing.T) {
	good := Of(samples()...)
	for _, codec := range codecs()[1:] {
		good.Codec = codec
		whole := good.Bytes()
		for range 3 * cap(coders.workers) {
			for _, payload := range [][]byte{nil, []byte("nonsense, but long enough"), whole.Payload()[:len(whole.Payload())/2]} {
				if raw(codec, 4, payload).Validate(Rules{}) == nil {
					t.Errorf("%v takes %.20q", codec, payload)
				}
			}
			if whole.Validate(Rules{MaxDecompressed: 10}) == nil {
				t.Errorf("%v fits 10 bytes", codec)
			}
			sameRecords(t, collect(t, whole), samples())
		}
	}
	if n := len(coders.workers); n != 0 {
		t.Errorf("%d coders are still at work", n)
	}
}
