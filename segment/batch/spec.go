package batch

import (
	"encoding/binary"
	"slices"
)

// A Spec describes a batch to be made: the one builder for the broker's own
// logs, for fixtures, fuzz seeds and benchmarks. Start from [Of], which fills
// in "no producer"; in a literal, ProducerID 0 means producer 0.
type Spec struct {
	BaseOffset    int64
	LeaderEpoch   int32
	Codec         Codec
	Level         int // of the codec, by Kafka's numbers; 0 is its default
	TimestampType TimestampType
	ProducerID    int64 // NoProducerID for none
	ProducerEpoch int16
	BaseSequence  int32
	Transactional bool
	Control       bool
	// BaseTimestamp is in ms since 1970; 0 is the first record's.
	BaseTimestamp int64
	// Records are numbered from BaseOffset in their order, whatever their
	// Offset says. At most math.MaxInt32 of them.
	Records []Record
}

// Of is a Spec of these records from no producer, at offset 0, uncompressed.
func Of(records ...Record) Spec {
	return Spec{
		LeaderEpoch:   NoLeaderEpoch,
		ProducerID:    NoProducerID,
		ProducerEpoch: NoProducerEpoch,
		BaseSequence:  NoSequence,
		Records:       records,
	}
}

// Bytes makes the batch.
func (s Spec) Bytes() Batch { return Batch(s.Append(nil)) }

// Append makes the batch behind dst and returns all. It allocates nothing if
// dst has room and Codec is None. With a Codec that is not known, the records
// are left plain under its name: a fixture for tests.
func (s Spec) Append(dst []byte) []byte {
	baseTimestamp, maxTimestamp := s.times()
	start := len(dst)
	dst = slices.Grow(dst, HeaderSize)[:start+HeaderSize]
	if s.Codec == None || !s.Codec.Known() {
		dst = s.appendRecords(dst, baseTimestamp)
	} else {
		plain := s.appendRecords(nil, baseTimestamp)
		dst = compress(dst, plain, s.Codec, s.Level)
	}
	b := Batch(dst[start:])
	b.Stamp(s.BaseOffset, s.LeaderEpoch)
	binary.BigEndian.PutUint32(b[posLength:], uint32(len(b)-PeekLen))
	b[posMagic] = magic
	binary.BigEndian.PutUint16(b[posAttributes:], uint16(s.attributes()))
	binary.BigEndian.PutUint32(b[posLastOffsetDelta:], uint32(max(len(s.Records)-1, 0)))
	binary.BigEndian.PutUint64(b[posBaseTimestamp:], uint64(baseTimestamp))
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(maxTimestamp))
	binary.BigEndian.PutUint64(b[posProducerID:], uint64(s.ProducerID))
	binary.BigEndian.PutUint16(b[posProducerEpoch:], uint16(s.ProducerEpoch))
	binary.BigEndian.PutUint32(b[posBaseSequence:], uint32(s.BaseSequence))
	binary.BigEndian.PutUint32(b[posCount:], uint32(len(s.Records)))
	b.seal()
	return dst
}

func (s *Spec) appendRecords(dst []byte, baseTimestamp int64) []byte {
	size := 0
	for i := range s.Records {
		n := s.Records[i].bodySize(i, baseTimestamp)
		size += varintLen(int64(n)) + n
	}
	dst = slices.Grow(dst, size)
	for i := range s.Records {
		dst = s.Records[i].append(dst, i, baseTimestamp)
	}
	return dst
}

// times are the header's base and max timestamp.
func (s *Spec) times() (base, newest int64) {
	base, newest = s.BaseTimestamp, NoTimestamp
	for i := range s.Records {
		newest = max(newest, s.Records[i].Timestamp)
	}
	switch {
	case base != 0:
	case len(s.Records) > 0:
		base = s.Records[0].Timestamp
	default:
		base = NoTimestamp
	}
	return base, newest
}

func (s *Spec) attributes() Attributes {
	a := Attributes(s.Codec) & maskCodec
	if s.TimestampType == LogAppendTime {
		a |= flagLogAppendTime
	}
	if s.Transactional {
		a |= flagTransactional
	}
	if s.Control {
		a |= flagControl
	}
	return a
}
