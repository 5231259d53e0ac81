package engine

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// The checkpoint files of a data directory, one line per log: up to where its
// bytes are known to be durable, where it starts, and up to where it was
// compacted. Kafka's names and format:
//
//	0                        version
//	2                        number of lines that follow
//	my-topic 0 1234          topic, partition, offset
//	my-topic 1 99
const (
	nameRecovery  = "recovery-point-offset-checkpoint"
	nameLogStarts = "log-start-offset-checkpoint"
	nameCleaned   = "cleaner-offset-checkpoint"
)

// A Checkpoint is offsets by the names of logs.
type Checkpoint map[string]int64

// WriteCheckpoint replaces the file dir/name: after a crash it is the old one or
// the new one.
func WriteCheckpoint(fsys vfs.FS, dir, name string, c Checkpoint) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "0\n%d\n", len(c))
	for _, log := range slices.Sorted(maps.Keys(c)) {
		topic, partition, ok := splitName(log)
		if !ok {
			return fmt.Errorf("%q is not the name of a log", log)
		}
		fmt.Fprintf(&b, "%s %d %d\n", topic, partition, c[log])
	}
	return vfs.ReplaceFile(fsys, dir, name, b.Bytes())
}

// ReadCheckpoint reads what WriteCheckpoint or Kafka wrote. A file that is not
// there is an empty checkpoint; one that cannot be understood is a
// *CorruptError.
func ReadCheckpoint(fsys vfs.FS, dir, name string) (Checkpoint, error) {
	lines, err := readLines(fsys, path.Join(dir, name))
	if err != nil {
		return nil, err
	}
	c := Checkpoint{}
	for i, l := range lines {
		f := strings.Fields(l)
		if len(f) != 3 {
			return nil, &CorruptError{Path: path.Join(dir, name), Why: fmt.Sprintf("entry %d, %q, is not «topic partition offset»", i+1, l)}
		}
		offset, err := strconv.ParseInt(f[2], 10, 64)
		if _, _, ok := splitName(f[0] + "-" + f[1]); !ok || err != nil || offset < 0 {
			return nil, &CorruptError{Path: path.Join(dir, name), Why: fmt.Sprintf("entry %d, %q, has no partition or no offset", i+1, l)}
		}
		c[f[0]+"-"+f[1]] = offset
	}
	return c, nil
}

// readLines reads a checkpoint file's entries after version and count; nil for a
// file that is not there.
func readLines(fsys vfs.FS, name string) ([]string, error) {
	raw, err := readFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	bad := func(why string) error { return &CorruptError{Path: name, Why: why} }
	s := bufio.NewScanner(bytes.NewReader(raw))
	var lines []string
	for s.Scan() {
		if l := strings.TrimSpace(s.Text()); l != "" {
			lines = append(lines, l)
		}
	}
	if s.Err() != nil || len(lines) < 2 {
		return nil, bad("it has no version and count")
	}
	if lines[0] != "0" {
		return nil, fmt.Errorf("%s has version %s, this release reads version 0: %w", name, lines[0], ErrFormat)
	}
	if n, err := strconv.Atoi(lines[1]); err != nil || n != len(lines)-2 {
		return nil, bad(fmt.Sprintf("it announces %q entries and has %d", lines[1], len(lines)-2))
	}
	return lines[2:], nil
}

// maxSmallFile bounds, in bytes, the files that are read whole: checkpoints,
// snapshots, properties.
const maxSmallFile = 256 << 20

func readFile(fsys vfs.FS, name string) ([]byte, error) {
	b, err := vfs.ReadFile(fsys, name, maxSmallFile)
	if errors.Is(err, vfs.ErrTooLarge) {
		return nil, &CorruptError{Path: name, Why: err.Error()}
	}
	return b, err
}
