// Package brokertest runs a real broker inside a Go test, as net/http/httptest
// does a server: the broker of the bobbin command, on a free port of the
// loopback interface, ready when Start returns and gone when the test is over.
//
//	func TestMine(t *testing.T) {
//		b := brokertest.Start(t)
//		client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
//		…
//	}
//
// When the test ends, the broker is stopped and looked over: every log is
// verified in full, every file is closed, every goroutine has ended. What is
// wrong fails the test.
package brokertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/protocol"
	"github.com/bobbin-log/bobbin/replication"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Broker is a running broker.
type Broker struct {
	t       testing.TB
	o       options
	dir     string
	mem     *vfs.Mem // nil: the operating system's files
	files   *countedFS
	addr    string
	pipes   *pipeListener // nil: TCP
	node    *replication.Node
	server  *protocol.Server
	served  chan error
	running bool
	cluster string
}

// Start starts a broker and stops it when the test ends.
func Start(t testing.TB, opts ...Option) *Broker {
	t.Helper()
	b := &Broker{t: t, o: defaults()}
	for _, o := range opts {
		o(&b.o)
	}
	if b.o.memory {
		b.mem, b.dir = vfs.NewMem(), "data"
	} else {
		b.dir = t.TempDir()
	}
	if b.o.piped {
		b.pipes, b.addr = newPipeListener(), "127.0.0.1:9092"
	} else {
		b.addr = HoldPort(t)
	}
	t.Cleanup(b.Stop)
	b.start()
	return b
}

// Addr is the address to bootstrap from, such as "127.0.0.1:40123".
func (b *Broker) Addr() string { return b.addr }

// Dir is the data directory.
func (b *Broker) Dir() string { return b.dir }

// Node is the broker behind the network.
func (b *Broker) Node() *replication.Node { return b.node }

// Server is the broker's network.
func (b *Broker) Server() *protocol.Server { return b.server }

// Dial connects to the broker, whatever the address: hand it to clients of a
// [Piped] broker as their dialer.
func (b *Broker) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if b.pipes != nil {
		return b.pipes.dial(ctx)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, b.addr)
}

// Stop stops the broker cleanly and looks it over. It is called when the test
// ends; calling it again does nothing.
func (b *Broker) Stop() {
	b.t.Helper()
	if !b.running {
		return
	}
	b.running = false
	b.server.Close()
	if err := <-b.served; !errors.Is(err, protocol.ErrServerClosed) {
		b.t.Errorf("the broker stopped serving: %v", err)
	}
	b.check()
	if err := b.node.Close(); err != nil && !b.o.faulty {
		b.t.Errorf("closing the broker: %v", err)
	}
	b.expectNothingLeft()
}

// Kill ends the broker as kill -9 would: what was written stays, nothing is
// synced or closed properly. It needs [InMemory].
func (b *Broker) Kill() {
	b.t.Helper()
	b.die(func() *vfs.Mem { return b.mem.Kill() })
}

// PowerCut ends the broker as a loss of power would: keepPercent of what was not
// synced survives, chosen by the seed. It needs [InMemory].
func (b *Broker) PowerCut(seed uint64, keepPercent int) {
	b.t.Helper()
	b.die(func() *vfs.Mem { return b.mem.Crash(rand.New(rand.NewPCG(seed, seed)), keepPercent) })
}

// die takes the picture of the disk that is left, then lets the old broker, which
// writes to a disk that nobody will see, run out.
func (b *Broker) die(left func() *vfs.Mem) {
	b.t.Helper()
	if b.mem == nil {
		b.t.Fatal("only a broker in memory can be killed inside a test: use brokertest.InMemory")
	}
	if !b.running {
		return
	}
	b.running = false
	b.mem = left()
	b.server.Close()
	if err := <-b.served; !errors.Is(err, protocol.ErrServerClosed) {
		b.t.Errorf("the broker stopped serving: %v", err)
	}
	if err := b.node.Close(); err != nil && !b.o.faulty {
		b.t.Errorf("closing the killed broker: %v", err)
	}
	b.expectNothingLeft()
}

// Restart starts the broker again on what is on its disk, at the same address,
// after a clean stop if it is still running.
func (b *Broker) Restart() {
	b.t.Helper()
	b.Stop()
	b.start()
}

func (b *Broker) start() {
	b.t.Helper()
	var fs vfs.FS = vfs.OS{}
	if b.mem != nil {
		fs = b.mem
	}
	if b.o.wrapFS != nil {
		fs = b.o.wrapFS(fs)
	}
	b.files = &countedFS{FS: fs}
	var err error
	b.labelled(func() { err = b.open(context.Background()) })
	if err != nil {
		b.t.Fatalf("starting a broker: %v", err)
	}
	b.running = true
	b.cluster = b.node.ClusterID()
}

func (b *Broker) open(ctx context.Context) error {
	listener, err := b.listen()
	if err != nil {
		return err
	}
	host, portText, err := net.SplitHostPort(b.addr)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return err
	}
	var logger *slog.Logger
	if b.o.log {
		logger = slog.New(slog.NewTextHandler(b.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	b.node, err = replication.Open(ctx, replication.Options{
		FS: b.files, Dir: b.dir, NodeID: b.o.nodeID, Rack: b.o.rack,
		Listeners:     []replication.Endpoint{{Name: "PLAINTEXT", Host: host, Port: int32(port)}},
		Defaults:      b.o.defaults,
		NumPartitions: b.o.partitions,
		Logger:        logger,
		Fatal: func(err error) {
			if !b.o.faulty {
				b.t.Errorf("the broker's metadata failed: %v", err)
			}
		},
	})
	if err != nil {
		listener.Close()
		return err
	}
	b.server = protocol.New(protocol.Options{
		Node: b.node, Limits: b.o.limits, AutoCreateTopics: b.o.autoCreate,
		Logger: logger,
	})
	b.served = make(chan error, 1)
	server, served := b.server, b.served
	go func() { served <- server.Serve(listener) }()
	return nil
}

func (b *Broker) listen() (net.Listener, error) {
	if b.pipes != nil {
		b.pipes = newPipeListener()
		return b.pipes, nil
	}
	return net.Listen("tcp", b.addr)
}

// CreateTopic makes a topic with the given number of partitions and settings,
// as in "retention.ms=1000".
func (b *Broker) CreateTopic(name string, partitions int32, settings ...string) {
	b.t.Helper()
	spec := replication.TopicSpec{Name: name, Partitions: partitions, Replication: -1}
	for _, s := range settings {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			b.t.Fatalf("setting %q is not of the form key=value", s)
		}
		spec.Configs = append(spec.Configs, replication.Config{Name: key, Value: &value})
	}
	results, err := b.node.CreateTopics(context.Background(), []replication.TopicSpec{spec}, false)
	if err == nil {
		err = results[0].Err
	}
	if err != nil {
		b.t.Fatalf("creating topic %s: %v", name, err)
	}
}

// check verifies every log.
func (b *Broker) check() {
	b.t.Helper()
	if b.o.faulty {
		return
	}
	for t := range b.node.Image().Topics() {
		for i := range t.Partitions {
			p, err := b.node.PartitionByID(t.ID, int32(i))
			var log *engine.Log
			if err == nil {
				log, err = p.Log()
			}
			if err == nil {
				err = log.Check()
			}
			if err != nil {
				b.t.Errorf("%s: %v", path.Join(b.dir, fmt.Sprintf("%s-%d", t.Name, i)), err)
			}
		}
	}
}

func defaults() options {
	return options{nodeID: 1, defaults: engine.DefaultConfig(), partitions: 1}
}
