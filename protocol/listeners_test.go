package protocol_test

import (
	"bytes"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol"
	"github.com/bobbin-log/bobbin/protocol/brokertest"
	"github.com/bobbin-log/bobbin/replication"
)

// TestListeners: clients are told the endpoint of the listener that they came
// by, and a listener without a name tells the first.
func TestListeners(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	err := b.Node().SetListeners(t.Context(), []replication.Endpoint{
		{Name: "INSIDE", Host: "inside", Port: 1}, {Name: "OUTSIDE", Host: "outside", Port: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := protocol.New(protocol.Options{Node: b.Node()})
	defer s.Close()
	for name, want := range map[string]string{"": "inside:1", "INSIDE": "inside:1", "OUTSIDE": "outside:2", "NONE": ""} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = s.ServeListener(name, l) }()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(patience))
		c := &client{t: t, conn: conn}
		var metadata, cluster string
		for _, x := range ask[*kmsg.MetadataResponse](c, metadataRequest(), 12).Brokers {
			metadata += fmt.Sprint(x.Host, ":", x.Port)
		}
		for _, x := range ask[*kmsg.DescribeClusterResponse](c, &kmsg.DescribeClusterRequest{EndpointType: 1}, 1).Brokers {
			cluster += fmt.Sprint(x.Host, ":", x.Port)
		}
		if metadata != want || cluster != want {
			t.Errorf("listener %q: %q and %q, want %q", name, metadata, cluster, want)
		}
	}
}

// countedListener counts what its connections write.
type countedListener struct {
	net.Listener
	writes atomic.Int64
}

type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (l *countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countedConn{c, &l.writes}, nil
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// TestGathering: the answers to requests that came together leave together.
func TestGathering(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.Sync("none"))
	b.CreateTopic("t", 1)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &countedListener{Listener: tcp}
	s := protocol.New(protocol.Options{Node: b.Node()})
	defer s.Close()
	go func() { _ = s.Serve(l) }()
	conn, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	c := &client{t: t, conn: conn}
	const n = 100
	q := produceRequest("t", [16]byte{}, 0, 1, records("x"))
	var all bytes.Buffer
	for range n {
		all.Write(c.encoded(q, 9))
	}
	c.write(all.Bytes())
	for i := range int32(n) {
		if p := produced(c.receive(q, i+1).(*kmsg.ProduceResponse)); p.ErrorCode != 0 || p.BaseOffset != int64(i) {
			t.Errorf("answer %d: code %d, offset %d", i, p.ErrorCode, p.BaseOffset)
		}
	}
	if w := l.writes.Load(); w > n/10 {
		t.Errorf("%d answers took %d writes", n, w)
	}
}
