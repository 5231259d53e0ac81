package protocol

import "time"

// Limits bound what connections may take from the broker. The zero value of a
// field stands for its default.
type Limits struct {
	// FrameBytes is the largest request in bytes (socket.request.max.bytes;
	// default 100 MiB).
	FrameBytes int
	// InFlightBytes bounds the memory of all requests that are being received
	// or handled (queued.max.request.bytes; default 256 MiB). It is at least
	// twice FrameBytes, so that a request of any legal size gets through.
	InFlightBytes int64
	// Connections is how many connections are served at a time
	// (max.connections; default 10,000). More are closed at once.
	Connections int
	// IdleTime is after how long without a request a connection is closed
	// (connections.max.idle.ms; default 10 minutes).
	IdleTime time.Duration
	// TransferGrace and TransferRate are how slow a peer may be: a request, once
	// begun, must arrive within the grace (default 30 s) and as much longer as
	// its bytes take at the rate (default 4096 bytes a second); and an answer
	// be taken likewise.
	TransferGrace time.Duration
	TransferRate  int64
	// FetchBytes bounds one answer to a Fetch (fetch.max.bytes; default 55 MiB).
	FetchBytes int
	// FetchSessions is how many fetch sessions are kept
	// (max.incremental.fetch.session.cache.slots; default 1000).
	FetchSessions int
}

// UnauthenticatedFrameBytes bounds the requests of a peer that has yet to say
// who it is, once listeners ask for it.
const UnauthenticatedFrameBytes = 64 << 10

func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.FrameBytes, 100<<20)
	def(&l.Connections, 10_000)
	def(&l.FetchBytes, 55<<20)
	def(&l.FetchSessions, 1000)
	if l.InFlightBytes == 0 {
		l.InFlightBytes = 256 << 20
	}
	l.InFlightBytes = max(l.InFlightBytes, 2*int64(l.FrameBytes)+smallestBuffer)
	if l.IdleTime == 0 {
		l.IdleTime = 10 * time.Minute
	}
	if l.TransferGrace == 0 {
		l.TransferGrace = 30 * time.Second
	}
	if l.TransferRate == 0 {
		l.TransferRate = 4096
	}
	return l
}
