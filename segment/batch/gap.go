package batch

import "encoding/binary"

// Gap makes a batch without records that holds the place of the offsets [first,
// next), at most 2^31 of them: as compaction leaves one, and what readers skip.
func Gap(first, next int64, leaderEpoch int32) Batch {
	s := Of()
	s.BaseOffset, s.LeaderEpoch, s.BaseTimestamp = first, leaderEpoch, NoTimestamp
	b := s.Bytes()
	binary.BigEndian.PutUint32(b[posLastOffsetDelta:], uint32(next-first-1))
	b.seal()
	return b
}
