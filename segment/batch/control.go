package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ControlType is what the record of a control batch says. It is in the record's
// key:
//
//	0 version i16 = 0
//	2 type    i16
//
// Source: Apache Kafka, clients/…/common/record/ControlRecordType.java.
type ControlType int16

// The markers that end a transaction. There are others, which concern none.
const (
	Abort  ControlType = 0
	Commit ControlType = 1
)

const controlKeySize = 4

// Control returns what a control batch says. ok is false if its record is gone:
// compaction has emptied it.
func (b Batch) Control() (t ControlType, ok bool, err error) {
	if b.Count() == 0 {
		return 0, false, nil
	}
	plain, err := b.Plain(0)
	if err != nil {
		return 0, false, err
	}
	for e, err := range b.Entries(plain) {
		if err != nil {
			return 0, false, err
		}
		if len(e.Key) < controlKeySize {
			return 0, false, recordError(0, fmt.Errorf("a control record's key has %d bytes, not %d", len(e.Key), controlKeySize))
		}
		return ControlType(binary.BigEndian.Uint16(e.Key[2:])), true, nil
	}
	return 0, false, nil
}

// Marker is the record that ends a transaction, to be the only one of a Spec with
// Transactional and Control. Its value has a version, i16 = 0, and the epoch of
// the coordinator that wrote it, i32.
func Marker(t ControlType, coordinatorEpoch int32, ms int64) Record {
	key := binary.BigEndian.AppendUint16([]byte{0, 0}, uint16(t))
	value := binary.BigEndian.AppendUint32([]byte{0, 0}, uint32(coordinatorEpoch))
	return Record{Timestamp: ms, Key: key, Value: value}
}

// markerValueSize is that of a marker's value, version and epoch.
const markerValueSize = 6

// CoordinatorEpoch returns the epoch of the coordinator that wrote a marker: a
// control batch with a record, of type Abort or Commit.
func (b Batch) CoordinatorEpoch() (int32, error) {
	for r, err := range b.Records(0) {
		if err != nil {
			return 0, err
		}
		if len(r.Value) < markerValueSize {
			return 0, recordError(0, fmt.Errorf("a marker's value has %d bytes, not %d", len(r.Value), markerValueSize))
		}
		return int32(binary.BigEndian.Uint32(r.Value[2:])), nil
	}
	return 0, recordError(0, errors.New("a marker without a record"))
}
