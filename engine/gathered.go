package engine

import (
	"sync/atomic"
	"time"
)

// gathered counts what was appended since the last sync noted its work, and
// remembers how that sync went: what a sync policy wants to know. It is written
// under Log.mu and read by anyone; what is read together may be of moments that
// lie a little apart, and a policy is none the wiser.
type gathered struct {
	appends, records, bytes atomic.Int64
	since                   atomic.Int64 // when the first was appended, in Unix ns

	group atomic.Int64 // appends that the last sync made durable
	cost  atomic.Int64 // ns of a sync, on average
	ended atomic.Int64 // when the last one did, in Unix ns
}

// add counts one append.
func (g *gathered) add(records, bytes int64, now time.Time) {
	if g.appends.Add(1) == 1 {
		g.since.Store(now.UnixNano())
	}
	g.records.Add(records)
	g.bytes.Add(bytes)
}

// take begins anew: a sync has noted all that was appended.
func (g *gathered) take() {
	if n := g.appends.Swap(0); n > 0 {
		g.group.Store(n)
	}
	g.records.Store(0)
	g.bytes.Store(0)
}

// keep is take for a sync that leaves out the growing part, of so many bytes.
func (g *gathered) keep(bytes int64) { g.bytes.Store(min(g.bytes.Load(), bytes)) }

// costWeight is how much of the average the last sync is: one part in so many.
const costWeight = 4

// synced learns from a sync.
func (g *gathered) synced(took time.Duration, now time.Time) {
	old := g.cost.Load()
	if old == 0 {
		old = int64(took)
	}
	g.cost.Store(old + (int64(took)-old)/costWeight)
	g.ended.Store(now.UnixNano())
}

// tail puts the facts together, with the bounds of c. A clock that was set back
// makes nothing younger than new.
func (g *gathered) tail(c *Config, now time.Time) Tail {
	t := Tail{
		Appends: g.appends.Load(), Records: g.records.Load(), Bytes: g.bytes.Load(),
		Group: g.group.Load(), Cost: time.Duration(g.cost.Load()),
		Rest:       max(0, time.Duration(now.UnixNano()-g.ended.Load())),
		MaxRecords: c.FlushRecords, MaxAge: c.FlushAge, MaxBytes: c.SyncBytes, Window: c.SyncLinger,
	}
	if t.Appends > 0 {
		t.Age = max(0, time.Duration(now.UnixNano()-g.since.Load()))
	}
	return t
}
