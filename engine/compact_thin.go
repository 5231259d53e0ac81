package engine

import (
	"fmt"
	"time"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// thinner decides what of a batch stays, and writes it.
//
// A record stays if it is the last one of its key, or past what the keys were
// read of. A tombstone that stays gets its batch a delete horizon, which lies
// delete.retention.ms ahead: readers who follow the log have that long to see it.
// From then on it goes, too. Markers are treated as if they were tombstones of
// their transactions.
//
// A batch of which nothing stays goes whole, but for two: the last one of a
// producer, see [lastBatch], and the last one of the segment that is written. That
// one says how far the segment's offsets reach, which a start that finds an
// interrupted swap must know; and so segments follow each other without a gap, as
// they did.
type thinner struct {
	keys    *keyMap
	upTo    int64 // the keys were read up to here
	fates   *fates
	lasts   map[int64]lastBatch // by producer
	now     int64               // in ms
	horizon int64               // for tombstones that have none yet
	// codec and level are what batches are stored in, if recode is set; else
	// each keeps its own codec, and its default level.
	recode bool
	codec  batch.Codec
	level  int

	plain, scratch []byte
	kept           []batch.Entry

	records, keptRecords int64
	changed              bool           // something is not as it was
	markers              map[int64]bool // of aborted transactions, that stay
}

// lastBatch is what the log knows a producer by. Without it the producer's next
// batch would look like a gap, or one of an older epoch would be let in. It is the
// batch of data that ends with offset; where a marker was the last that the
// producer wrote under its epoch, which a new epoch begins with, offset is -1 and
// it is the markers of that epoch.
type lastBatch struct {
	offset int64
	epoch  int16
}

func (l lastBatch) is(b batch.Batch) bool {
	if l.offset < 0 {
		return b.IsControl() && b.ProducerEpoch() == l.epoch
	}
	return b.LastOffset() == l.offset
}

// configure takes over what the topic wants.
func (t *thinner) configure(c *Config, now time.Time) error {
	t.now = now.UnixMilli()
	t.horizon = now.Add(min(c.DeleteRetention, 1<<62)).UnixMilli()
	var err error
	t.codec, t.level, t.recode, err = c.Compression()
	return err
}

// begin starts with the batches of one new segment.
func (t *thinner) begin() { t.changed, t.markers = false, map[int64]bool{} }

// thin appends to dst what stays of b. last says that it is the segment's last
// batch, and grow by how many bytes it may become longer by another codec.
func (t *thinner) thin(dst []byte, b batch.Batch, last bool, grow int64) ([]byte, error) {
	t.records += int64(b.Count())
	discard, idle, err := t.fate(b)
	if err != nil {
		return dst, err
	}
	tombstones := idle
	t.kept = t.kept[:0]
	if !discard && b.Count() > 0 {
		deletes, err := t.choose(b)
		if err != nil {
			return dst, err
		}
		tombstones = tombstones || deletes
	}
	t.keptRecords += int64(len(t.kept))
	if len(t.kept) > 0 {
		return t.write(dst, b, tombstones && !b.HasDeleteHorizon(), grow), nil
	}
	if of, ok := t.lasts[b.ProducerID()]; !last && (!ok || !of.is(b) || bugProducerDropped.made()) {
		t.changed = true
		return dst, nil
	}
	if b.Count() == 0 {
		return append(dst, b...), nil // emptied before
	}
	t.changed = true
	return b.AppendEmpty(dst), nil
}

// fate reports whether no record of the batch stays, by its transaction, and
// whether it is a marker of which the transaction has nothing left.
func (t *thinner) fate(b batch.Batch) (discard, idle bool, err error) {
	if !b.IsControl() {
		return t.fates.data(b), false, nil
	}
	idle, aborts, err := t.fates.marker(b)
	if aborts {
		t.markers[b.BaseOffset()] = true
	}
	return idle && b.HasDeleteHorizon() && b.BaseTimestamp() <= t.now, idle && b.Count() > 0, err
}

// choose notes the records that stay, and reports whether there are tombstones
// among them.
func (t *thinner) choose(b batch.Batch) (tombstones bool, err error) {
	plain := b.Payload()
	if b.Codec() != batch.None {
		if t.plain, err = b.AppendPlain(t.plain[:0], decompressMax); err != nil {
			return false, err
		}
		plain = t.plain
	}
	expired := b.HasDeleteHorizon() && b.BaseTimestamp() <= t.now || bugTombstonesEarly.made()
	for e, err := range b.Entries(plain) {
		if err != nil {
			return false, err
		}
		if b.IsControl() || t.stays(e, expired) {
			t.kept = append(t.kept, e)
			tombstones = tombstones || e.Tombstone
		}
	}
	return tombstones, nil
}

// stays decides about one record. One without a key, from before the topic was
// compacted, has nothing that it could be the last of.
func (t *thinner) stays(e batch.Entry, expired bool) bool {
	if e.Offset >= t.upTo {
		return true
	}
	return e.Key != nil && e.Offset >= t.keys.last(e.Key) && !(e.Tombstone && expired)
}

// write appends the records that stay: the batch as it is, if they all do and
// nothing else is to change.
func (t *thinner) write(dst []byte, b batch.Batch, newHorizon bool, grow int64) []byte {
	r := batch.Remainder{Kept: t.kept, Horizon: batch.NoTimestamp, Codec: b.Codec(), Scratch: t.scratch}
	if t.recode {
		r.Codec, r.Level = t.codec, t.level
	}
	if newHorizon {
		r.Horizon = t.horizon
	}
	if len(t.kept) == int(b.Count()) && !newHorizon && r.Codec == b.Codec() {
		return append(dst, b...)
	}
	t.changed = true
	start := len(dst)
	dst, t.scratch = b.AppendThinned(dst, r)
	if r.Codec != b.Codec() && int64(len(dst)-start-len(b)) > grow {
		// The segment would outgrow its bounds by it.
		r.Codec, r.Level, r.Scratch = b.Codec(), 0, t.scratch
		dst, t.scratch = b.AppendThinned(dst[:start], r)
	}
	return dst
}

// Compression returns the codec that the log's batches are to be stored in, and
// its level by Kafka's numbers. recode is false if each keeps the one that its
// producer chose.
func (c *Config) Compression() (codec batch.Codec, level int, recode bool, err error) {
	if c.CompressionType == "" || c.CompressionType == "producer" {
		return batch.None, 0, false, nil
	}
	if codec, err = batch.ParseCodec(c.CompressionType); err != nil {
		return batch.None, 0, false, fmt.Errorf("compression.type: %w", err)
	}
	switch codec {
	case batch.Gzip:
		level = c.GzipLevel
	case batch.LZ4:
		level = c.LZ4Level
	case batch.Zstd:
		level = c.ZstdLevel
	}
	return codec, level, true, nil
}
