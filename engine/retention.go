package engine

import "time"

// Retention says which sealed segments have outlived their use. It is a value:
// the engine asks Expired and acts.
type Retention struct {
	Name string
	// Still says that Expired depends on nothing but the log and its age: of a log
	// to which nothing is appended, only Keep.Age lets anything go.
	Still bool
	// Cleanup is the cleanup.policy that it stands for; empty: that is for the
	// topic to say, and it counts only where the policy has "delete".
	Cleanup string
	// Expired returns how many of the oldest sealed segments to drop.
	Expired func(now time.Time, sealed []SegmentStat, k Keep) int
	// Evict, if not nil, returns how many of the oldest segments to drop of each
	// of the logs that have this retention, for the sake of the disk.
	Evict func(d DiskUse, logs []Evictable) []int
}

// Keep bounds what a log holds.
type Keep struct {
	Age   time.Duration // retention.ms; negative: no bound
	Bytes int64         // retention.bytes; negative: no bound
	// Active is the size of the segment that is appended to, which counts but
	// is never dropped.
	Active int64
}

// SegmentStat is what retention may know of a segment.
type SegmentStat struct {
	Base, Next int64 // first offset, and the one after the last
	Bytes      int64
	// Newest is the greatest timestamp of a record, or the time of the last
	// write if no record has one.
	Newest time.Time
}

// Retentions lists every retention. The first is the default.
var Retentions = []Retention{
	{Name: "time+size", Still: true, Expired: expiredByTimeOrSize},
	{Name: "time", Still: true, Expired: expiredByTime},
	{Name: "size", Still: true, Expired: expiredBySize},
	{Name: "disk", Still: true, Expired: expiredNever, Evict: evictOldest},
	{Name: "keep", Still: true, Expired: expiredNever},
	{Name: "compact", Still: true, Cleanup: "compact", Expired: expiredNever},
	{Name: "compact+delete", Still: true, Cleanup: "compact,delete", Expired: expiredByTimeOrSize},
}

func expiredNever(time.Time, []SegmentStat, Keep) int { return 0 }

// expiredByTimeOrSize drops what either of the two would.
func expiredByTimeOrSize(now time.Time, s []SegmentStat, k Keep) int {
	return max(expiredByTime(now, s, k), expiredBySize(now, s, k))
}

// expiredByTime drops the oldest segments whose newest record is too old, and
// stops at the first that is not: a log has no holes.
func expiredByTime(now time.Time, sealed []SegmentStat, k Keep) int {
	if k.Age < 0 {
		return 0
	}
	for i, s := range sealed {
		if now.Sub(s.Newest) <= k.Age {
			return i
		}
	}
	return len(sealed)
}

// expiredBySize drops the oldest segments as long as what stays is at least
// the bound: with a bound of 100 and segments of 60, 60, 60 it drops one.
func expiredBySize(_ time.Time, sealed []SegmentStat, k Keep) int {
	if k.Bytes < 0 {
		return 0
	}
	total := k.Active
	for _, s := range sealed {
		total += s.Bytes
	}
	for i, s := range sealed {
		if total-s.Bytes < k.Bytes {
			return i
		}
		total -= s.Bytes
	}
	return len(sealed)
}
