package batch

import "encoding/binary"

// quick reads the head of the record at the start of p, and its size in bytes,
// if the record is as nearly all are: whole within p and not at its very end,
// its numbers of at most three bytes (lengths up to 1 MiB), without headers, and
// right. Else the size is 0, and it is the cursor that reads the record or says
// what is wrong with it. The two agree: see FuzzQuick.
func quick(p []byte) (h head, size int) {
	// After each number of a good record at least one byte of it follows, but
	// for the last; four bytes beyond are read with every number.
	n, i := short(p, 0)
	end := i + int(n)
	if i == 0 || n <= 0 || end > len(p)-4 {
		return head{}, 0
	}
	delta, i := short(p, i+1) // after the attributes
	if i == 0 {
		return head{}, 0
	}
	h.timestampDelta = int64(delta)
	h.offsetDelta, i = short(p, i)
	if i == 0 {
		return head{}, 0
	}
	key, i := short(p, i)
	if i == 0 || key < -1 {
		return head{}, 0
	}
	h.hasKey = key >= 0
	value, i := short(p, i+int(max(key, 0)))
	if i == 0 || value < -1 {
		return head{}, 0
	}
	i += int(max(value, 0))
	if i != end-1 || p[i] != 0 {
		return head{}, 0
	}
	return h, end
}

// short reads a zigzag varint of at most three bytes at p[i] and returns what
// follows it; 0 if there is none, or p ends within four bytes of i.
func short(p []byte, i int) (v int32, next int) {
	if i > len(p)-4 {
		return 0, 0
	}
	x := binary.LittleEndian.Uint32(p[i:])
	switch {
	case x&0x80 == 0:
		x, i = x&0x7f, i+1
	case x&0x8000 == 0:
		x, i = x&0x7f|x>>1&0x3f80, i+2
	case x&0x800000 == 0:
		x, i = x&0x7f|x>>1&0x3f80|x>>2&0x1fc000, i+3
	default:
		return 0, 0
	}
	return int32(x>>1) ^ -int32(x&1), i
}
