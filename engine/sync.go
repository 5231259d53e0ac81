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
	// Due returns how long a tail may wait to be synced, counted from its first
	// record: zero or less means now, [Never] that nothing is due.
	Due func(Tail) time.Duration
}

// Never is a wait without end.
const Never = time.Duration(1<<63 - 1)

// Tail is the part of a log that is not durable yet, and the bounds that the
// log's configuration sets on it.
type Tail struct {
	Records int64 // appended since the last sync
	// MaxRecords and MaxAge are flush.messages and flush.ms.
	MaxRecords int64
	MaxAge     time.Duration
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
		Name:    "interval",
		Promise: "an acknowledged record survives kill -9; a loss of power may take those of the last flush.ms or flush.messages",
		Due: func(t Tail) time.Duration {
			if t.Records >= t.MaxRecords {
				return 0
			}
			return t.MaxAge
		},
	},
	{
		Name:    "none",
		Promise: "an acknowledged record survives kill -9; a loss of power may take whatever the operating system had not written",
		Due:     func(Tail) time.Duration { return Never },
	},
}
