// Package bench puts storage engines side by side: each gets the same [Work]
// under the same conditions, in turns, and the [Report] says what it cost.
//
//	Subject ── Open ──► Engine ◄── Append ── writers (closed or open loop)
//	                                             │
//	      Meter: processor time, device ────► Figures ──► Report (medians of the rounds)
//
// # Equal conditions
//
// They are asserted, not assumed; a subject that breaks one is reported as not
// measured, with the reason:
//
//   - the directory is new and empty, and lies on the one file system that the
//     report names;
//   - every subject gets the same bytes, batch for batch, from as many writers;
//   - one that calls itself durable is caught if the device saw fewer bytes than
//     were acknowledged before the clock starts;
//   - what was acknowledged is there in the end, batch for batch.
//
// What the run before left in the page cache is written back before the next one
// starts, and what a run leaves there is written back, and counted, after its
// clock has stopped. Rounds are interleaved (A B C, B C A, C A B), because a
// machine's speed drifts by more than most designs differ.
package bench

import (
	"fmt"
	"time"
)

// Engine is all that the runner needs of what it measures: an append-only log
// of batches for each of Work.Partitions partitions.
type Engine interface {
	// Append adds b at the end of a partition and returns once it is
	// acknowledged. It is called by many goroutines at once. The bytes are the
	// caller's again when it returns; it may have stamped its offsets into them.
	Append(partition int, b []byte) error
	// Held counts the batches that the engine has. Nobody appends meanwhile.
	Held() (int64, error)
	Close() error
}

// Subject is something to measure.
type Subject struct {
	Name string
	// Durable says that an acknowledged append survives a loss of power.
	Durable bool
	// Settings tells how it is used, where the name does not.
	Settings string
	// Open makes an empty engine in dir, which is there and empty.
	Open func(dir string, w Work) (Engine, error)
}

// Work is what every subject is given to do.
type Work struct {
	Partitions int `json:"partitions"`
	// Writers append at once, each waiting for its acknowledgement before its
	// next append. Writer i appends in turn to the partitions i, i+Writers, …,
	// or to i modulo Partitions where there are fewer.
	Writers int `json:"writers"`
	// BatchBytes is about the size of one append, of records of RecordBytes.
	BatchBytes  int `json:"batch_bytes"`
	RecordBytes int `json:"record_bytes"`
	// Rate is how many appends become due in a second, over all writers. The
	// latency of each then counts from when it was due, also where its writer
	// was still waiting for the one before. 0 is the closed loop: an append is
	// due when the one before is acknowledged.
	Rate float64 `json:"rate,omitempty"`
	// Warmup is driven before Time, which alone is measured.
	Warmup time.Duration `json:"warmup_ns"`
	Time   time.Duration `json:"time_ns"`
	// LimitBytes ends the measured time early, so that what syncs nothing does
	// not fill the memory.
	LimitBytes int64 `json:"limit_bytes"`
}

// Validate says what is wrong with the work.
func (w Work) Validate() error {
	switch {
	case w.Partitions < 1 || w.Partitions > maxPartitions:
		return fmt.Errorf("%d partitions: there must be between 1 and %d", w.Partitions, maxPartitions)
	case w.Writers < 1 || w.Writers > maxWriters:
		return fmt.Errorf("%d writers: there must be between 1 and %d", w.Writers, maxWriters)
	case w.BatchBytes < minBatchBytes || w.BatchBytes > maxBatchBytes:
		return fmt.Errorf("batches of %d bytes: they have between %d bytes and %d MiB", w.BatchBytes, minBatchBytes, maxBatchBytes>>20)
	case w.RecordBytes < 1 || w.RecordBytes > w.BatchBytes:
		return fmt.Errorf("records of %d bytes: they have between 1 byte and a batch's %d", w.RecordBytes, w.BatchBytes)
	case w.Rate < 0:
		return fmt.Errorf("%g appends a second: a rate is positive, or 0 for the closed loop", w.Rate)
	case w.Time <= 0 || w.Warmup < 0:
		return fmt.Errorf("%v after a warm-up of %v: the time must be positive and the warm-up not negative", w.Time, w.Warmup)
	case w.LimitBytes < int64(w.BatchBytes):
		return fmt.Errorf("a limit of %d bytes has no room for a batch of %d", w.LimitBytes, w.BatchBytes)
	}
	return nil
}

const (
	maxPartitions = 100_000
	maxWriters    = 10_000
	minBatchBytes = 128
	maxBatchBytes = 64 << 20
)

// SegmentBytes is how large a partition's segments are where the settings do not
// say: small enough that all of them can be preallocated, large enough that one
// is not sealed all the time.
func (w Work) SegmentBytes() int64 {
	return min(segmentBytesMax, max(segmentBytesMin, segmentBytesAll/int64(w.Partitions)))
}

const (
	segmentBytesMin = 8 << 20
	segmentBytesMax = 1 << 30
	segmentBytesAll = 4 << 30
)

// Figures is what some work cost. Figures that the machine does not tell are nil.
type Figures struct {
	Appends int64   `json:"appends"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
	// MBps counts in units of 10^6 bytes.
	MBps float64 `json:"mb_per_s"`
	// Latency of an append, from when it was due to its acknowledgement, in
	// microseconds.
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p999_us"`
	Max  float64 `json:"max_us"`
	// FlushesPerMB counts the cache flushes that the device did: what every
	// kind of sync comes to, whoever asks for it, with those of the file
	// system's own journal, and without the syncs that the kernel merged.
	FlushesPerMB *float64 `json:"flushes_per_mb,omitempty"`
	// DeviceBytesPerByte is what the device wrote for a byte that was accepted,
	// with all that was written back after the run.
	DeviceBytesPerByte *float64 `json:"device_bytes_per_byte,omitempty"`
	// CPUSecondsPerGB is this process's processor time, user and system, with
	// the writers' own.
	CPUSecondsPerGB float64 `json:"cpu_s_per_gb"`
	// OthersCPU is the share of the machine's processors that everything but
	// this process had, the kernel's own threads among it.
	OthersCPU *float64 `json:"others_cpu,omitempty"`
}
