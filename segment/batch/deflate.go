package batch

import (
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// deflater holds the encoders that were needed so far, one per codec and kind,
// for reuse.
type deflater struct {
	gzip [gzip.BestCompression + 1]*gzip.Writer // by level; 0 is the default one
	zstd [zstd.SpeedBestCompression + 1]*zstd.Encoder
	lz4  lz4.Compressor
	hc   *lz4.CompressorHC
}

// compress appends plain in the codec's wire format, as Kafka's own clients
// write it. The level is by Kafka's numbers (compression.gzip.level and so on):
// 0 is the codec's default, others are clamped.
func compress(dst, plain []byte, codec Codec, level int) []byte {
	if codec == None {
		return append(dst, plain...)
	}
	d := coders.deflater()
	defer coders.putDeflater(d)
	switch codec {
	case Gzip:
		return d.appendGzip(dst, plain, level)
	case Snappy:
		return appendSnappy(dst, plain)
	case LZ4:
		return d.appendLZ4(dst, plain, level)
	case Zstd:
		return d.appendZstd(dst, plain, level)
	}
	return append(dst, plain...)
}

// tail is an io.Writer to the end of a slice.
type tail struct{ p []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.p = append(t.p, p...)
	return len(p), nil
}

func (d *deflater) appendGzip(dst, plain []byte, level int) []byte {
	level = min(max(level, 0), gzip.BestCompression) // Kafka's -1 is the default too
	out := &tail{p: dst}
	w := d.gzip[level]
	if w == nil {
		at := level
		if at == 0 {
			at = gzip.DefaultCompression
		}
		w, _ = gzip.NewWriterLevel(out, at) // fails only for levels out of range
		d.gzip[level] = w
	} else {
		w.Reset(out)
	}
	// A tail takes every write, and nothing else can fail in a Writer.
	_, _ = w.Write(plain)
	_ = w.Close()
	w.Reset(nil)
	return out.p
}

// zstdWindow bounds an encoder's memory, and with it a consumer's: batches are
// rarely larger.
const zstdWindow = 1 << 20

func (d *deflater) appendZstd(dst, plain []byte, level int) []byte {
	speed := zstd.SpeedDefault
	if level != 0 {
		speed = zstd.EncoderLevelFromZstd(level)
	}
	if d.zstd[speed] == nil {
		// The error is for options out of range. No checksum: the batch has one,
		// and Kafka's clients write none.
		d.zstd[speed], _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(speed), zstd.WithEncoderConcurrency(1),
			zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(false), zstd.WithZeroFrames(true))
	}
	return d.zstd[speed].EncodeAll(plain, dst)
}
