package protocol

import (
	"github.com/bobbin-log/bobbin/protocol/wire"
)

// InitProducerId, versions 0 to 5.
//
//	2  flexible
//	3  the producer's present id and epoch, for transactions
//	4  PRODUCER_FENCED, 5 transactions v2
//
// A producer without a transactional id gets a new producer id whatever it had
// before. One with it is refused (see errTransactions): it asks a coordinator
// first, and finds that FindCoordinator isn't there; this is for those that
// don't ask.

func (s *Server) initProducerID(r *request, q *wire.InitProducerIdRequest) *wire.InitProducerIdResponse {
	a := new(wire.InitProducerIdResponse)
	a.Default()
	a.ProducerEpoch = -1
	switch {
	case q.TransactionalId != nil:
		a.ErrorCode = codeOf(errTransactions)
		return a
	case (q.ProducerId == -1) != (q.ProducerEpoch == -1):
		a.ErrorCode = codeInvalidRequest
		return a
	}
	id, err := s.node.NextProducerID(r.ctx)
	if err != nil {
		a.ErrorCode = codeOf(err)
		s.logger.Warn("no producer id", "why", err)
		return a
	}
	a.ProducerId, a.ProducerEpoch = id, 0
	return a
}
