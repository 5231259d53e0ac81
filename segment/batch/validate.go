package batch

import (
	"errors"
	"fmt"
)

// DefaultBudget bounds in bytes what one batch may decompress to where the
// caller does not say: 64 times the default max.message.bytes.
const DefaultBudget int64 = 64 << 20

// Rules are what a topic asks of the batches that producers send to it. The
// zero value asks for what every topic does.
type Rules struct {
	// RequireKeys refuses records without a key: the topic is compacted.
	RequireKeys bool
	// MaxDecompressed bounds the plain payload in bytes; 0 is DefaultBudget.
	MaxDecompressed int64
	// MinTimestamp and MaxTimestamp bound the records' times, both inclusive,
	// in ms since 1970; 0 is no bound. A record without a timestamp passes.
	// Leave both at 0 for a topic of LogAppendTime: the times are replaced.
	MinTimestamp, MaxTimestamp int64
	// Internal admits what only the broker itself may append: control batches,
	// base offsets other than 0, append times.
	Internal bool
}

// Facts are what a walk over a batch's records found.
type Facts struct {
	// MaxTimestamp is the newest of the records' times in ms since 1970,
	// whatever the header says; NoTimestamp if none has one. An appender hands
	// it to [Batch.StampMaxTimestamp], as Kafka's does.
	MaxTimestamp int64
	// PlainSize is the decompressed size of the records in bytes.
	PlainSize int64
}

// Validate says whether a broker may append the batch, which must have passed
// [Batch.Check], as a producer's. It walks all records, through a compressed
// payload in chunks, and wants them framed exactly, numbered from 0 without
// gaps, as many as the header says, and in keeping with the rules. Errors wrap
// [ErrInvalid], [ErrTimestamp], [ErrCodec] or [ErrBudget]; where one record is
// to blame they are a [*RecordError], and [RecordErrors] where several break the
// rules. It allocates nothing for a good uncompressed batch.
//
// The rules are those of Apache Kafka, storage/…/internals/log/LogValidator.java
// and analyzeAndValidateRecords in UnifiedLog.scala, but stricter where some
// consumer would stumble:
//   - Kafka rebuilds a compressed batch whose records are numbered wrongly, and
//     takes an uncompressed one as it is; both are refused here;
//   - an append time from a producer is refused on every topic, not only where
//     the topic has that timestamp type;
//   - lengths below -1 are refused, which Kafka takes for null;
//   - bytes behind the end of a gzip or LZ4 stream are refused, which Kafka
//     does not look at;
//   - a payload that does not decompress is [ErrInvalid], where Kafka answers
//     UNKNOWN_SERVER_ERROR.
func (b Batch) Validate(r Rules) error {
	_, err := b.Examine(r)
	return err
}

// Examine is [Batch.Validate] and returns what it saw on the way.
func (b Batch) Examine(r Rules) (Facts, error) {
	if err := b.validateHeader(r); err != nil {
		return Facts{}, err
	}
	if b.Codec() == None {
		c := cursor{buf: b.Payload()}
		return b.walk(&c, r)
	}
	in, err := inflate(b.Codec(), b.Payload(), r.MaxDecompressed)
	if err != nil {
		return Facts{}, err
	}
	defer in.release()
	c := cursor{in: in}
	return b.walk(&c, r)
}

func (b Batch) validateHeader(r Rules) error {
	if !b.Codec().Known() {
		return fmt.Errorf("%w: %d in the attributes", ErrCodec, int8(b.Codec()))
	}
	if b.Count() < 0 || b.LastOffsetDelta() < 0 {
		return fmt.Errorf("%w: %d records with a last offset delta of %d", ErrInvalid, b.Count(), b.LastOffsetDelta())
	}
	if int64(b.Count()) != int64(b.LastOffsetDelta())+1 {
		return fmt.Errorf("%w: %d records, but the last offset delta is %d", ErrInvalid, b.Count(), b.LastOffsetDelta())
	}
	if r.Internal {
		return nil
	}
	switch {
	case b.BaseOffset() != 0:
		return fmt.Errorf("%w: a producer's base offset must be 0, not %d", ErrInvalid, b.BaseOffset())
	case b.IsControl():
		return fmt.Errorf("%w: a producer may not write control records", ErrInvalid)
	case b.ProducerID() > NoProducerID && b.BaseSequence() < 0:
		return fmt.Errorf("%w: producer %d sent sequence %d", ErrInvalid, b.ProducerID(), b.BaseSequence())
	case b.TimestampType() == LogAppendTime:
		return fmt.Errorf("%w: a producer may not set the append time", ErrTimestamp)
	}
	return nil
}

// walk holds every record against the rules. It goes on past those that break
// them, to name them all, but not past what is framed wrongly.
func (b Batch) walk(c *cursor, r Rules) (Facts, error) {
	f := Facts{MaxTimestamp: NoTimestamp}
	base, count := b.BaseTimestamp(), b.Count()
	var bad RecordErrors
	for i := range count {
		h := c.next()
		if c.err != nil {
			return Facts{}, recordError(i, c.err)
		}
		if h.offsetDelta != i {
			return Facts{}, recordError(i, fmt.Errorf("its offset delta is %d, not %d", h.offsetDelta, i))
		}
		t := base + h.timestampDelta
		f.MaxTimestamp = max(f.MaxTimestamp, t)
		if (r.RequireKeys && !h.hasKey || r.outside(t)) && len(bad) < recordErrorsMax {
			bad = append(bad, r.fault(i, h.hasKey, t))
		}
	}
	if err := c.finish(); err != nil {
		return Facts{}, countError(count, err)
	}
	switch len(bad) {
	case 0:
	case 1:
		return Facts{}, bad[0]
	default:
		return Facts{}, bad
	}
	f.PlainSize = c.at()
	return f, nil
}

// outside reports whether a record's time is out of bounds.
func (r *Rules) outside(t int64) bool {
	return t != NoTimestamp && (t < r.MinTimestamp && r.MinTimestamp != 0 || t > r.MaxTimestamp && r.MaxTimestamp != 0)
}

// fault says what is wrong with record i, of time t; the key comes first.
func (r *Rules) fault(i int32, hasKey bool, t int64) *RecordError {
	if r.RequireKeys && !hasKey {
		return &RecordError{Index: i, Err: ErrInvalid, Why: "a compacted topic needs a key"}
	}
	return &RecordError{Index: i, Err: ErrTimestamp, Why: r.outOfRange(t)}
}

func (r *Rules) outOfRange(t int64) string {
	if r.MaxTimestamp != 0 && t > r.MaxTimestamp {
		return fmt.Sprintf("timestamp %d is after %d", t, r.MaxTimestamp)
	}
	return fmt.Sprintf("timestamp %d is before %d", t, r.MinTimestamp)
}

// recordError blames record i for err, unless err is not about one record.
func recordError(i int32, err error) error {
	if known(err) {
		return err
	}
	return &RecordError{Index: i, Why: err.Error(), Err: ErrInvalid}
}

// countError is err after the last of count records.
func countError(count int32, err error) error {
	if known(err) {
		return err
	}
	return fmt.Errorf("%w: after the %d records that the header counts: %w", ErrInvalid, count, err)
}

// known tells whether err is of a decompressor, which classified it.
func known(err error) bool { return errors.Is(err, ErrInvalid) || errors.Is(err, ErrBudget) }
