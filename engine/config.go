package engine

import "time"

// Config is what can be set for one log. [Keys] maps Kafka's topic
// configuration onto it. DefaultConfig has Kafka's defaults.
type Config struct {
	Design Design

	SegmentBytes  int64         // a part is sealed before it grows past this
	SegmentAge    time.Duration // or when its first record is this old
	SegmentJitter time.Duration // at most this much earlier, at random
	Preallocate   bool          // reserve SegmentBytes when a part is made

	IndexIntervalBytes int64 // log bytes between two index entries
	IndexBytes         int64 // bound of one index on disk

	FlushRecords int64         // sync policy "interval": after so many records
	FlushAge     time.Duration // or so much time
	SyncBytes    int64         // sync policy "bytes": after so many
	SyncLinger   time.Duration // sync policy "linger": a sync waits at most this long for others

	// Delete and Compact are cleanup.policy. Without Delete, retention drops
	// nothing.
	Delete, Compact bool
	RetentionAge    time.Duration // negative: no bound
	RetentionBytes  int64         // negative: no bound
	DiskShare       float64       // retention "disk": of the file system, in (0, 1]

	// MinCompactionLag is how long a record is not compacted at least, and
	// MaxCompactionLag how long it may stay uncompacted; Never: no bound.
	MinCompactionLag, MaxCompactionLag time.Duration
	// MinDirtyRatio is the share of the log's bytes that must have come since it
	// was compacted, before it is again: 0 to 1.
	MinDirtyRatio float64
	// DeleteRetention is how long a tombstone stays after the first compaction
	// that met it.
	DeleteRetention time.Duration

	// ProducerExpiry is how long an idempotent producer is remembered.
	ProducerExpiry time.Duration

	// AppendTime stamps the broker's time on each batch (LogAppendTime).
	AppendTime bool

	CompressionType string // "producer", "uncompressed" or a codec
	GzipLevel       int    // and how hard it tries
	LZ4Level        int    //
	ZstdLevel       int    //

	// The rest is not the engine's business: it is carried for the layers above.

	MaxMessageBytes    int64         // bound of one batch
	MinInsyncReplicas  int           // replicas that have a record before acks=all is answered
	TimestampBeforeMax time.Duration // a record may claim to be older by at most this
	TimestampAfterMax  time.Duration // or newer by at most this
}

// DefaultConfig returns Kafka's defaults with [DefaultDesign]. But for FlushAge,
// which in Kafka is without bound: only the policy "interval" looks at it.
func DefaultConfig() Config {
	return Config{
		Design:             DefaultDesign,
		SegmentBytes:       1 << 30,
		SegmentAge:         7 * 24 * time.Hour,
		IndexIntervalBytes: 4096,
		IndexBytes:         10 << 20,
		FlushRecords:       1<<63 - 1,
		FlushAge:           time.Second,
		SyncBytes:          1 << 20,
		SyncLinger:         time.Millisecond,
		Delete:             true,
		RetentionAge:       7 * 24 * time.Hour,
		RetentionBytes:     -1,
		DiskShare:          0.85,
		MaxCompactionLag:   Never,
		MinDirtyRatio:      0.5,
		DeleteRetention:    24 * time.Hour,
		ProducerExpiry:     24 * time.Hour,
		MaxMessageBytes:    1<<20 + 12,
		MinInsyncReplicas:  1,
		CompressionType:    "producer",
		GzipLevel:          -1,
		LZ4Level:           9,
		ZstdLevel:          3,
		TimestampBeforeMax: 1<<63 - 1,
		TimestampAfterMax:  time.Hour,
	}
}

// rollAge is the age at which a segment is sealed. A log that is to be compacted
// in time must not wait longer for it.
func (c *logConfig) rollAge() time.Duration {
	if c.compacts() {
		return min(c.SegmentAge, c.MaxCompactionLag)
	}
	return c.SegmentAge
}
