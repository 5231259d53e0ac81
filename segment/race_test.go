package segment_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bobbin-log/bobbin/segment"
)

// TestReadersBesideAppenderAndTruncator lets many readers look while one
// goroutine appends, truncates and syncs. Every word has its own complement in
// it, so a reader knows torn bytes when it sees them, and it reads each Extent
// twice: what is pinned must not change.
func TestReadersBesideAppenderAndTruncator(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		seg := s.create(t)
		var stop atomic.Bool
		var readers sync.WaitGroup
		for seed := range uint64(4) {
			readers.Go(func() {
				rng := rand.New(rand.NewPCG(seed, 1))
				for !stop.Load() {
					if !readOnce(t, seg, rng) {
						return
					}
				}
			})
		}
		readers.Go(func() {
			for !stop.Load() {
				if err := seg.Sync(); err != nil {
					t.Errorf("Sync: %v", err)
					return
				}
			}
		})
		rng := rand.New(rand.NewPCG(0, 2))
		for range 1000 {
			var err error
			if size := seg.Size() / word; size > 0 && rng.IntN(10) == 0 {
				err = seg.Truncate((size - rng.Int64N(min(size, 100)+1)) * word)
			} else {
				b := make([]byte, word)
				v := rng.Uint32()
				binary.NativeEndian.PutUint64(b, uint64(v)<<32|uint64(^v))
				b = bytes.Repeat(b, 1+rng.IntN(200))
				_, err = appendTo(seg, [][]byte{b[:len(b)/2], b[len(b)/2:]})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		stop.Store(true)
		readers.Wait()
	})
}

// word is the length of the pattern that appends are made of, in bytes.
const word = 8

// readOnce takes an Extent near the end and reads it twice.
func readOnce(t *testing.T, seg segment.Segment, rng *rand.Rand) bool {
	size := seg.Size() / word
	pos := max(0, size-rng.Int64N(500)) * word
	e, err := seg.Extent(t.Context(), pos, word*(1+rng.Int64N(600)))
	if err != nil {
		t.Errorf("Extent: %v", err)
		return false
	}
	defer e.Release()
	first, second := make([]byte, e.Len()), make([]byte, e.Len())
	for _, p := range [][]byte{first, second} {
		if n, err := e.ReadAt(p, 0); n < len(p) {
			t.Errorf("ReadAt of an Extent of %d bytes: %d, %v", e.Len(), n, err)
			return false
		}
	}
	if !bytes.Equal(first, second) {
		t.Error("bytes changed under an Extent")
		return false
	}
	if e.Len()%word != 0 {
		t.Errorf("an Extent ends inside an append: %d bytes", e.Len())
		return false
	}
	for at := 0; at < len(first); at += word {
		if v := binary.NativeEndian.Uint64(first[at:]); uint32(v>>32) != ^uint32(v) {
			t.Errorf("torn bytes at %d: %x", pos+int64(at), v)
			return false
		}
	}
	return true
}

// Close may come while everything else goes on. Nobody may see freed memory,
// another error than ErrClosed, or wrong bytes.
func TestCloseBesideReaders(t *testing.T) {
	forEach(t, func(t *testing.T, s subject) {
		seg := s.create(t)
		add(t, seg, "0123456789")
		var readers sync.WaitGroup
		started := make(chan struct{}, 4)
		for range 4 {
			readers.Go(func() {
				started <- struct{}{}
				for {
					e, err := seg.Extent(t.Context(), 2, 3)
					if err != nil {
						if !errors.Is(err, segment.ErrClosed) {
							t.Errorf("Extent: %v", err)
						}
						return
					}
					p := make([]byte, 3)
					if n, err := e.ReadAt(p, 0); string(p[:n]) != "234" {
						t.Errorf("read %q, %v", p[:n], err)
					}
					e.Release()
					if n, err := seg.ReadAt(p, 5); !errors.Is(err, segment.ErrClosed) && (err != nil || string(p[:n]) != "567") {
						t.Errorf("read %q, %v", p[:n], err)
					}
				}
			})
		}
		for range 4 {
			<-started
		}
		if err := seg.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		readers.Wait()
	})
}
