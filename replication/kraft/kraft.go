// Package kraft reads the metadata of an Apache Kafka cluster from the directory
// of one of its nodes, so that a broker of ours can go on with its topics. It
// writes nothing.
//
// The metadata is a log of its own, __cluster_metadata-0, in the format of every
// other log. Each record's value is one change:
//
//	frame version uvarint = 1
//	kind          uvarint
//	version       uvarint   of the kind
//	fields…                 as in Kafka's protocol, flexible: lengths are uvarints, one
//	                        more than they say (0: null), and tagged fields end each
//
// Beside the segments lie snapshots, «offset-epoch.checkpoint», in the same format:
// the records that make the state before offset. The newest whole one is read,
// and then what the log has from its offset on.
//
// Format: Apache Kafka, metadata/src/main/resources/common/metadata/*.json.
package kraft

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// LogName is the directory of the metadata.
const LogName = "__cluster_metadata-0"

// batchBytesMax bounds one batch of metadata, in bytes; Kafka's are at most 8 MiB.
const batchBytesMax = 64 << 20

// Read returns the cluster's metadata from a node's data directory. It fails with
// [fs.ErrNotExist] if the directory has none.
func Read(fsys vfs.FS, dir string) (*Image, error) {
	dir = path.Join(dir, LogName)
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var snapshots, segments []file
	for _, e := range entries {
		if f, ok := parseName(e.Name()); ok && f.snapshot {
			snapshots = append(snapshots, f)
		} else if ok {
			segments = append(segments, f)
		}
	}
	if len(snapshots)+len(segments) == 0 {
		return nil, fmt.Errorf("%s has neither segments nor snapshots: %w", dir, fs.ErrNotExist)
	}
	m, from, err := readSnapshots(fsys, dir, snapshots)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(segments, func(a, b file) int { return int(min(max(a.offset-b.offset, -1), 1)) })
	if len(segments) > 0 && segments[0].offset > from {
		return nil, fmt.Errorf("%s begins at offset %d, and no snapshot goes up to it", dir, segments[0].offset)
	}
	for i, f := range segments {
		if i < len(segments)-1 && segments[i+1].offset <= from {
			continue
		}
		last := i == len(segments)-1
		if err := m.readFile(fsys, path.Join(dir, f.name), from, last); err != nil {
			return nil, err
		}
	}
	m.pending = nil // of a transaction that did not end
	return m, nil
}

// file is a segment or a snapshot.
type file struct {
	name     string
	offset   int64 // the first of a segment, the one after the last of a snapshot
	snapshot bool
}

// parseName takes «20 digits».log and «20 digits»-«10 digits».checkpoint.
func parseName(name string) (f file, ok bool) {
	stem, isLog := strings.CutSuffix(name, ".log")
	if !isLog {
		rest, isSnapshot := strings.CutSuffix(name, ".checkpoint")
		offset, epoch, dash := strings.Cut(rest, "-")
		if !isSnapshot || !dash || len(epoch) != 10 {
			return file{}, false
		}
		stem = offset
	}
	n, err := strconv.ParseInt(stem, 10, 64)
	return file{name, n, !isLog}, err == nil && n >= 0 && len(stem) == 20
}

// readSnapshots reads the newest snapshot that is whole, and tells where the log
// goes on.
func readSnapshots(fsys vfs.FS, dir string, all []file) (*Image, int64, error) {
	slices.SortFunc(all, func(a, b file) int { return strings.Compare(b.name, a.name) })
	var failed error
	for _, f := range all {
		m := newImage()
		if err := m.readFile(fsys, path.Join(dir, f.name), 0, false); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		return m, f.offset, nil
	}
	if failed != nil {
		return nil, 0, failed
	}
	return newImage(), 0, nil
}

// readFile applies the records of a file from offset from on. The last one may end
// with a batch that is not whole: what a crash tore was not committed.
func (m *Image) readFile(fsys vfs.FS, name string, from int64, torn bool) error {
	f, err := fsys.OpenRead(name)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return err
	}
	for pos := int64(0); pos < size; {
		b, err := readBatch(f, pos, size)
		if err != nil && torn {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: damaged at byte %d: %w", name, pos, err)
		}
		pos += int64(len(b))
		if b.IsControl() || b.LastOffset() < from {
			continue
		}
		for r, err := range b.Records(batchBytesMax) {
			if err == nil && r.Offset >= from {
				err = m.apply(r.Value)
			}
			if err != nil {
				return fmt.Errorf("%s: record %d: %w", name, r.Offset, err)
			}
		}
	}
	return nil
}

func readBatch(f vfs.File, pos, size int64) (batch.Batch, error) {
	var head [batch.PeekMagicLen]byte
	n, err := f.ReadAt(head[:], pos)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	length, err := batch.PeekSize(head[:n])
	if err != nil {
		return nil, err
	}
	if length > min(size-pos, batchBytesMax) {
		return nil, fmt.Errorf("a batch of %d bytes, and %d are left", length, size-pos)
	}
	b := make(batch.Batch, length)
	if _, err := f.ReadAt(b, pos); err != nil {
		return nil, err
	}
	return b, b.Check()
}
