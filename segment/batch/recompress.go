package batch

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Plain returns the payload decompressed: the payload itself if it is not
// compressed, else memory that nothing else uses. More than budget bytes give
// [ErrBudget]; a budget of 0 is [DefaultBudget].
func (b Batch) Plain(budget int64) ([]byte, error) {
	if b.Codec() == None {
		return b.Payload(), nil
	}
	return decompress(b.Codec(), b.Payload(), budget)
}

// Recompress returns a copy of the batch whose payload is in another codec, at
// a level by Kafka's numbers (0: the codec's default). Records, offsets,
// timestamps and producer stay. The payload in between is bounded by budget as
// in [Batch.Plain].
func Recompress(b Batch, codec Codec, level int, budget int64) (Batch, error) {
	if !codec.Known() {
		return nil, fmt.Errorf("%w: %d", ErrCodec, int8(codec))
	}
	plain, err := b.Plain(budget)
	if err != nil {
		return nil, err
	}
	out := append(make(Batch, 0, len(b)), b[:HeaderSize]...)
	out = compress(out, plain, codec, level)
	if len(out) > math.MaxInt32 {
		return nil, fmt.Errorf("%w: %d bytes do not fit one batch", ErrBudget, len(out))
	}
	binary.BigEndian.PutUint32(out[posLength:], uint32(len(out)-PeekLen))
	binary.BigEndian.PutUint16(out[posAttributes:], uint16(b.Attributes()&^maskCodec|Attributes(codec)))
	out.seal()
	return out, nil
}
