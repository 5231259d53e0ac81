package protocol_test

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol"
	"github.com/bobbin-log/bobbin/protocol/brokertest"
)

// FuzzFrames sends arbitrary bytes to a broker. Whatever they are, the broker
// takes no harm: it answers or closes the connection in bounded time and memory,
// and serves others as before.
func FuzzFrames(f *testing.F) {
	for _, k := range advertised {
		for _, version := range []int16{k.MinVersion, k.MaxVersion} {
			if q := sample(k.ApiKey, version, [16]byte{1}); q != nil {
				q.SetVersion(version)
				one := frame(k.ApiKey, version, 1, q.IsFlexible(), q.AppendTo(nil))
				f.Add(one)
				f.Add(append(one, one...))
				f.Add(one[:len(one)-3])
			}
		}
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte{0, 0, 0, 0})
	b := brokertest.Start(f, brokertest.InMemory(), brokertest.Sync("none"),
		brokertest.Limits(protocol.Limits{FrameBytes: 1 << 20}))
	b.CreateTopic("t", 2)
	f.Fuzz(func(t *testing.T, input []byte) {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Skip(err) // the machine has no port left
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		go func() {
			_, _ = conn.Write(input)
			_ = conn.(*net.TCPConn).CloseWrite()
		}()
		if _, err := io.Copy(io.Discard, conn); err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Errorf("the connection hangs")
			}
		}
		var m runtime.MemStats
		if runtime.ReadMemStats(&m); m.HeapInuse > 512<<20 {
			runtime.GC() // of what other tests have left
			runtime.ReadMemStats(&m)
		}
		if m.HeapInuse > 512<<20 {
			t.Errorf("the heap has %d MiB", m.HeapInuse>>20)
		}
		ask[*kmsg.ApiVersionsResponse](dial(t, b), kmsg.NewPtrApiVersionsRequest(), 0)
	})
}
