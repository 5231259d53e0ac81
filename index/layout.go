package index

import (
	"encoding/binary"
	"fmt"
	"math"
)

// layout is how the entries of one index file lie: Apache Kafka's own .index
// and .timeindex files, big-endian, without header, checksum or padding between
// entries (OffsetIndex.java, TimeIndex.java in kafka/storage).
//
//	Offsets  │ last offset − base <4b> │ position of the batch <4b> │
//	Times    │ timestamp <8b>          │ last offset − base <4b>    │
//
// Keys rise strictly, values never fall, and neither is negative. While entries
// are added the file is longer than they are, and zero from there on.
type layout struct {
	kind Kind
	base int64
}

// The size of an entry, and where its second field starts, in bytes.
const (
	offsetsSize     = 8
	offsetsPosition = 4
	timesSize       = 12
	timesOffset     = 8
)

// size is the length of an entry in bytes.
func (l layout) size() int {
	if l.kind == Times {
		return timesSize
	}
	return offsetsSize
}

// spare is how many entries are kept back by Full: the last one of a time index
// is for the segment's greatest timestamp, when it is rolled.
func (l layout) spare() int {
	if l.kind == Times {
		return 1
	}
	return 0
}

// put writes e, which passed fits, as entry i of b.
func (l layout) put(b []byte, i int, e Entry) {
	b = b[i*l.size():]
	if l.kind == Times {
		binary.BigEndian.PutUint64(b, uint64(e.Key))
		binary.BigEndian.PutUint32(b[timesOffset:], uint32(e.Value-l.base))
		return
	}
	binary.BigEndian.PutUint32(b, uint32(e.Key-l.base))
	binary.BigEndian.PutUint32(b[offsetsPosition:], uint32(e.Value))
}

// key reads the key of entry i of b.
func (l layout) key(b []byte, i int) int64 {
	if l.kind == Times {
		return int64(binary.BigEndian.Uint64(b[i*timesSize:]))
	}
	return l.base + int64(int32(binary.BigEndian.Uint32(b[i*offsetsSize:])))
}

// entry reads entry i of b.
func (l layout) entry(b []byte, i int) Entry {
	e := Entry{Key: l.key(b, i)}
	if l.kind == Times {
		e.Value = l.base + int64(int32(binary.BigEndian.Uint32(b[i*timesSize+timesOffset:])))
	} else {
		e.Value = int64(int32(binary.BigEndian.Uint32(b[i*offsetsSize+offsetsPosition:])))
	}
	return e
}

// fits says why e cannot be written at all: ErrFull if a field is greater than
// its 31 bits, which a new segment with a new base mends, ErrOrder if it is
// negative.
func (l layout) fits(e Entry) error {
	offset, other := e.Key, e.Value
	if l.kind == Times {
		offset, other = e.Value, e.Key
	}
	switch {
	case offset < l.base || other < 0:
		return fmt.Errorf("%w: {%d→%d} is before the start, base offset %d", ErrOrder, e.Key, e.Value, l.base)
	case offset-l.base > math.MaxInt32:
		return fmt.Errorf("%w: offset %d is more than 2^31-1 after the base offset %d", ErrFull, offset, l.base)
	case l.kind == Offsets && other > math.MaxInt32:
		return fmt.Errorf("%w: position %d is more than 2^31-1", ErrFull, other)
	}
	return nil
}

// count finds how many entries b holds by what it holds, for after a crash its
// length says nothing: everything up to the last one that is not zero.
//
// Zero bytes are an entry only as the first of several. That a first entry may
// be zero ({base→0}, or time 0 at base) and is not counted when it is alone
// loses nothing: all that it says is to start at the segment's start.
func (l layout) count(b []byte) int {
	n := len(b)
	for ; n >= 8; n -= 8 {
		if binary.NativeEndian.Uint64(b[n-8:]) != 0 {
			break
		}
	}
	for ; n > 0 && b[n-1] == 0; n-- {
	}
	return (n + l.size() - 1) / l.size()
}

// check says whether the first n entries of b are in order. It catches what a
// crash leaves: a page that was lost between two that were kept is zero, and so
// is out of order, as is an entry of which one half was lost.
func (l layout) check(b []byte, n int) error {
	last := Entry{Key: -1}
	if l.kind == Times {
		last.Value = l.base
	} else {
		last.Key = l.base - 1
	}
	for i := range n {
		e := l.entry(b, i)
		if e.Key <= last.Key || e.Value < last.Value {
			return fmt.Errorf("entry %d {%d→%d} is not after {%d→%d}", i, e.Key, e.Value, last.Key, last.Value)
		}
		last = e
	}
	return nil
}

// warmBytes is the end of an index in which a lookup looks first. Nearly all
// lookups are for the tail; a plain binary search over everything would touch
// cold pages all over the file on its way there (Kafka's AbstractIndex.java).
const warmBytes = 8192

// floor returns the last of the first n entries of b with a key <= key, or -1.
func (l layout) floor(b []byte, n int, key int64) int {
	lo, hi := 0, n
	if warm := n - warmBytes/l.size(); warm > 0 {
		if l.key(b, warm) <= key {
			lo = warm + 1
		} else {
			hi = warm
		}
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if l.key(b, mid) <= key {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
}
