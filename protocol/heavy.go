package protocol

import (
	"golang.org/x/sync/semaphore"

	"github.com/bobbin-log/bobbin/protocol/wire"
)

// A list costs more in memory than on the wire: a Fetch may name a partition in
// 16 bytes, which become a request's element, what is read of it, and a response's
// element. So requests without records that are large are let in only as far as
// what they may become fits into a budget; small ones, which is what clients
// send, need not ask.
const (
	// heavyFrom is the size of a frame from which on a request is heavy.
	heavyFrom = 4 << 10
	// heavyFactor is how many bytes of memory a byte of a heavy request may
	// become.
	heavyFactor = 64
	// heavyBytes bounds the memory of all heavy requests. It admits one of the
	// largest at a time.
	heavyBytes = heavyFactor * otherFrameBytes
)

// heavyWeight is what a request has to be let in with; 0: nothing.
func heavyWeight(key int16, frameBytes int) int64 {
	if key == wire.KeyProduce || frameBytes < heavyFrom {
		return 0
	}
	return min(int64(frameBytes)*heavyFactor, heavyBytes)
}

// handleHeavy is handle for a request that has weight.
func (c *conn) handleHeavy(api *api, weight int64) error {
	if err := c.server.heavy.Acquire(c.ctx, weight); err != nil {
		return err
	}
	a, err := c.call(api)
	if err != nil || a == nil {
		c.server.heavy.Release(weight)
		return err
	}
	h := &heavyAnswer{answer: a, budget: c.server.heavy, weight: weight}
	if c.waiting.Load() == 0 && a.ready() {
		return c.emitHeavy(h)
	}
	return c.enqueue(h)
}

// emitHeavy is emit, but the weight is there until the answer was sent.
func (c *conn) emitHeavy(h *heavyAnswer) error {
	defer c.server.heavy.Release(h.weight)
	if err := c.emit(h.answer); err != nil {
		return err
	}
	return c.flush()
}

// heavyAnswer is an answer in line that has weight.
type heavyAnswer struct {
	answer
	budget *semaphore.Weighted
	weight int64
}

func (h *heavyAnswer) done() {
	h.answer.done()
	h.budget.Release(h.weight)
}
