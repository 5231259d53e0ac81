package protocol_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
)

// BenchmarkFetch is one fetch and its answer over TCP, one after the other:
// design=broker is ours, design=bare a loop that reads the same request, writes
// a header of the same size and sends the range of a file by sendfile.
func BenchmarkFetch(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("design=bare/max=%dKiB", size>>10), func(b *testing.B) {
			_, request := fetchExchange(b, size)
			benchmarkExchange(b, &exchange{conn: bareFetch(b, len(request), size), request: request}, size)
		})
		b.Run(fmt.Sprintf("design=broker/max=%dKiB", size>>10), func(b *testing.B) {
			c, request := fetchExchange(b, size)
			benchmarkExchange(b, &exchange{conn: c, request: request}, size)
		})
	}
}

func benchmarkExchange(b *testing.B, e *exchange, size int) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		e.run()
	}
}

// fetchExchange returns a connection to a broker with more than size bytes, and
// a request for so many of them.
func fetchExchange(b *testing.B, size int) (net.Conn, []byte) {
	br := brokertest.Start(b, brokertest.Sync("none"))
	br.CreateTopic("t", 1)
	c := dial(b, br)
	for range size>>14 + 1 {
		mustProduce(c, "t", records(string(make([]byte, 16<<10))))
	}
	q := fetchRequest("t", [16]byte{}, 0, 0)
	q.Topics[0].Partitions[0].PartitionMaxBytes = int32(size)
	return c.conn, c.encoded(q, 12)
}

// bareFetch answers requests of so many bytes with 71 bytes of header and size
// bytes of a file.
func bareFetch(b *testing.B, request, size int) net.Conn {
	f, err := os.Create(filepath.Join(b.TempDir(), "f"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	if _, err := f.Write(make([]byte, size)); err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close(); s.Close() })
	raw, err := s.(*net.TCPConn).SyscallConn()
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		header, in := make([]byte, 71), make([]byte, request)
		binary.BigEndian.PutUint32(header, uint32(len(header)-4+size))
		for {
			if _, err := io.ReadFull(s, in); err != nil {
				return
			}
			if _, err := s.Write(header); err != nil {
				return
			}
			off, left := int64(0), size
			if err := raw.Write(func(fd uintptr) bool {
				for left > 0 {
					n, err := unix.Sendfile(int(fd), int(f.Fd()), &off, left)
					if err == unix.EAGAIN {
						return false
					}
					if err != nil {
						return true
					}
					left -= n
				}
				return true
			}); err != nil || left > 0 {
				return
			}
		}
	}()
	return c
}
