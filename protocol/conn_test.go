package protocol_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/protocol"
	"github.com/bobbin-log/bobbin/protocol/brokertest"
	"github.com/bobbin-log/bobbin/protocol/wire"
)

// lines collects a log.
type lines struct {
	mu struct {
		sync.Mutex
		bytes.Buffer
	}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.Buffer.Write(p)
}

func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := strings.TrimSpace(l.mu.String())
	l.mu.Reset()
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// metadataFrame is a small request that succeeds.
func metadataFrame() []byte {
	q := kmsg.NewPtrMetadataRequest()
	q.SetVersion(12)
	return frame(wire.KeyMetadata, 12, 1, true, q.AppendTo(nil))
}

// TestBadFrames: what isn't Kafka's protocol closes the connection with one line
// in the log, which says who and why, and quotes what the peer chose.
func TestBadFrames(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	log := &lines{}
	s := protocol.New(protocol.Options{Node: b.Node(), Logger: slog.New(slog.NewTextHandler(log, nil)), Limits: protocol.Limits{FrameBytes: 1 << 20}})
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	evil := frame(999, 0, 1, false, nil)
	copy(evil[14:], "\n\x1b[m")
	for _, c := range []struct {
		name  string
		bytes []byte
		why   string
	}{
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), "the most is 1048576 (socket.request.max.bytes)"},
		{"TLS", []byte{0x16, 3, 1, 2, 0, 1, 0, 1}, "socket.request.max.bytes"},
		{"negative length", []byte{0xff, 0xff, 0xff, 0xff}, "length -1"},
		{"empty", []byte{0, 0, 0, 0}, "length 0"},
		{"no header", []byte{0, 0, 0, 8, 0, 3, 0, 1, 0, 0, 0, 1}, "RequestHeader"},
		{"unknown key", frame(999, 0, 1, false, nil), "999"},
		{"unknown key after a good request", append(metadataFrame(), evil...), "unknown API key 999"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			_, _ = conn.Write(c.bytes)
			if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the connection wasn't closed: %v", err)
			}
			waitFor(t, func() bool { return s.Connections() == 0 })
			got := log.take()
			if len(got) != 1 || !strings.Contains(got[0], c.why) || !strings.Contains(got[0], conn.LocalAddr().String()) {
				t.Errorf("%d lines: %q; want one with %q", len(got), got, c.why)
			}
			if strings.Contains(strings.Join(got, ""), "\x1b") {
				t.Errorf("the log has what the peer sent: %q", got)
			}
		})
	}
	// One that just leaves is worth no line.
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Write(metadataFrame())
	_, _ = io.ReadFull(conn, make([]byte, 4))
	conn.Close()
	waitFor(t, func() bool { return s.Connections() == 0 })
	if got := log.take(); got != nil {
		t.Errorf("a line for a peer that left: %q", got)
	}
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for end := time.After(patience); !condition(); {
		select {
		case <-end:
			t.Fatal("it never came to pass")
		case <-time.After(time.Millisecond):
		}
	}
}

// TestSlowPeers: virtual time shows what minutes of waiting do.
func TestSlowPeers(t *testing.T) {
	for _, c := range []struct {
		name string
		peer func(ctx context.Context, conn net.Conn)
		// The connection's life is in [from, to].
		from, to time.Duration
	}{
		{"idle", func(context.Context, net.Conn) {}, 10 * time.Minute, 10*time.Minute + 3*time.Second},
		{"half a prefix", func(_ context.Context, c net.Conn) { _, _ = c.Write([]byte{0, 0}) }, 30 * time.Second, 33 * time.Second},
		{"a byte a second", func(ctx context.Context, c net.Conn) {
			for _, b := range append([]byte{0, 16, 0, 0}, make([]byte, 4096)...) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}, 30 * time.Second, 33 * time.Second},
		{"an answer that nobody takes", func(_ context.Context, c net.Conn) { _, _ = c.Write(metadataFrame()) }, 30 * time.Second, 33 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.Start(t, brokertest.InMemory(), brokertest.Piped())
				conn, err := b.Dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				start := time.Now()
				synctest.Wait()
				var peer sync.WaitGroup
				peer.Go(func() { c.peer(t.Context(), conn) })
				for b.Server().Connections() > 0 && time.Since(start) < time.Hour {
					time.Sleep(time.Second)
				}
				if life := time.Since(start); life < c.from || life > c.to {
					t.Errorf("closed after %v, want %v to %v", life, c.from, c.to)
				}
				conn.Close()
				peer.Wait() // no goroutine may outlive the bubble
			})
		})
	}
}

// TestSlowButHonest: a peer on a thin line gets its request through.
func TestSlowButHonest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.Start(t, brokertest.InMemory(), brokertest.Piped())
		b.CreateTopic("t", 1)
		conn, err := b.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		q := produceRequest("t", [16]byte{}, 0, -1, records(strings.Repeat("x", 1_000_000)))
		q.SetVersion(9)
		request := frame(0, 9, 1, true, q.AppendTo(nil))
		for len(request) > 0 {
			n := min(8192, len(request))
			_, _ = conn.Write(request[:n])
			request = request[n:]
			time.Sleep(time.Second)
		}
		if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
			t.Errorf("no answer: %v", err)
		}
	})
}

// TestManyFrames: frames in all sizes and cut anywhere are read alike, from
// sockets and from pipes.
func TestManyFrames(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []brokertest.Option
	}{{"TCP", nil}, {"pipe", []brokertest.Option{brokertest.Piped()}}} {
		t.Run(c.name, func(t *testing.T) {
			b := brokertest.Start(t, append(c.opts, brokertest.InMemory(), brokertest.Sync("none"),
				brokertest.Defaults(func(c *engine.Config) { c.MaxMessageBytes = 8 << 20 }))...)
			b.CreateTopic("t", 1)
			k := dial(t, b)
			sizes := []int{1, 100, 10_000, 60_000, 69_000, 70_000, 5, 200_000, 1 << 20, 3_000_000, 7_000_000, 10, 69_400, 69_500, 69_600, 69_632, 1}
			var all []byte
			var asked []kmsg.Request
			for _, n := range sizes {
				q := produceRequest("t", [16]byte{}, 0, 1, records(strings.Repeat("x", n)))
				all = append(all, k.encoded(q, 9)...)
				asked = append(asked, q)
			}
			go func() {
				for step := 1; len(all) > 0; step = step*7%65_537 + 1 {
					n := min(step, len(all))
					if _, err := k.conn.Write(all[:n]); err != nil {
						return
					}
					all = all[n:]
				}
			}()
			for i, q := range asked {
				p := produced(k.receive(q, int32(i+1)).(*kmsg.ProduceResponse))
				if p.ErrorCode != 0 || p.BaseOffset != int64(i) {
					t.Errorf("a record of %d bytes: code %d, offset %d", sizes[i], p.ErrorCode, p.BaseOffset)
				}
			}
		})
	}
}

// TestMaxConnections: one more than allowed is closed at once, and when one
// leaves the next is served.
func TestMaxConnections(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.Limits(protocol.Limits{Connections: 2}))
	first, second := dial(t, b), dial(t, b)
	for _, c := range []*client{first, second} {
		ask[*kmsg.MetadataResponse](c, kmsg.NewPtrMetadataRequest(), 12)
	}
	dial(t, b).expectClosed()
	first.conn.Close()
	waitFor(t, func() bool { return b.Server().Connections() == 1 })
	ask[*kmsg.MetadataResponse](dial(t, b), kmsg.NewPtrMetadataRequest(), 12)
}

// exhaustedListener fails to accept a few times before each connection.
type exhaustedListener struct {
	net.Listener
	left int
}

func (l *exhaustedListener) Accept() (net.Conn, error) {
	if l.left > 0 {
		l.left--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	l.left = 5
	return l.Listener.Accept()
}

// TestAcceptExhausted: a process without free descriptors goes on when it has
// some again.
func TestAcceptExhausted(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := protocol.New(protocol.Options{Node: b.Node()})
	served := make(chan error, 1)
	go func() { served <- s.Serve(&exhaustedListener{Listener: l, left: 5}) }()
	for range 2 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		_, _ = conn.Write(metadataFrame())
		if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
			t.Error(err)
		}
		conn.Close()
	}
	s.Close()
	if err := <-served; !errors.Is(err, protocol.ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
	if err := s.Serve(l); !errors.Is(err, protocol.ErrServerClosed) {
		t.Errorf("Serve after Close returned %v", err)
	}
}

// TestShutdown closes connections on which nothing is under way.
func TestShutdown(t *testing.T) {
	b := brokertest.Start(t)
	b.CreateTopic("t", 1)
	idle, works := dial(t, b), dial(t, b)
	mustProduce(works, "t", records("x"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Server().Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	for _, c := range []*client{idle, works} {
		c.expectClosed()
	}
}

// TestShutdownWhileWaiting: a long poll is answered with what there is.
func TestShutdownWhileWaiting(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	c := dial(t, b)
	q := fetchRequest("t", [16]byte{}, 0, 0)
	q.MaxWaitMillis = 24 * 60 * 60 * 1000
	m := kmsg.NewPtrMetadataRequest()
	c.write(append(c.encoded(m, 12), c.encoded(q, 12)...)) // in one piece, so both are read
	c.receive(m, c.next-1)
	done := make(chan error, 1)
	go func() { done <- b.Server().Shutdown(context.Background()) }()
	if p := fetched(c.receive(q, c.next).(*kmsg.FetchResponse)); p.ErrorCode != 0 {
		t.Errorf("code %d", p.ErrorCode)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestLargeFrameLimit: a request as large as allowed passes, one byte more
// doesn't, and neither is believed before its bytes have come.
func TestLargeFrameLimit(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.Limits(protocol.Limits{FrameBytes: 10 << 20}))
	for _, c := range []struct {
		size   int
		closed bool
	}{{10 << 20, false}, {10<<20 + 1, true}} {
		k := dial(t, b)
		prefix := binary.BigEndian.AppendUint32(nil, uint32(c.size))
		k.write(prefix)
		if c.closed {
			k.expectClosed()
			continue
		}
		// A Produce for a topic that isn't there, padded by its records.
		q := produceRequest("nope", [16]byte{}, 0, 1, nil)
		q.SetVersion(3)
		q.Topics[0].Partitions[0].Records = make([]byte, c.size-len(frame(0, 3, 1, false, q.AppendTo(nil)))+4)
		k.write(frame(0, 3, 1, false, q.AppendTo(nil))[4:])
		if p := produced(k.receive(q, 1).(*kmsg.ProduceResponse)); p.ErrorCode != 3 {
			t.Errorf("%d bytes: code %d", c.size, p.ErrorCode)
		}
	}
}
