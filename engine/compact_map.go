package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// keyMap holds, for each key of the dirty part of a log, the offset of its last
// record. Its memory is bounded before the first key is put in, whatever the
// number of keys: what does not fit is left to the next round.
//
// A key is known by 128 bits of its SHA-256: two keys that meet would cost one of
// them its records, and a producer that chose its keys so could do that to
// others. Kafka takes MD5, for which such keys can be made; a seeded hash of 64
// bits meets itself by chance among 10⁹ keys.
//
// The table is open, with linear probing: 24 bytes a slot, and no pointer for
// the garbage collector to follow.
type keyMap struct {
	slots []keySlot
	n     int // slots in use
	max   int // and how many may be
}

type keySlot struct {
	a, b uint64
	next int64 // the offset plus one; 0: free
}

const (
	keySlotBytes = 24
	// keySlotsMin is a table with which each round gets somewhere.
	keySlotsMin = 64
)

// reset empties the map and gives it room for so many keys, or for as many as the
// memory in bytes allows. A table that is large enough is used again.
func (m *keyMap) reset(keys, memory int64) {
	most := max(memory/keySlotBytes, keySlotsMin)
	// Four fifths at most are in use, so that probing stays short.
	slots := int(min(max(keys+keys/4+1, keySlotsMin), most))
	if cap(m.slots) >= slots {
		m.slots = m.slots[:slots]
		clear(m.slots)
	} else {
		m.slots = make([]keySlot, slots)
	}
	m.n, m.max = 0, slots/5*4
}

// put notes a record of the key. It reports false if the key is new and there is
// no room for it.
func (m *keyMap) put(key []byte, offset int64) bool {
	s := m.find(key)
	if s.next == 0 {
		if m.n == m.max {
			return false
		}
		s.a, s.b = hashKey(key)
		m.n++
	}
	s.next = max(s.next, offset+1)
	return true
}

// last returns the offset of the key's last record, -1 if it has none here.
func (m *keyMap) last(key []byte) int64 { return m.find(key).next - 1 }

// find returns the key's slot, or the free one where it would go. There always is
// one: fewer than all are ever in use.
func (m *keyMap) find(key []byte) *keySlot {
	a, b := hashKey(key)
	high, _ := bits.Mul64(a, uint64(len(m.slots)))
	for i := int(high); ; i++ {
		if i == len(m.slots) {
			i = 0
		}
		if s := &m.slots[i]; s.next == 0 || (s.a == a && s.b == b) {
			return s
		}
	}
}

func hashKey(key []byte) (a, b uint64) {
	h := sha256.Sum256(key)
	return binary.LittleEndian.Uint64(h[:]), binary.LittleEndian.Uint64(h[8:])
}
