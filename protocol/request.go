package protocol

import (
	"context"

	"github.com/bobbin-log/bobbin/protocol/wire"
)

// request is one request while its handler runs.
type request struct {
	// ctx ends with the connection.
	ctx context.Context
	// conn is the connection that it came by.
	conn *conn
	// header is a copy that the handler may keep.
	header wire.RequestHeader
	// body is positioned after the header. Its bytes are the connection's
	// buffer: they are good until the handler returns.
	body *wire.Reader
}

func (r *request) version() int16 { return r.header.RequestApiVersion }

// client is the client's name for itself, which it may choose freely: quote it.
func (r *request) client() string {
	if r.header.ClientId == nil {
		return ""
	}
	return *r.header.ClientId
}

// handler handles one request. A nil answer means that none is sent; an error
// closes the connection.
type handler func(s *Server, r *request) (answer, error)

// plain makes a handler of a function from a decoded request to a response that
// is ready when the function returns.
func plain[Q any, PQ interface {
	*Q
	wire.Message
}, A wire.Message](handle func(s *Server, r *request, q PQ) A) handler {
	return func(s *Server, r *request) (answer, error) {
		q := PQ(new(Q))
		if err := q.Decode(r.body, r.version()); err != nil {
			return nil, err
		}
		return &message{header: r.header, body: handle(s, r, q)}, nil
	}
}
