package kraft

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const frameVersion = 1

// The kinds of records that are read. All others are about brokers, their
// features, quotas, credentials and ACLs.
const (
	kindTopic            = 2
	kindPartition        = 3
	kindConfig           = 4
	kindPartitionChange  = 5
	kindRemoveTopic      = 9
	kindProducerIDs      = 15
	kindBeginTransaction = 23
	kindEndTransaction   = 24
	kindAbortTransaction = 25
)

// The types of resources that have configs, as in Kafka's ConfigResource.
const (
	resourceTopic  = 2
	resourceBroker = 4
)

// Tagged fields of a partition's change.
const (
	tagLeader   = 1
	tagReplicas = 2

	leaderSame = -2
)

// apply makes one record part of the image. Those of a transaction wait for its
// end.
func (m *Image) apply(value []byte) error {
	d := decoder{b: value}
	if v := d.uvarint(); d.err == nil && v != frameVersion {
		return fmt.Errorf("its frame version is %d, this release reads %d", v, frameVersion)
	}
	kind, version := d.uvarint(), d.uvarint()
	if d.err != nil {
		return d.err
	}
	switch kind {
	case kindBeginTransaction:
		m.pending = [][]byte{}
	case kindAbortTransaction:
		m.pending = nil
	case kindEndTransaction:
		all := m.pending
		m.pending = nil
		for _, v := range all {
			if err := m.apply(v); err != nil {
				return err
			}
		}
	default:
		if m.pending != nil {
			m.pending = append(m.pending, value)
			return nil
		}
		m.change(kind, &d)
	}
	if d.err != nil {
		return fmt.Errorf("a record of kind %d, version %d: %w", kind, version, d.err)
	}
	return nil
}

func (m *Image) change(kind uint64, d *decoder) {
	switch kind {
	case kindTopic:
		name, id := d.str(), d.id()
		if d.err == nil {
			m.topics[id] = &Topic{ID: id, Name: name}
		}
	case kindPartition:
		p := Partition{ID: d.int32()}
		id := d.id()
		p.Replicas = d.int32s()
		d.int32s() // in sync
		d.int32s() // being removed
		d.int32s() // being added
		p.Leader, p.Epoch = d.int32(), d.int32()
		m.partition(d, id, p)
	case kindPartitionChange:
		m.partitionChange(d)
	case kindConfig:
		m.config(d)
	case kindRemoveTopic:
		if t := m.topics[d.id()]; t != nil && d.err == nil {
			delete(m.configs, t.Name)
			delete(m.topics, t.ID)
		}
	case kindProducerIDs:
		d.int32() // broker
		d.take(8) // and its epoch
		m.NextProducerID = max(m.NextProducerID, d.int64())
	}
}

// partition adds a partition, or replaces it.
func (m *Image) partition(d *decoder, id [16]byte, p Partition) {
	t := m.topics[id]
	if t == nil || p.ID < 0 {
		d.fail(errors.New("a partition of a topic that does not exist"))
	}
	if d.err != nil {
		return
	}
	if old := t.partition(p.ID); old != nil {
		*old = p
		return
	}
	t.Partitions = append(t.Partitions, p)
}

// partitionChange applies what changed of a partition. As in Kafka the leader's
// epoch grows with each change that names a leader.
func (m *Image) partitionChange(d *decoder) {
	id := d.int32()
	t := m.topics[d.id()]
	if t == nil || d.err != nil {
		d.fail(errors.New("a change of a topic that does not exist"))
		return
	}
	p := t.partition(id)
	if p == nil {
		d.fail(errors.New("a change of a partition that does not exist"))
		return
	}
	d.tagged(func(tag uint64, field *decoder) {
		switch tag {
		case tagLeader:
			if l := field.int32(); l != leaderSame {
				p.Leader = l
				p.Epoch++
			}
		case tagReplicas:
			p.Replicas = field.int32s()
		}
	})
}

func (m *Image) config(d *decoder) {
	resource := d.take(1)
	name, key := d.str(), d.str()
	value, set := d.nullable()
	if d.err != nil {
		return
	}
	configs := m.configs
	switch resource[0] {
	case resourceTopic:
	case resourceBroker:
		configs = m.BrokerConfigs
	default:
		return
	}
	if !set {
		delete(configs[name], key)
		return
	}
	if configs[name] == nil {
		configs[name] = map[string]string{}
	}
	configs[name][key] = value
}

// decoder reads fields. The first error sticks; what is decoded after it is zero.
type decoder struct {
	b   []byte
	err error
}

var errShort = errors.New("it ends too early")

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.b, d.err = nil, err
	}
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.b = d.b[n:]
	return v
}

// take returns the next n bytes, or zeros for a few.
func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.fail(errShort)
		return make([]byte, min(n, 16))
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) int32() int32 { return int32(binary.BigEndian.Uint32(d.take(4))) }
func (d *decoder) int64() int64 { return int64(binary.BigEndian.Uint64(d.take(8))) }

func (d *decoder) id() [16]byte { return [16]byte(d.take(16)) }

// count reads the length of an array or a string, of things that take size bytes
// at least; ok is false for null.
func (d *decoder) count(size int) (n int, ok bool) {
	v := d.uvarint()
	if v == 0 {
		return 0, false
	}
	if v-1 > uint64(len(d.b)/size) {
		d.fail(errShort)
		return 0, true
	}
	return int(v - 1), true
}

func (d *decoder) nullable() (string, bool) {
	n, ok := d.count(1)
	return string(d.take(n)), ok && d.err == nil
}

func (d *decoder) str() string {
	s, _ := d.nullable()
	return s
}

func (d *decoder) int32s() []int32 {
	n, _ := d.count(4)
	ns := make([]int32, n)
	for i := range ns {
		ns[i] = d.int32()
	}
	return ns
}

// tagged shows the tagged fields that end a structure.
func (d *decoder) tagged(see func(tag uint64, field *decoder)) {
	for range d.uvarint() {
		tag, size := d.uvarint(), d.uvarint()
		if size > uint64(len(d.b)) {
			d.fail(errShort)
		}
		if d.err != nil {
			return
		}
		field := decoder{b: d.take(int(size))}
		see(tag, &field)
		if field.err != nil {
			d.fail(field.err)
		}
	}
}
