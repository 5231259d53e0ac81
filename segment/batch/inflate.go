package batch

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

const (
	// chunkSize is how many plain bytes a stream decoder is asked for at a time.
	chunkSize = 32 << 10
	// maxWindow bounds the zstd window in bytes, which a streaming decoder must
	// keep in memory. 8 MiB is what RFC 8878 asks decoders to support; levels up
	// to 19 stay within it.
	maxWindow = 8 << 20
	// Beyond that (levels 20 to 22) a payload is decoded at once, into at most
	// maxWhole bytes: then its output is its window. The window that it names is
	// what libzstd reads by default, 128 MiB.
	maxWhole      = 32 << 20
	firstWhole    = 1 << 20
	maxWholeFrame = 128 << 20
)

// An inflater decompresses one payload in chunks. It owns at most one decoder
// of each codec and keeps them for the next payload.
type inflater struct {
	codec  Codec
	budget int64 // in plain bytes
	left   int64 // of the budget
	begun  bool  // next has given something
	done   bool  // the decoder is at its end
	err    error // sticks

	payload []byte
	src     bytes.Reader // over payload, for gzip, lz4 and zstd
	stream  io.Reader    // one of the three below; nil for snappy
	gzip    *gzip.Reader
	lz4     *lz4.Reader
	zstd    *zstd.Decoder
	snappy  snappyReader
	chunk   []byte
}

// inflate starts to decompress payload. The caller must release the inflater.
func inflate(codec Codec, payload []byte, budget int64) (*inflater, error) {
	if !codec.Known() || codec == None {
		return nil, fmt.Errorf("%w: %d", ErrCodec, int8(codec))
	}
	f := coders.inflater()
	if budget <= 0 {
		budget = DefaultBudget
	}
	f.codec, f.budget, f.left, f.payload = codec, budget, budget, payload
	f.begun, f.done, f.err = false, false, nil
	f.src.Reset(payload)
	if err := f.open(); err != nil {
		if errors.Is(err, io.EOF) { // of an empty payload
			err = io.ErrUnexpectedEOF
		}
		err = f.classify(err)
		f.release()
		return nil, err
	}
	return f, nil
}

// open readies the codec's decoder, and makes it if this is its first payload.
func (f *inflater) open() (err error) {
	f.stream = nil
	switch f.codec {
	case Snappy:
		f.snappy.reset(f.payload)
		return nil
	case Gzip:
		if f.gzip == nil {
			f.gzip = new(gzip.Reader)
		}
		f.stream, err = f.gzip, f.gzip.Reset(&f.src)
	case LZ4:
		if err = checkLZ4(f.payload); err != nil {
			return err
		}
		if f.lz4 == nil {
			f.lz4 = lz4.NewReader(nil)
		}
		f.lz4.Reset(&f.src)
		f.stream = f.lz4
	case Zstd:
		if f.zstd == nil {
			if f.zstd, err = newZstd(); err != nil {
				return err
			}
		}
		f.stream, err = f.zstd, f.zstd.Reset(&f.src)
	}
	if f.chunk == nil {
		f.chunk = make([]byte, chunkSize)
	}
	return err
}

// next returns the next plain bytes, which are good until the next call; none
// at the end. Its errors wrap one of the package's.
func (f *inflater) next() ([]byte, error) {
	if f.done || f.err != nil {
		return nil, f.err
	}
	p, err := f.read()
	if f.tooWide(err) {
		p, err = f.whole()
	}
	if errors.Is(err, io.EOF) {
		f.done, err = true, nil
	}
	f.err = f.classify(err)
	if int64(len(p)) > f.left {
		f.err = f.classify(ErrBudget)
		return nil, f.err
	}
	if len(p) == 0 {
		return nil, f.err
	}
	f.left -= int64(len(p))
	f.begun = true
	return p, nil // and the error, if there is one, the next time
}

// read asks the codec's decoder for some bytes.
func (f *inflater) read() (p []byte, err error) {
	if f.stream == nil {
		return f.snappy.next(f.left)
	}
	n := 0
	for n == 0 && err == nil { // a decoder may give nothing at a block's border
		n, err = f.stream.Read(f.chunk)
	}
	return f.chunk[:n], err
}

// newZstd makes a decoder without goroutines that streams with a window of at
// most maxWindow. It needs to be told twice: a frame of a single segment names
// no window, only its content's size, which takes its place.
func newZstd() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecodeBuffersBelow(0))
}

// tooWide tells whether a stream needs a larger window than f keeps, and has
// not begun yet.
func (f *inflater) tooWide(err error) bool {
	return f.codec == Zstd && !f.begun && (errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded))
}

// whole decodes the payload at once, into room that doubles from firstWhole on:
// what a frame claims to hold sizes nothing. Neither the decoder nor the room is
// kept, as few payloads need them.
func (f *inflater) whole() ([]byte, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWholeFrame), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	limit := min(f.left, maxWhole)
	for room := min(firstWhole, limit); ; room = min(2*room, limit) {
		p, err := d.DecodeAll(f.payload, make([]byte, 0, room))
		switch {
		case err == nil:
			return p, io.EOF
		case !errors.Is(err, zstd.ErrDecoderSizeExceeded) || room == limit:
			return nil, err
		}
	}
}

// classify turns a decoder's error into one of the package's.
func (f *inflater) classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrBudget):
		return fmt.Errorf("%w: more than %d bytes", ErrBudget, f.budget)
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Errorf("%w: more than %d bytes, or more zstd window than is kept: %w", ErrBudget, f.budget, err)
	}
	return fmt.Errorf("%w: the %s payload does not decompress: %w", ErrInvalid, f.codec, err)
}

// release gives the decoders back. It keeps no reference to the payload.
func (f *inflater) release() {
	f.payload = nil
	f.src.Reset(nil)
	f.snappy.release()
	if f.codec == Zstd && f.zstd != nil {
		_ = f.zstd.Reset(nil) // says only that it has no input now
	}
	if f.codec == LZ4 && f.lz4 != nil {
		f.lz4.Reset(nil) // gives back its block, of up to 4 MiB
	}
	coders.putInflater(f)
}

// decompress returns the whole plain payload in memory of its own.
func decompress(codec Codec, payload []byte, budget int64) ([]byte, error) {
	return appendDecompressed(make([]byte, 0, len(payload)), codec, payload, budget)
}

// appendDecompressed appends the whole plain payload to dst.
func appendDecompressed(dst []byte, codec Codec, payload []byte, budget int64) ([]byte, error) {
	f, err := inflate(codec, payload, budget)
	if err != nil {
		return dst, err
	}
	defer f.release()
	for {
		p, err := f.next()
		if err != nil {
			return dst, err
		}
		if len(p) == 0 {
			return dst, nil
		}
		dst = append(dst, p...)
	}
}
