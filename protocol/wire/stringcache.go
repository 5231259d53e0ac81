package wire

import "hash/maphash"

const (
	// cachedStrings is the number of strings that a Reader remembers.
	cachedStrings = 64
	// cachedLength is the longest of them in bytes; topic names end at 249.
	cachedLength = 255
)

// stringCache remembers the last string of each hash. Clients repeat the same
// few names with every request; a hash that the peer can't foresee keeps one
// from choosing names that all collide, though that would only cost copies.
// It holds at most 64 × 255 bytes.
type stringCache struct {
	seed maphash.Seed
	// slots point to strings that are never written again.
	slots [cachedStrings]*string
}

// find returns the string equal to b, or nil. It keeps no part of b.
func (c *stringCache) find(b []byte) *string {
	if len(b) > cachedLength {
		return nil
	}
	if p := c.slots[c.slot(b)]; p != nil && *p == string(b) {
		return p
	}
	return nil
}

// add copies b and remembers the copy if it is short.
func (c *stringCache) add(b []byte) *string {
	s := string(b)
	if len(b) <= cachedLength {
		c.slots[c.slot(b)] = &s
	}
	return &s
}

func (c *stringCache) slot(b []byte) uint64 {
	if c.seed == (maphash.Seed{}) {
		c.seed = maphash.MakeSeed()
	}
	return maphash.Bytes(c.seed, b) % cachedStrings
}
