package replication

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/bobbin-log/bobbin/replication/kraft"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// CompactedTopics returns the names of the topics of a data directory that are
// compacted, as its metadata say, ours or else Apache Kafka's: in their logs offsets
// may be missing. It changes nothing, and a broker may have the directory open. A
// directory without metadata is [fs.ErrNotExist].
//
// Our metadata are read as a node reads them, by one that begins on a copy in
// memory. What the broker was started with is not in them.
func CompactedTopics(ctx context.Context, fsys vfs.FS, dir string, node int32) (map[string]bool, error) {
	compacted := map[string]bool{}
	mem, err := metadataCopy(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		m, err := kraft.Read(fsys, dir)
		if err != nil {
			return nil, err
		}
		for _, t := range m.Topics() {
			compacted[t.Name] = strings.Contains(t.Configs["cleanup.policy"], "compact")
		}
		return compacted, nil
	}
	if err != nil {
		return nil, err
	}
	n, err := Open(ctx, Options{FS: mem, Dir: copyDir, NodeID: node, CleanerBackoff: -1})
	if err != nil {
		return nil, fmt.Errorf("metadata of %s: %w", dir, err)
	}
	for t := range n.Image().Topics() {
		compacted[t.Name] = n.topicConfig(t, n.table.Load().defaults).Compact
	}
	return compacted, n.Close()
}

const (
	// copyDir is the data directory of the copy.
	copyDir = "/data"
	// copyBytesMax bounds, in bytes, a file of the metadata.
	copyBytesMax = 1 << 30
)

// metadataCopy copies the metadata's files into memory, and the one that says whose
// they are.
func metadataCopy(fsys vfs.FS, dir string) (*vfs.Mem, error) {
	entries, err := fsys.ReadDir(path.Join(dir, metadataLog))
	if err != nil {
		return nil, err
	}
	names := []string{"meta.properties"}
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, path.Join(metadataLog, e.Name()))
		}
	}
	mem := vfs.NewMem()
	if err := mem.MkdirAll(path.Join(copyDir, metadataLog)); err != nil {
		return nil, err
	}
	for _, name := range names {
		b, err := vfs.ReadFile(fsys, path.Join(dir, name), copyBytesMax)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err == nil {
			err = vfs.WriteFile(mem, path.Join(copyDir, name), b)
		}
		if err != nil {
			return nil, err
		}
	}
	return mem, nil
}
