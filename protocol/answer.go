package protocol

import (
	"context"

	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/segment"
)

// answer is what a handler leaves behind for a request.
//
// The goroutine that holds it calls wait unless ready, then encode, sends, and
// calls done; or done alone, if the connection ended before.
type answer interface {
	// ready reports whether it can be encoded now.
	ready() bool
	// wait returns once it can be encoded, or with ctx's error.
	wait(ctx context.Context) error
	// encode appends the answer's frame.
	encode(w *wire.Writer)
	// extents fill the holes of the frame, by their IDs.
	extents() []segment.Extent
	// done gives back what the answer holds. It is called exactly once.
	done()
}

// brief is an answer that waits for nothing but this broker's disk. Where nothing
// else is to be done, the reading goroutine waits for it itself; else start has
// the wait begin while the answer stands in line.
type brief interface {
	answer
	start()
}

// message is an answer that is ready from the start.
type message struct {
	header wire.RequestHeader
	body   wire.Message
}

func (m *message) ready() bool                { return true }
func (m *message) wait(context.Context) error { return nil }
func (m *message) extents() []segment.Extent  { return nil }
func (m *message) done()                      {}

func (m *message) encode(w *wire.Writer) { encode(w, &m.header, m.body) }

// encode appends the frame that answers a request.
func encode(w *wire.Writer, h *wire.RequestHeader, body wire.Message) {
	w.BeginResponse(h.RequestApiKey, h.RequestApiVersion, h.CorrelationId)
	body.Encode(w, h.RequestApiVersion)
	// The Writer keeps the error for whoever sends.
	_ = w.Finish()
}
