package engine

import "time"

// SyncPolicy says when a log's tail is made durable, and so what an
// acknowledgement means. It is a value: the engine asks Due and acts.
type SyncPolicy struct {
	Name string
	// Promise is one sentence: what an acknowledged record survives.
	Promise string
	// AckDurable says that an append is acknowledged, and shown to consumers,
	// only once it is durable.
	AckDurable bool
	// Journal says that tails become durable in the store's journal. Due then says
	// when their own files are synced, beside that.
	Journal bool
	// Hardens has the tail made durable by a durable write where its segment can
	// do that: see [segment.Hardener].
	Hardens bool
	// Due returns how long from now the tail may wait to be synced: zero or less
	// means now, [Never] that nothing is due. It is asked after an append or,
	// where AckDurable, when somebody waits for one; it is not asked again when
	// the time that it named has come.
	Due func(Tail) time.Duration
}

// Never is a wait without end.
const Never = time.Duration(1<<63 - 1)

// Tail is the part of a log that is not durable yet, what the syncs before it
// were like, and the bounds that the log's configuration sets.
type Tail struct {
	Appends int64         // since the last sync: of each somebody wants to know, or will
	Records int64         // in them
	Bytes   int64         // in them
	Age     time.Duration // since the first of them
	// Group is how many appends the last sync made durable, Cost how long a sync
	// takes, averaged over the last few, and Rest how long none has been under
	// way.
	Group int64
	Cost  time.Duration
	Rest  time.Duration

	// MaxRecords, MaxAge, MaxBytes and Window are flush.messages, flush.ms,
	// bobbin.sync.bytes and bobbin.sync.linger.us.
	MaxRecords int64
	MaxAge     time.Duration
	MaxBytes   int64
	Window     time.Duration
}

// SyncPolicies lists every sync policy. The first is the default.
var SyncPolicies = []SyncPolicy{
	{
		Name:       "always",
		Promise:    "an acknowledged record is on the disk: it survives kill -9 and loss of power",
		AckDurable: true,
		Due:        func(Tail) time.Duration { return 0 },
	},
	{
		Name:       "linger",
		Promise:    "an acknowledged record is on the disk: it survives kill -9 and loss of power; the sync waits up to bobbin.sync.linger.us for others to share it",
		AckDurable: true,
		Due:        dueByLinger,
	},
	{
		Name:       "journal",
		Promise:    "an acknowledged record is on the disk: it survives kill -9 and loss of power; all partitions share one journal, so that one sync serves them all",
		AckDurable: true,
		Journal:    true,
		Due:        func(Tail) time.Duration { return Never },
	},
	{
		Name:       "dsync",
		Promise:    "an acknowledged record is on the disk: it survives kill -9 and loss of power; it gets there by a write that is durable itself (O_DSYNC), one for each group",
		AckDurable: true,
		Hardens:    true,
		Due:        func(Tail) time.Duration { return 0 },
	},
	{
		Name:    "interval",
		Promise: "an acknowledged record survives kill -9; a loss of power may take those of the last flush.ms or flush.messages",
		Due: func(t Tail) time.Duration {
			switch {
			case t.Records >= t.MaxRecords:
				return 0
			case t.MaxAge == Never:
				return Never
			}
			return t.MaxAge - t.Age
		},
	},
	{
		Name:    "bytes",
		Promise: "an acknowledged record survives kill -9; a loss of power may take the last bobbin.sync.bytes of each partition, however old they are",
		Due: func(t Tail) time.Duration {
			if t.Bytes >= t.MaxBytes {
				return 0
			}
			return Never
		},
	},
	{
		Name:    "none",
		Promise: "an acknowledged record survives kill -9; a loss of power may take whatever the operating system had not written",
		Due:     func(Tail) time.Duration { return Never },
	},
}

// dueByLinger lets a sync wait for company, where company is likely. Producers
// that wait for their answers come back together: after a sync that made sixteen
// appends durable, sixteen are on their way again. Without a wait the first of
// them has a sync to itself, and the others meet only in the one after it; with
// it all sixteen share one.
//
//   - It waits only for as many appends as the sync before had. A producer that
//     is alone never waits, and 100 become 16 at the price of one wait.
//   - It waits no longer than a sync takes, whatever the window. Then who
//     lingers in vain loses at most what it might have saved, a whole sync, as
//     with every rent that is paid until it reaches the price; and on a fast
//     disk, where little can be saved, little is waited.
//   - It counts from when a sync could have begun: not the time in which the
//     append had to wait for the sync before it.
//
// With a window of 1 ms, a cost of 200 µs and a group of 16: the 16th append is
// due at once, the 15th after what is left of 200 µs.
func dueByLinger(t Tail) time.Duration {
	if t.Appends >= t.Group {
		return 0
	}
	return min(t.Window, t.Cost) - min(t.Age, t.Rest)
}
