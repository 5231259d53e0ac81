package protocol_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
)

// exchange sends a request and reads its answer without allocating.
type exchange struct {
	conn    net.Conn
	request []byte
	answer  []byte
	prefix  [4]byte
}

func (e *exchange) run() {
	if _, err := e.conn.Write(e.request); err != nil {
		panic(err)
	}
	if _, err := io.ReadFull(e.conn, e.prefix[:]); err != nil {
		panic(err)
	}
	n := int(binary.BigEndian.Uint32(e.prefix[:]))
	if cap(e.answer) < n {
		e.answer = make([]byte, n)
	}
	if _, err := io.ReadFull(e.conn, e.answer[:n]); err != nil {
		panic(err)
	}
}

// allocations are those of the whole process for one exchange. What else the
// process does meanwhile, and a collection of the pools, can only add to them: what
// is more than allowed is measured again.
func allocations(t testing.TB, b *brokertest.Broker, q kmsg.Request, version int16, allowed float64) (least float64) {
	c := dial(t, b)
	e := &exchange{conn: c.conn, request: c.encoded(q, version)}
	for range 50 { // fills the pools
		e.run()
	}
	least = testing.AllocsPerRun(500, e.run)
	for tries := 0; least > allowed && tries < 20; tries++ {
		least = min(least, testing.AllocsPerRun(500, e.run))
	}
	return least
}

// TestAllocations: what a request allocates doesn't depend on how many records
// it has, and is next to nothing.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	b := brokertest.Start(t, brokertest.Sync("none"))
	b.CreateTopic("t", 1)
	const allowed = 3
	for _, n := range []int{1, 100, 5000} {
		values := make([]string, n)
		for i := range values {
			values[i] = fmt.Sprint("record ", i)
		}
		batch := records(values...)
		for _, version := range []int16{7, 9, 13} {
			got := allocations(t, b, produceRequest("t", topicID(t, b, "t"), 0, 1, batch), version, allowed)
			if got > allowed {
				t.Errorf("Produce v%d with %d records: %.1f allocations, %d allowed", version, n, got, allowed)
			}
			t.Logf("Produce v%d with %d records: %.1f", version, n, got)
		}
		for _, version := range []int16{11, 13, 18} {
			q := fetchRequest("t", topicID(t, b, "t"), 0, 0)
			q.Topics[0].Partitions[0].PartitionMaxBytes = int32(n) * 20
			got := allocations(t, b, q, version, allowed)
			if got > allowed {
				t.Errorf("Fetch v%d of %d bytes: %.1f allocations, %d allowed", version, n*20, got, allowed)
			}
			t.Logf("Fetch v%d of %d bytes: %.1f", version, n*20, got)
		}
	}
}

// BenchmarkProduce is one request and its answer over TCP, one after the other.
func BenchmarkProduce(b *testing.B) {
	for _, sync := range []string{"none", "always"} {
		for _, size := range []int{1 << 10, 16 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("sync=%s/batch=%dKiB", sync, size>>10), func(b *testing.B) {
				br := brokertest.Start(b, brokertest.Sync(sync))
				br.CreateTopic("t", 1)
				c := dial(b, br)
				e := &exchange{conn: c.conn, request: c.encoded(produceRequest("t", [16]byte{}, 0, -1, records(string(make([]byte, size)))), 9)}
				b.SetBytes(int64(len(e.request)))
				b.ReportAllocs()
				for b.Loop() {
					e.run()
				}
			})
		}
	}
}
