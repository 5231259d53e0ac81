package controller

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// The controller's records. Each begins with
//
//	0 kind    u8
//	1 version u8   0
//
// and goes on with its fields. Numbers are zigzag varints and counts and lengths
// uvarints, as encoding/binary has them; strings are a length and UTF-8; an id
// is its 16 bytes; a map is sorted by key, so that equal records have equal
// bytes.
//
//	1 cluster       id string
//	2 broker        id, rack string, count × (name string, host string, port)
//	3 topic         id, name string, partitions, configs
//	4 topic deleted id
//	5 topics purged count × id              their directories are gone
//	6 partitions    topic id, first number, partitions
//	7 configs      topic id, configs      replaces all
//	8 producer ids  next                    the first that was not handed out
//	9 broker configs broker, configs        replaces all; broker -1: of all brokers
//
//	partitions: count × (leader, epoch, count × replica, count × in sync)
//	configs:   count × (name string, value string)
//
// A snapshot is the version byte 0, the offset of its last command, and records:
// count × (length uvarint, record).
const (
	kindCluster       = 1
	kindBroker        = 2
	kindTopic         = 3
	kindTopicDeleted  = 4
	kindTopicsPurged  = 5
	kindPartitions    = 6
	kindConfigs       = 7
	kindProducerIDs   = 8
	kindBrokerConfigs = 9

	recordVersion   = 0
	snapshotVersion = 0
)

// record is one change of the state.
type record interface {
	encode() []byte
	apply(*draft) error
}

type (
	clusterRecord      struct{ ID string }
	brokerRecord       Broker
	topicRecord        Topic
	topicDeletedRecord struct{ ID [16]byte }
	topicsPurgedRecord struct{ IDs [][16]byte }
	partitionsRecord   struct {
		ID         [16]byte
		First      int32
		Partitions []Partition
	}
	configsRecord struct {
		ID      [16]byte
		Configs map[string]string
	}
	producerIDsRecord   struct{ Next int64 }
	brokerConfigsRecord struct {
		Broker  int32
		Configs map[string]string
	}
)

// Write.

type encoder struct{ b []byte }

func encodeKind(kind byte) encoder { return encoder{[]byte{kind, recordVersion}} }

func (e *encoder) num(v int64)     { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) count(n int)     { e.b = binary.AppendUvarint(e.b, uint64(n)) }
func (e *encoder) str(s string)    { e.count(len(s)); e.b = append(e.b, s...) }
func (e *encoder) id(id [16]byte)  { e.b = append(e.b, id[:]...) }
func (e *encoder) nums(ns []int32) { e.count(len(ns)); e.each(ns) }

func (e *encoder) each(ns []int32) {
	for _, n := range ns {
		e.num(int64(n))
	}
}

func (e *encoder) partitions(ps []Partition) {
	e.count(len(ps))
	for _, p := range ps {
		e.num(int64(p.Leader))
		e.num(int64(p.Epoch))
		e.nums(p.Replicas)
		e.nums(p.ISR)
	}
}

func (e *encoder) configs(m map[string]string) {
	e.count(len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		e.str(k)
		e.str(m[k])
	}
}

func (r clusterRecord) encode() []byte {
	e := encodeKind(kindCluster)
	e.str(r.ID)
	return e.b
}

func (r brokerRecord) encode() []byte {
	e := encodeKind(kindBroker)
	e.num(int64(r.ID))
	e.str(r.Rack)
	e.count(len(r.Endpoints))
	for _, p := range r.Endpoints {
		e.str(p.Name)
		e.str(p.Host)
		e.num(int64(p.Port))
	}
	return e.b
}

func (r topicRecord) encode() []byte {
	e := encodeKind(kindTopic)
	e.id(r.ID)
	e.str(r.Name)
	e.partitions(r.Partitions)
	e.configs(r.Configs)
	return e.b
}

func (r topicDeletedRecord) encode() []byte {
	e := encodeKind(kindTopicDeleted)
	e.id(r.ID)
	return e.b
}

func (r topicsPurgedRecord) encode() []byte {
	e := encodeKind(kindTopicsPurged)
	e.count(len(r.IDs))
	for _, id := range r.IDs {
		e.id(id)
	}
	return e.b
}

func (r partitionsRecord) encode() []byte {
	e := encodeKind(kindPartitions)
	e.id(r.ID)
	e.num(int64(r.First))
	e.partitions(r.Partitions)
	return e.b
}

func (r configsRecord) encode() []byte {
	e := encodeKind(kindConfigs)
	e.id(r.ID)
	e.configs(r.Configs)
	return e.b
}

func (r producerIDsRecord) encode() []byte {
	e := encodeKind(kindProducerIDs)
	e.num(r.Next)
	return e.b
}

func (r brokerConfigsRecord) encode() []byte {
	e := encodeKind(kindBrokerConfigs)
	e.num(int64(r.Broker))
	e.configs(r.Configs)
	return e.b
}

// Read. The first error sticks; what is decoded after it is zero.

var (
	errShort = errors.New("it ends too early")
	errRange = errors.New("a number is out of range")
)

type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err, d.b = err, nil
	}
}

func (d *decoder) num64() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) num() int32 {
	v := d.num64()
	if v < math.MinInt32 || v > math.MaxInt32 {
		d.fail(errRange)
		return 0
	}
	return int32(v)
}

// count reads a number of things that take at least size bytes each, and so
// bounds what is allocated for them by what is there.
func (d *decoder) count(size int) int {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > uint64(len(d.b)-n)/uint64(size) {
		d.fail(errShort)
		return 0
	}
	d.b = d.b[n:]
	return int(v)
}

func (d *decoder) bytes() []byte {
	n := d.count(1)
	p := d.b[:n:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) str() string { return string(d.bytes()) }

func (d *decoder) id() (id [16]byte) {
	if len(d.b) < len(id) {
		d.fail(errShort)
		return id
	}
	d.b = d.b[copy(id[:], d.b):]
	return id
}

func (d *decoder) nums() []int32 {
	ns := make([]int32, d.count(1))
	for i := range ns {
		ns[i] = d.num()
	}
	return ns
}

func (d *decoder) partitions() []Partition {
	ps := make([]Partition, d.count(4))
	for i := range ps {
		ps[i] = Partition{Leader: d.num(), Epoch: d.num(), Replicas: d.nums(), ISR: d.nums()}
	}
	return ps
}

func (d *decoder) configs() map[string]string {
	m := map[string]string{}
	for range d.count(2) {
		k := d.str()
		m[k] = d.str()
	}
	return m
}

func (d *decoder) broker() Broker {
	b := Broker{ID: d.num(), Rack: d.str()}
	b.Endpoints = make([]Endpoint, d.count(3))
	for i := range b.Endpoints {
		b.Endpoints[i] = Endpoint{Name: d.str(), Host: d.str(), Port: d.num()}
	}
	return b
}

func (d *decoder) ids() [][16]byte {
	ids := make([][16]byte, d.count(16))
	for i := range ids {
		ids[i] = d.id()
	}
	return ids
}

// decodeRecord reads one record and refuses kinds and versions that this release
// does not know.
func decodeRecord(b []byte) (r record, err error) {
	if len(b) < 2 {
		return nil, errShort
	}
	d := decoder{b: b[2:]}
	switch b[0] {
	case kindCluster:
		r = clusterRecord{d.str()}
	case kindBroker:
		r = brokerRecord(d.broker())
	case kindTopic:
		r = topicRecord{ID: d.id(), Name: d.str(), Partitions: d.partitions(), Configs: d.configs()}
	case kindTopicDeleted:
		r = topicDeletedRecord{d.id()}
	case kindTopicsPurged:
		r = topicsPurgedRecord{d.ids()}
	case kindPartitions:
		r = partitionsRecord{ID: d.id(), First: d.num(), Partitions: d.partitions()}
	case kindConfigs:
		r = configsRecord{ID: d.id(), Configs: d.configs()}
	case kindProducerIDs:
		r = producerIDsRecord{d.num64()}
	case kindBrokerConfigs:
		r = brokerConfigsRecord{Broker: d.num(), Configs: d.configs()}
	default:
		return nil, fmt.Errorf("records of kind %d are not known: a newer release wrote it", b[0])
	}
	if b[1] != recordVersion {
		return nil, fmt.Errorf("a record of kind %d has version %d, this release reads %d", b[0], b[1], recordVersion)
	}
	if d.err == nil && len(d.b) > 0 {
		d.err = fmt.Errorf("%d bytes follow its end", len(d.b))
	}
	if d.err != nil {
		return nil, fmt.Errorf("a record of kind %d: %w", b[0], d.err)
	}
	return r, nil
}

// encodeAll makes a command's records.
func encodeAll(rs []record) [][]byte {
	bs := make([][]byte, len(rs))
	for i, r := range rs {
		bs[i] = r.encode()
	}
	return bs
}

func encodeSnapshot(m *Image) []byte {
	var rs []record
	if m.ClusterID != "" {
		rs = append(rs, clusterRecord{m.ClusterID})
	}
	for _, b := range m.Brokers {
		rs = append(rs, brokerRecord(b))
	}
	for _, id := range slices.Sorted(maps.Keys(m.BrokerConfigs)) {
		rs = append(rs, brokerConfigsRecord{id, m.BrokerConfigs[id]})
	}
	rs = append(rs, producerIDsRecord{m.NextProducerID})
	for t := range m.Topics() {
		rs = append(rs, topicRecord(*t))
	}
	e := encoder{[]byte{snapshotVersion}}
	e.num(m.Offset)
	e.count(len(rs) + 1)
	for _, r := range rs {
		b := r.encode()
		e.count(len(b))
		e.b = append(e.b, b...)
	}
	// The ids of deleted topics go last, in a record of their own shape.
	ids := topicsPurgedRecord{m.DeletedTopics()}.encode()
	e.count(len(ids))
	e.b = append(e.b, ids...)
	return e.b
}

func decodeSnapshot(b []byte) (*Image, error) {
	if len(b) == 0 {
		return nil, errShort
	}
	if b[0] != snapshotVersion {
		return nil, fmt.Errorf("a snapshot of version %d, this release reads %d", b[0], snapshotVersion)
	}
	in := decoder{b: b[1:]}
	d := newImage().edit()
	offset := in.num64()
	count := in.count(3)
	for i := range count {
		p := in.bytes()
		if in.err != nil {
			break
		}
		r, err := decodeRecord(p)
		if purged, ok := r.(topicsPurgedRecord); ok && i == count-1 {
			for _, id := range purged.IDs {
				d.image.deleted[id] = struct{}{}
			}
			continue
		}
		if err == nil {
			err = r.apply(d)
		}
		if err != nil {
			return nil, fmt.Errorf("record %d of a snapshot: %w", i+1, err)
		}
	}
	if in.err == nil && len(in.b) > 0 {
		in.err = fmt.Errorf("%d bytes follow its end", len(in.b))
	}
	if in.err != nil {
		return nil, fmt.Errorf("snapshot: %w", in.err)
	}
	d.image.Offset = offset
	return d.image, nil
}
