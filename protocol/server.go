package protocol

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/bobbin-log/bobbin/replication"
)

// ErrServerClosed is returned by [Server.Serve] after Close or Shutdown.
var ErrServerClosed = errors.New("protocol: server closed")

// Options say how a [Server] is made.
type Options struct {
	// Node is the broker that the connections speak to. The Server doesn't
	// close it.
	Node   *replication.Node
	Limits Limits
	// AutoCreateTopics lets Metadata requests create topics
	// (auto.create.topics.enable).
	AutoCreateTopics bool
	// BrokerConfigs are what DescribeConfigs shows of the broker, beside the
	// defaults of topics, which the Node has.
	BrokerConfigs []BrokerConfig
	// UpdateModes say how keys of the broker's can be changed, beside those that set
	// the defaults of topics. What they don't say is taken for the key of a plug-in.
	UpdateModes map[string]UpdateMode
	// Logger gets one line for each connection that broke a rule; nil: none.
	Logger *slog.Logger
}

// Server serves Kafka's protocol on any number of listeners.
type Server struct {
	node       *replication.Node
	limits     Limits
	logger     *slog.Logger
	autoCreate bool

	brokerConfigs []BrokerConfig
	updateModes   map[string]UpdateMode
	apis          apiTable
	buffers       *buffers
	heavy         *semaphore.Weighted // see heavyBytes
	sessions      *sessionCache
	produces      sync.Pool // of *produceAnswer
	fetches       sync.Pool // of *fetchAnswer
	failures      seldom    // lines about appends that failed

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	// drain is closed when Shutdown begins: long polls answer with what there is.
	drain  chan struct{}
	phase  atomic.Int32   // serving, drainingPhase, closedPhase
	tasks  sync.WaitGroup // the sweeper
	served sync.WaitGroup // connections

	mu struct {
		sync.Mutex
		conns     map[*conn]struct{}
		listeners map[net.Listener]struct{}
		refused   int // connections beyond the limit since the last line about it
	}
}

const (
	servingPhase int32 = iota
	drainingPhase
	closedPhase
)

// New returns a Server that serves nothing yet.
func New(o Options) *Server {
	l := o.Limits.withDefaults()
	s := &Server{
		node:       o.Node,
		limits:     l,
		logger:     o.Logger,
		autoCreate: o.AutoCreateTopics,

		brokerConfigs: o.BrokerConfigs,
		updateModes:   o.UpdateModes,
		apis:          newAPITable(),
		buffers:       newBuffers(l.InFlightBytes),
		heavy:         semaphore.NewWeighted(heavyBytes),
		sessions:      newSessionCache(l.FetchSessions),
		drain:         make(chan struct{}),
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mu.conns = map[*conn]struct{}{}
	s.mu.listeners = map[net.Listener]struct{}{}
	s.tasks.Go(s.sweep)
	return s
}

// Serve accepts connections until the listener fails or the Server is closed,
// which closes the listener too. It returns [ErrServerClosed] then. Clients are
// told the brokers' first endpoints.
func (s *Server) Serve(l net.Listener) error { return s.ServeListener("", l) }

// ServeListener is Serve for one of several named listeners: its clients are
// told the brokers' endpoints of the same name.
func (s *Server) ServeListener(name string, l net.Listener) error {
	s.mu.Lock()
	if s.phase.Load() != servingPhase {
		s.mu.Unlock()
		l.Close()
		return ErrServerClosed
	}
	s.mu.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.mu.listeners, l)
		s.mu.Unlock()
		l.Close()
	}()
	for pause := time.Duration(0); ; {
		c, err := l.Accept()
		if err == nil {
			pause = 0
			s.start(name, c)
			continue
		}
		if s.phase.Load() != servingPhase {
			return ErrServerClosed
		}
		if !isExhausted(err) {
			return fmt.Errorf("accepting connections on %v: %w", l.Addr(), err)
		}
		// Out of descriptors or memory: those who are here must go on.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.logger.Warn("cannot accept connections, trying again", "listener", l.Addr(), "why", err, "after", pause)
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
			return ErrServerClosed
		}
	}
}

// start serves one connection, if there is room for it.
func (s *Server) start(listener string, c net.Conn) {
	s.mu.Lock()
	if s.phase.Load() != servingPhase || len(s.mu.conns) >= s.limits.Connections {
		s.mu.refused++
		first := s.mu.refused == 1
		s.mu.Unlock()
		c.Close()
		if first {
			s.logger.Warn("connection refused: there are as many as are allowed",
				"remote", c.RemoteAddr(), "limit", s.limits.Connections)
		}
		return
	}
	s.mu.refused = 0
	k := newConn(s, listener, c)
	s.mu.conns[k] = struct{}{}
	s.served.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.served.Done()
		k.serve()
		s.mu.Lock()
		delete(s.mu.conns, k)
		s.mu.Unlock()
	}()
}

// Connections is the number of open connections.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.conns)
}

// Shutdown stops accepting, lets every request that was read be answered, and
// closes. When ctx ends before, it closes at once and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.phase.CompareAndSwap(servingPhase, drainingPhase) {
		close(s.drain)
	}
	for l := range s.mu.listeners {
		l.Close()
	}
	for c := range s.mu.conns {
		// Wakes the reader, which sees that the server is draining.
		if err := c.net.SetReadDeadline(time.Unix(1, 0)); err != nil {
			c.close(err)
		}
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.served.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.Close()
	<-done
	return err
}

// Close closes all listeners and connections at once and waits until their
// goroutines have ended.
func (s *Server) Close() {
	s.mu.Lock()
	s.phase.Store(closedPhase)
	s.cancel()
	for l := range s.mu.listeners {
		l.Close()
	}
	for c := range s.mu.conns {
		c.net.Close()
	}
	s.mu.Unlock()
	s.tasks.Wait()
	s.served.Wait()
}

// draining reports whether Shutdown was called.
func (s *Server) draining() bool { return s.phase.Load() == drainingPhase }

// stopping reports whether Close was called.
func (s *Server) stopping() bool { return s.phase.Load() == closedPhase }

// isExhausted reports whether accepting failed for want of descriptors or
// memory, or because the peer left first: things that pass.
func isExhausted(err error) bool {
	return slices.ContainsFunc(exhausted(), func(e error) bool { return errors.Is(err, e) })
}
