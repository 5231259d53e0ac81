package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kgo"
)

// lineBlockBytes is how much is read at once. Records are slices of the block,
// so that a line costs no copy.
const lineBlockBytes = 64 << 10

// errLineTooLong says that a line cannot become a record.
var errLineTooLong = errors.New("line is too long")

// lineReader cuts a stream into lines, each a record. A line is what stands
// before a '\n', byte for byte; the last one may lack its '\n'.
type lineReader struct {
	r        io.Reader
	maxBytes int // of a line

	block []byte // what was read; blocks are never reused, as records alias them
	start int    // Invariant: block[start:] is the beginning of a line
	lines int64  // delivered so far
	err   error
}

// next returns the lines that one read brings, at least one, or an error:
// io.EOF after the last line. Lines stay valid.
func (l *lineReader) next() ([][]byte, error) {
	var lines [][]byte
	for len(lines) == 0 {
		if l.err != nil {
			return nil, l.err
		}
		if err := l.room(); err != nil {
			return nil, err
		}
		n, err := l.r.Read(l.block[len(l.block):cap(l.block)])
		scanned := len(l.block)
		l.block = l.block[:scanned+n]
		l.err = err
		for {
			i := bytes.IndexByte(l.block[scanned:], '\n')
			if i < 0 {
				break
			}
			lines = append(lines, l.block[l.start:scanned+i:scanned+i])
			scanned += i + 1
			l.start = scanned
		}
		if err != nil && l.start < len(l.block) {
			lines = append(lines, l.block[l.start:len(l.block):len(l.block)])
			l.start = len(l.block)
		}
	}
	for _, line := range lines {
		l.lines++
		if len(line) > l.maxBytes {
			return nil, l.tooLong(l.lines)
		}
	}
	return lines, nil
}

// room makes sure that something can be read, in a new block that starts with
// the unfinished line when the current one is full.
func (l *lineReader) room() error {
	if len(l.block) < cap(l.block) {
		return nil
	}
	begun := l.block[l.start:]
	if len(begun) > l.maxBytes {
		return l.tooLong(l.lines + 1)
	}
	l.block = append(make([]byte, 0, max(lineBlockBytes, 2*len(begun))), begun...)
	l.start = 0
	return nil
}

func (l *lineReader) tooLong(line int64) error {
	return fmt.Errorf("line %d: %w: it has more than the %d bytes that a record may have (see the topic's max.message.bytes, and --max-message-bytes)", line, errLineTooLong, l.maxBytes)
}

// lineRecords turns lines into records.
type lineRecords struct {
	lines     *lineReader
	separator []byte // between key and value; nil: the whole line is the value
	template  recordTemplate
	err       error // of a line behind those that were delivered
}

// recordTemplate is what all records of one command have in common.
type recordTemplate struct {
	topic     string
	partition int32
	key       []byte
	headers   []kgo.RecordHeader
	tombstone bool // an empty value is null
}

func (t *recordTemplate) apply(r *kgo.Record) {
	if t.topic != "" {
		r.Topic = t.topic
	}
	if t.partition >= 0 {
		r.Partition = t.partition
	}
	if t.key != nil {
		r.Key = t.key
	}
	if len(t.headers) > 0 {
		r.Headers = append(r.Headers, t.headers...)
	}
	if t.tombstone && len(r.Value) == 0 {
		r.Value = nil
	}
}

// next returns the records of the lines that are there, in one piece of memory.
func (l *lineRecords) next() ([]kgo.Record, error) {
	if l.err != nil {
		return nil, l.err
	}
	first := l.lines.lines + 1
	lines, err := l.lines.next()
	if err != nil {
		return nil, err
	}
	records := make([]kgo.Record, len(lines))
	for i, line := range lines {
		r := &records[i]
		r.Value = line
		if l.separator != nil {
			key, value, ok := bytes.Cut(line, l.separator)
			if !ok {
				l.err = fmt.Errorf("line %d has no key separator %q: %.60q", first+int64(i), l.separator, line)
				if i == 0 {
					return nil, l.err
				}
				return records[:i], nil
			}
			r.Key, r.Value = key, value
		}
		l.template.apply(r)
	}
	return records, nil
}

// formatRecords reads records in rpk's layout language, see kgo.NewRecordReader.
type formatRecords struct {
	reader   *kgo.RecordReader
	template recordTemplate
	count    int64
}

func (f *formatRecords) next() ([]kgo.Record, error) {
	records := make([]kgo.Record, 1)
	if err := f.reader.ReadRecordInto(&records[0]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("record %d: %w", f.count+1, err)
	}
	f.count++
	f.template.apply(&records[0])
	return records, nil
}
