package protocol

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"testing"

	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// segmentFile is a file of n random bytes.
func segmentFile(t testing.TB, fs vfs.FS, name string, n int) (vfs.File, []byte) {
	t.Helper()
	f, err := fs.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	data := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(data)
	if _, err := f.WriteAt([][]byte{data}, 0); err != nil {
		t.Fatal(err)
	}
	return f, data
}

// fetchResponse encodes a response with a hole for each extent.
func fetchResponse(w *wire.Writer, extents []segment.Extent) {
	var a wire.FetchResponse
	a.Default()
	topic := wire.Append(&a.Responses)
	for i, e := range extents {
		p := wire.Append(&topic.Partitions)
		p.PartitionIndex = int32(i)
		p.Records = wire.Records{Hole: e.Len(), ID: i}
	}
	w.Reset()
	w.BeginResponse(wire.KeyFetch, 12, 1)
	a.Encode(w, 12)
	_ = w.Finish()
}

// TestSend: every byte arrives at its place, whatever the pieces are and however
// they travel.
func TestSend(t *testing.T) {
	file, data := segmentFile(t, vfs.OS{}, filepath.Join(t.TempDir(), "f"), 3<<20)
	inMemory, _ := segmentFile(t, vfs.NewMem(), "f", 3<<20)
	for _, transport := range []string{"TCP", "pipe"} {
		for _, sizes := range [][]int{
			{}, {1}, {100}, {sendfileFrom - 1}, {sendfileFrom}, {1 << 20}, {3 << 20}, {1, 200_000, 1, 300_000, 5},
			{70_000, 10, 70_000, 10, 70_000}, {largestScratch + 1}, {5000, 5000, 5000}, make2000(),
		} {
			t.Run(fmt.Sprint(transport, " ", len(sizes), " of ", sizes[:min(len(sizes), 5)]), func(t *testing.T) {
				var extents []segment.Extent
				var want bytes.Buffer
				for i, n := range sizes {
					off := (i * 7919) % (3<<20 - n + 1)
					switch i % 3 {
					case 0:
						extents = append(extents, segment.FileExtent(file, int64(off), int64(n), nil, 0))
					case 1:
						extents = append(extents, segment.MemoryExtent(data[off:off+n], nil, 0))
					case 2:
						extents = append(extents, segment.FileExtent(inMemory, int64(off), int64(n), nil, 0))
					}
				}
				var w wire.Writer
				fetchResponse(&w, extents)
				at := 0
				for i, h := range w.Holes() {
					want.Write(w.Bytes()[at:h.At])
					at = h.At
					off := (i * 7919) % (3<<20 - sizes[i] + 1)
					want.Write(data[off : off+sizes[i]])
				}
				want.Write(w.Bytes()[at:])

				here, there := net.Pipe()
				if transport == "TCP" {
					here, there = tcpPair(t)
				}
				pool := newBuffers(1 << 20)
				s := newSender(here, pool)
				failed := make(chan error, 1)
				go func() {
					failed <- s.send(&w, extents)
					here.Close()
				}()
				got, err := io.ReadAll(there)
				if err != nil || !bytes.Equal(got, want.Bytes()) {
					t.Errorf("%d bytes of %d, or others; %v", len(got), want.Len(), err)
				}
				if err := <-failed; err != nil {
					t.Error(err)
				}
				if pool.inUse() != 0 || s.turn.Load()%2 != 0 {
					t.Errorf("%d bytes of memory are still out", pool.inUse())
				}
			})
		}
	}
}

func make2000() []int {
	sizes := make([]int, 2000)
	for i := range sizes {
		sizes[i] = 100 + i
	}
	return sizes
}

// TestSendTruncated: a file that lost its bytes ends the sending with an error.
func TestSendTruncated(t *testing.T) {
	for _, n := range []int64{1000, 1 << 20} {
		file, _ := segmentFile(t, vfs.OS{}, filepath.Join(t.TempDir(), "f"), 500)
		here, there := tcpPair(t)
		go func() { _, _ = io.Copy(io.Discard, there) }()
		extents := []segment.Extent{segment.FileExtent(file, 0, n, nil, 0)}
		var w wire.Writer
		fetchResponse(&w, extents)
		if err := newSender(here, newBuffers(1<<20)).send(&w, extents); err == nil {
			t.Errorf("%d bytes were sent of a file of 500", n)
		}
	}
}

// BenchmarkSend compares the ways to send the ranges of a file, by their size
// and number. sendfileFrom is where they cross.
func BenchmarkSend(b *testing.B) {
	for _, pieces := range []int{1, 10} {
		for _, size := range []int{1 << 10, 4 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20} {
			for _, design := range []struct {
				name string
				from int64
			}{{"sendfile", 0}, {"pread", 1 << 40}} {
				b.Run(fmt.Sprintf("design=%s/pieces=%d/size=%dKiB", design.name, pieces, size>>10), func(b *testing.B) {
					benchmarkSend(b, design.from, pieces, size)
				})
			}
		}
	}
}

func benchmarkSend(b *testing.B, sendfileFrom int64, pieces, size int) {
	file, _ := segmentFile(b, vfs.OS{}, filepath.Join(b.TempDir(), "f"), 16<<20)
	var extents []segment.Extent
	for i := range pieces {
		extents = append(extents, segment.FileExtent(file, int64(i*7919*64%(15<<20)), int64(size), nil, 0))
	}
	var w wire.Writer
	fetchResponse(&w, extents)
	here, there := tcpPair(b)
	s := newSender(here, newBuffers(1<<30))
	s.sendfile = sendfileFrom
	// The peer takes one answer, then asks for the next, as a consumer does.
	go func() {
		answer, one := make([]byte, w.Size()), []byte{1}
		for {
			if _, err := io.ReadFull(there, answer); err != nil {
				return
			}
			_, _ = there.Write(one)
		}
	}()
	b.SetBytes(w.Size())
	b.ReportAllocs()
	ask := make([]byte, 1)
	for b.Loop() {
		if err := s.send(&w, extents); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(here, ask); err != nil {
			b.Fatal(err)
		}
	}
}
