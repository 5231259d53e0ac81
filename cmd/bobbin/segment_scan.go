package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// storedBatch is a batch and where it lies in its segment.
type storedBatch struct {
	batch.Batch // valid until the next call
	pos         int64
}

// damage is a run of a segment's bytes that is no batch.
type damage struct {
	pos, end int64 // [pos, end); behind end the scan goes on
	why      string
	first    int64 // the offset that is due
	next     int64 // the offset of the batch behind it, -1: there is none
	zeros    bool  // nothing but zeros up to the end of the file
	tail     bool  // no batch follows
}

func (d *damage) Error() string { return fmt.Sprintf("damaged at byte %d: %s", d.pos, d.why) }

// segmentScan reads a segment's batches in order. Behind damage it looks for
// the next whole batch.
type segmentScan struct {
	file *os.File
	size int64
	pos  int64
	next int64 // the least offset that may come
	buf  []byte
}

func openSegment(path string, base int64) (*segmentScan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &segmentScan{file: f, size: info.Size(), next: base}, nil
}

func (s *segmentScan) close() { s.file.Close() }

// read returns the next batch, which has passed [batch.Batch.Check] and begins
// at or after the end of the one before; a *damage, after which read can go on;
// or io.EOF.
func (s *segmentScan) read() (storedBatch, error) {
	if s.pos >= s.size {
		return storedBatch{}, io.EOF
	}
	b, err := s.at(s.pos)
	if err == nil && b.BaseOffset() < s.next {
		err = fmt.Errorf("its offsets %d-%d are not behind those before it: %d comes next", b.BaseOffset(), b.LastOffset(), s.next)
	}
	if err == nil {
		found := storedBatch{b, s.pos}
		s.pos += int64(len(b))
		s.next = b.NextOffset()
		return found, nil
	}
	var path *os.PathError
	if errors.As(err, &path) {
		return storedBatch{}, err // reading failed, which says nothing about the bytes
	}
	d := &damage{pos: s.pos, end: s.size, first: s.next, next: -1, why: err.Error()}
	if err := s.resync(d); err != nil {
		return storedBatch{}, err
	}
	s.pos = d.end
	return storedBatch{}, d
}

// at reads and checks the batch at pos.
func (s *segmentScan) at(pos int64) (batch.Batch, error) {
	var head [batch.PeekMagicLen]byte
	n, err := s.file.ReadAt(head[:min(s.size-pos, batch.PeekMagicLen)], pos)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	size, err := batch.PeekSize(head[:n])
	if err != nil {
		return nil, err
	}
	if size > s.size-pos {
		return nil, fmt.Errorf("%w: a batch of %d bytes, and the file has %d more", batch.ErrTruncated, size, s.size-pos)
	}
	if int64(cap(s.buf)) < size {
		s.buf = make([]byte, size+size/4)
	}
	b := batch.Batch(s.buf[:size])
	if _, err := s.file.ReadAt(b, pos); err != nil {
		return nil, err
	}
	return b, b.Check()
}

// resync finds where the next whole batch with a possible offset begins, and
// writes it into d.
func (s *segmentScan) resync(d *damage) error {
	const chunkBytes = 1 << 20
	chunk := make([]byte, min(chunkBytes, s.size-d.pos))
	d.zeros, d.tail = true, true
	for from := d.pos; from < s.size; from += chunkBytes - batch.HeaderSize {
		n, err := s.file.ReadAt(chunk[:min(int64(len(chunk)), s.size-from)], from)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		window := chunk[:n]
		if d.zeros && len(bytes.TrimLeft(window, "\x00")) > 0 {
			d.zeros = false
		}
		for i := 0; i+batch.HeaderSize <= len(window); i++ {
			if from+int64(i) == d.pos || !s.plausible(batch.Batch(window[i:]), from+int64(i)) {
				continue
			}
			if b, err := s.at(from + int64(i)); err == nil && b.BaseOffset() >= s.next {
				d.end, d.next, d.zeros, d.tail = from+int64(i), b.BaseOffset(), false, false
				return nil
			}
		}
	}
	return nil
}

// plausible tells cheaply whether a batch could begin with these bytes, which
// are at least a header.
func (s *segmentScan) plausible(b batch.Batch, pos int64) bool {
	size, err := batch.PeekSize(b[:batch.HeaderSize])
	return err == nil && size <= s.size-pos && b.BaseOffset() >= s.next && b.BaseOffset()-s.next < 1<<31 && b.Count() >= 0
}
