// Package engine keeps logs: one [Log] is the durable sequence of one
// partition's record batches, and a [Store] is a directory of them.
//
// A log is a list of parts, each a segment of bytes with two sparse indexes.
// The last part is appended to, the others are sealed. What lies where is
// decided by a [Design]; the files of the default design are Apache Kafka's own.
//
//	append ──► Log.mu: dedupe, roll, stamp, one pwritev, publish End
//	                │
//	                └► committer: one fdatasync for all that waited ─► publish Durable
//
//	read  ──► atomic snapshot of the parts ─► index ─► pinned Extent (no copy, no lock)
//
// The package knows no network, no node and no high watermark.
//
// # Lock order
//
//	Log.cutting → Log.syncing → Log.mu
//	checkpoints.gathering → Log.syncing → Log.mu
//	any of them → checkpoints.mu, committer.mu
//	Store.mu before Log.mu, and held across no I/O
//
// An append syncs nothing and waits for nothing under Log.mu. It makes files there
// when it rolls, and retention and searches by time may read a few headers. What
// takes records off the end, Truncate and Reset, does wait for readers and syncs
// under it: appends wait as long. Trim and retention remove files without it.
package engine

import (
	"errors"
	"fmt"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Marks are the offsets that describe a log at one moment.
//
// Invariant: Start <= Durable <= End, Start <= Acked <= End,
// Start <= Undecided <= End.
type Marks struct {
	// Start is the first offset that can be read.
	Start int64
	// Acked is the offset below which the log's sync policy keeps its promise:
	// Durable where an append is acknowledged only when it is durable, else End.
	Acked int64
	// Durable is the offset below which everything survives a loss of power.
	Durable int64
	// Undecided is the offset below which all transactions are decided: the first
	// one's of the oldest that is open, or End. A marker counts as soon as it is
	// appended.
	Undecided int64
	// End is the offset that the next record gets.
	End int64
}

// LastStable is the offset below which consumers of committed data see records: what
// is acknowledged, up to the first transaction that is open.
func (m Marks) LastStable() int64 { return min(m.Acked, m.Undecided) }

// Appended says where a batch set went.
type Appended struct {
	// Base is the offset of the first record, Next the one after the last.
	Base, Next int64
	// Time is the broker's timestamp in milliseconds if the log stamps append
	// times, else -1.
	Time int64
	// Start is the log's start when the set was appended.
	Start int64
	// Duplicate says that an idempotent producer sent this set before: nothing
	// was appended, and Base and Next are those of the first time.
	Duplicate bool
}

// Read says what to read.
type Read struct {
	// From is the first offset wanted; the batch that holds it is returned whole.
	From int64
	// UpTo bounds what is returned: no batch that begins at or past it.
	UpTo int64
	// MaxBytes bounds the Extent, which may then end within a batch.
	MaxBytes int64
	// AtLeastOne returns the first batch whole even if it exceeds MaxBytes. If
	// not set, a first batch that does not fit yields an empty Extent.
	AtLeastOne bool
}

// Position is a record found by its timestamp.
type Position struct {
	Offset    int64
	Timestamp int64 // milliseconds
	Epoch     int32 // leader epoch of its batch
}

var (
	// ErrClosed is returned by every method after Close.
	ErrClosed = errors.New("log is closed")
	// ErrFailed says that a write or a sync failed earlier. The log is read-only
	// until it is opened again: what reached the disk is not known, so nothing
	// is retried.
	ErrFailed = errors.New("log failed and refuses writes until it is opened again")
	// ErrNoSpace says that the disk is full. Nothing was appended; it can be
	// tried again.
	ErrNoSpace = vfs.ErrNoSpace
	// ErrFenced says that the appender's leader epoch is older than the log's.
	ErrFenced = errors.New("leader epoch is older than the log's")
	// ErrSequence says that an idempotent producer left a gap.
	ErrSequence = errors.New("producer sequence out of order")
	// ErrProducerFenced says that a newer epoch of the producer id was seen.
	ErrProducerFenced = errors.New("producer epoch is older than one seen before")
	// ErrTooLarge says that a set does not fit into a segment.
	ErrTooLarge = errors.New("batch set is larger than a segment")
	// ErrExists and ErrNotFound are about logs of a store.
	ErrExists   = errors.New("log exists already")
	ErrNotFound = errors.New("no such log")
	// ErrFormat says that a directory belongs to another cluster or node, or was
	// written by a newer release.
	ErrFormat = errors.New("data directory cannot be used")
)

// RangeError says that an offset lies outside of a log.
type RangeError struct{ Offset, Start, End int64 }

func (e *RangeError) Error() string {
	return fmt.Sprintf("offset %d is outside of the log's [%d, %d)", e.Offset, e.Start, e.End)
}

// CorruptError says where damage was found.
type CorruptError struct {
	Path string
	Pos  int64
	Why  string
	// First and Next are what is lost by it: the records of [First, Next) cannot
	// be read, those from Next on can. Both are 0 where that is not known.
	First, Next int64
}

func (e *CorruptError) Error() string {
	text := fmt.Sprintf("%s: damaged at byte %d: %s", e.Path, e.Pos, e.Why)
	if e.Next > e.First {
		text += fmt.Sprintf("; offsets %d to %d cannot be read, go on from %d", e.First, e.Next-1, e.Next)
	}
	return text
}
