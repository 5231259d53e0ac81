package protocol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bobbin-log/bobbin/protocol/wire"
)

const (
	// maxWaiting is how many answers of a connection may wait in line. Then its
	// next request is not read, and the peer's socket fills up.
	maxWaiting = 64
	// gatherBytes is how many bytes of answers are gathered at most, while more
	// requests are in the buffer, before they are sent.
	gatherBytes = 64 << 10
	// keepBytes is the largest encoding buffer that a connection keeps.
	keepBytes = 64 << 10
)

// conn is one connection: see the package's comment. Its fields belong to the
// goroutine that runs serve, except where it says otherwise.
type conn struct {
	server   *Server
	listener string // the name of the listener that it came by
	net      net.Conn
	ctx      context.Context // ends when the connection does
	cancel   context.CancelFunc

	frames *frames
	reader wire.Reader
	req    request

	// sender and out belong to serve as long as waiting is zero and to drain
	// otherwise. out holds encoded answers that were not sent yet.
	sender *sender
	out    wire.Writer

	// waiting counts the answers that were put in line and are not yet sent.
	// Invariant: only serve adds to it, only drain takes from it.
	waiting atomic.Int32
	line    chan answer   // made with the first answer that waits
	empty   chan struct{} // gets a token when waiting falls to zero
	drained sync.WaitGroup

	// failed is why sending failed, set before ctx is cancelled for it.
	failed atomic.Pointer[error]

	// The sweeper's view.
	requests atomic.Uint64 // that were read
	seen     struct {      // belongs to the sweeper
		in, out  watch
		requests uint64
		idle     time.Time
	}
}

// errSwept is wrapped by the reasons for which the sweeper closes connections.
var errSwept = errors.New("too slow")

func newConn(s *Server, listener string, c net.Conn) *conn {
	k := &conn{server: s, listener: listener, net: c, empty: make(chan struct{}, 1)}
	k.ctx, k.cancel = context.WithCancel(s.ctx)
	k.frames = newFrames(c, s.buffers, s.limits.FrameBytes)
	k.sender = newSender(c, s.buffers)
	k.req = request{ctx: k.ctx, conn: k, body: &k.reader}
	return k
}

// serve handles requests until the peer hangs up, breaks the protocol, or the
// server stops. It logs why, unless the peer just left.
func (c *conn) serve() {
	err := c.requestsUntilError()
	if c.server.draining() && errors.Is(err, os.ErrDeadlineExceeded) {
		// Everything that was read gets its answer.
		if err = c.settle(); err == nil {
			err = c.flush()
		}
	}
	c.cancel()
	c.net.Close()
	c.drained.Wait()
	for len(c.line) > 0 {
		(<-c.line).done()
	}
	c.frames.release()
	c.report(err)
}

func (c *conn) requestsUntilError() error {
	for {
		frame, err := c.frames.next(c.ctx)
		if err != nil {
			return err
		}
		c.requests.Add(1)
		if err := c.handle(frame); err != nil {
			return err
		}
		if c.frames.buffered() && !c.gathered() {
			continue
		}
		if err := c.flush(); err != nil {
			return err
		}
	}
}

// handle handles one request and answers it, or puts its answer in line.
func (c *conn) handle(frame []byte) error {
	c.reader.Reset(frame)
	header, err := wire.DecodeRequestHeader(&c.reader)
	if err != nil {
		return err
	}
	c.req.header = header
	api, err := c.server.api(&c.req)
	if err != nil {
		return err
	}
	if !api.pipelined && c.waiting.Load() > 0 {
		c.reader.Reset(c.frames.shrink(frame))
		if c.req.header, err = wire.DecodeRequestHeader(&c.reader); err != nil {
			return err
		}
		if err := c.settle(); err != nil {
			return err
		}
	}
	if weight := heavyWeight(api.key, len(frame)); weight > 0 {
		return c.handleHeavy(api, weight)
	}
	a, err := c.call(api)
	if err != nil || a == nil {
		return err
	}
	if c.waiting.Load() == 0 && a.ready() {
		return c.emit(a)
	}
	if b, ok := a.(brief); ok {
		if c.waiting.Load() == 0 && !c.frames.buffered() {
			return c.await(b)
		}
		b.start()
	}
	return c.enqueue(a)
}

// call has the request handled.
func (c *conn) call(api *api) (answer, error) {
	a, err := api.handle(c.server, &c.req)
	if err != nil {
		return nil, fmt.Errorf("%s v%d: %w", api.name(), c.req.version(), err)
	}
	return a, nil
}

// await waits for an answer in the goroutine that reads: nothing is in line
// before it, and nothing has come after it.
func (c *conn) await(a answer) error {
	err := c.flush()
	if err == nil {
		err = a.wait(c.ctx)
	}
	if err != nil {
		a.done()
		return err
	}
	return c.emit(a)
}

// emit encodes an answer that is ready. If it has extents it is sent at once.
func (c *conn) emit(a answer) error {
	a.encode(&c.out)
	if err := c.out.Err(); err != nil {
		a.done()
		return fmt.Errorf("encoding an answer: %w", err)
	}
	if len(c.out.Holes()) == 0 {
		a.done()
		return nil
	}
	err := c.send(a)
	a.done()
	return err
}

// gathered reports whether enough answers were gathered to send them.
func (c *conn) gathered() bool {
	return c.waiting.Load() == 0 && len(c.out.Bytes()) >= gatherBytes
}

// flush sends the answers that were gathered.
func (c *conn) flush() error {
	if c.waiting.Load() > 0 || len(c.out.Bytes()) == 0 {
		return nil
	}
	return c.send(nil)
}

// send sends what is encoded; the extents are those of a, which may be nil.
func (c *conn) send(a answer) error {
	var err error
	if a != nil {
		err = c.sender.send(&c.out, a.extents())
	} else {
		err = c.sender.send(&c.out, nil)
	}
	if cap(c.out.Bytes()) > keepBytes {
		c.out = wire.Writer{}
	}
	c.out.Reset()
	return err
}

// enqueue puts an answer in line.
func (c *conn) enqueue(a answer) error {
	if err := c.flush(); err != nil {
		a.done()
		return err
	}
	if c.line == nil {
		c.line = make(chan answer, maxWaiting)
		c.drained.Go(c.drain)
	}
	c.waiting.Add(1)
	select {
	case c.line <- a:
		return nil
	case <-c.ctx.Done():
		c.waiting.Add(-1)
		a.done()
		return c.ctx.Err()
	}
}

// settle waits until every answer in line was sent.
func (c *conn) settle() error {
	for c.waiting.Load() > 0 {
		select {
		case <-c.empty:
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
	return nil
}

// drain is the second goroutine: it waits for the answers in line, one after
// the other, and sends them. It ends with the connection.
func (c *conn) drain() {
	if err := c.drainUntilError(); err != nil && c.ctx.Err() == nil {
		c.close(err)
	}
}

func (c *conn) drainUntilError() error {
	encoded := int32(0) // answers in out
	for {
		var a answer
		if encoded > 0 && len(c.out.Bytes()) < gatherBytes {
			select {
			case a = <-c.line:
			default:
			}
		}
		if a == nil || !a.ready() {
			if err := c.sendEncoded(&encoded, nil); err != nil {
				if a != nil {
					a.done()
				}
				return err
			}
		}
		if a == nil {
			select {
			case a = <-c.line:
			case <-c.ctx.Done():
				return c.ctx.Err()
			}
		}
		if err := a.wait(c.ctx); err != nil {
			a.done()
			return err
		}
		a.encode(&c.out)
		encoded++
		err := c.out.Err()
		if err == nil && len(c.out.Holes()) > 0 {
			err = c.sendEncoded(&encoded, a)
		}
		a.done()
		if err != nil {
			return err
		}
	}
}

// sendEncoded sends the answers in out and takes them off the line. From then
// on out and sender may be serve's.
func (c *conn) sendEncoded(encoded *int32, a answer) error {
	if *encoded == 0 {
		return nil
	}
	if err := c.send(a); err != nil {
		return err
	}
	n := *encoded
	*encoded = 0
	if c.waiting.Add(-n) == 0 {
		select {
		case c.empty <- struct{}{}:
		default:
		}
	}
	return nil
}

// close ends the connection for a reason that serve will report.
func (c *conn) close(why error) {
	c.failed.CompareAndSwap(nil, &why)
	c.cancel()
	c.net.Close()
}

// report writes the one line that a connection's end is worth.
func (c *conn) report(err error) {
	if failed := c.failed.Load(); failed != nil {
		err = *failed
	}
	level := slog.LevelWarn
	switch {
	case c.server.stopping() || c.server.draining():
		level = slog.LevelDebug
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, errIdle), isReset(err):
		level = slog.LevelDebug // the peer left
	}
	c.server.logger.Log(context.Background(), level, "connection closed",
		"remote", c.net.RemoteAddr(), "client", fmt.Sprintf("%q", c.req.client()), "why", err)
}
