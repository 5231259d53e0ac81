package engine

import (
	"fmt"
	"math"
	"time"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// producers is what a log remembers of idempotent producers, to tell a batch
// that was sent again from one that is new and from one that leaves a gap.
type producers struct {
	byID map[int64]*producer
	// logged is true when something changed since the last snapshot.
	changed bool
}

// rememberedBatches is how many batches of a producer are recognised when they
// come again. Clients have at most as many under way (KIP-98, KAFKA-5494).
const rememberedBatches = 5

// producer is one producer id's state in one log.
type producer struct {
	epoch int16
	// sent holds the last batches of this epoch, oldest first.
	// Invariant: 0 <= n <= rememberedBatches.
	sent [rememberedBatches]sentBatch
	n    int
	// seen is the largest timestamp of its last batch, in milliseconds.
	seen int64
	// open is the offset of the first record of its transaction that no marker has
	// ended yet, noTransaction if there is none.
	open int64
	// coordinator is the epoch of the coordinator that wrote its last marker, -1 if
	// there was none.
	coordinator int32
}

// sentBatch is one batch as the producer snapshot keeps it.
type sentBatch struct {
	lastSequence int32
	lastOffset   int64
	offsetDelta  int32 // lastOffset - first offset
	timestamp    int64
}

func (s sentBatch) firstSequence() int32 { return sequenceAdd(s.lastSequence, -s.offsetDelta) }

// sequenceAdd counts within [0, 2^31): after the greatest comes 0.
func sequenceAdd(s, delta int32) int32 {
	n := (int64(s) + int64(delta)) % (math.MaxInt32 + 1)
	if n < 0 {
		n += math.MaxInt32 + 1
	}
	return int32(n)
}

func newProducers() producers { return producers{byID: map[int64]*producer{}} }

// check decides what a batch is: new (false, nil), sent before (true, with the
// place it got then), or an error. An unknown producer may start anywhere: its
// state may have expired or been retained away.
func (p *producers) check(b batch.Batch) (old sentBatch, duplicate bool, err error) {
	id := b.ProducerID()
	if id < 0 {
		return sentBatch{}, false, nil
	}
	known := p.byID[id]
	if known == nil {
		return sentBatch{}, false, nil
	}
	first, last := b.BaseSequence(), b.LastSequence()
	switch epoch := b.ProducerEpoch(); {
	case epoch < known.epoch:
		return sentBatch{}, false, fmt.Errorf("producer %d sends under epoch %d, epoch %d was seen: %w", id, epoch, known.epoch, ErrProducerFenced)
	case epoch > known.epoch:
		if first != 0 {
			return sentBatch{}, false, fmt.Errorf("producer %d begins epoch %d with sequence %d instead of 0: %w", id, epoch, first, ErrSequence)
		}
		return sentBatch{}, false, nil
	}
	for _, s := range known.sent[:known.n] {
		if s.firstSequence() == first && s.lastSequence == last {
			return s, true, nil
		}
	}
	want := int32(0) // of an epoch that only a marker has told of
	if known.n > 0 {
		want = sequenceAdd(known.sent[known.n-1].lastSequence, 1)
	}
	if first != want {
		return sentBatch{}, false, fmt.Errorf("producer %d sends sequence %d where %d is due: %w", id, first, want, ErrSequence)
	}
	return sentBatch{}, false, nil
}

// update remembers a batch of data that is in the log; of a marker see end. A
// header is enough.
func (p *producers) update(b batch.Batch) {
	id := b.ProducerID()
	if id < 0 || b.IsControl() {
		return
	}
	known := p.of(id, b.ProducerEpoch())
	known.add(sentBatch{
		lastSequence: b.LastSequence(),
		lastOffset:   b.LastOffset(),
		offsetDelta:  b.LastOffsetDelta(),
		timestamp:    b.MaxTimestamp(),
	})
	if b.IsTransactional() && known.open == noTransaction {
		known.open = b.BaseOffset()
	}
}

// of returns what is known of a producer, which is nothing under a new epoch.
func (p *producers) of(id int64, epoch int16) *producer {
	known := p.byID[id]
	if known == nil {
		known = &producer{epoch: epoch, open: noTransaction, coordinator: -1}
		p.byID[id] = known
	}
	if epoch != known.epoch {
		known.epoch, known.n = epoch, 0
	}
	p.changed = true
	return known
}

// add remembers one more batch.
func (p *producer) add(s sentBatch) {
	if p.n == rememberedBatches {
		copy(p.sent[:], p.sent[1:])
		p.n--
	}
	p.sent[p.n] = s
	p.n++
	p.seen = s.timestamp
}

// expire forgets the producers that have been silent for longer than age, and
// have no transaction that is open.
func (p *producers) expire(now time.Time, age time.Duration) {
	before := now.Add(-age).UnixMilli()
	for id, s := range p.byID {
		if s.seen < before && s.open == noTransaction {
			delete(p.byID, id)
			p.changed = true
		}
	}
}
