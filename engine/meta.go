package engine

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// meta.properties says whose data directory this is, in Kafka's format:
//
//	version=1
//	node.id=1
//	cluster.id=MkU3OEVBNTcwNTJENDM2Qg
//	directory.id=…
const nameMeta = "meta.properties"

// checkMeta compares meta.properties with who we are, or writes it, and returns
// the cluster's id.
func (s *Store) checkMeta(clusterID string, nodeID int32) (string, error) {
	name := path.Join(s.dir, nameMeta)
	raw, err := readFile(s.fs, name)
	if errors.Is(err, fs.ErrNotExist) {
		if clusterID == "" {
			clusterID = NewID()
		}
		text := fmt.Sprintf("version=1\nnode.id=%d\ncluster.id=%s\ndirectory.id=%s\n", nodeID, clusterID, NewID())
		return clusterID, vfs.ReplaceFile(s.fs, s.dir, nameMeta, []byte(text))
	}
	if err != nil {
		return "", err
	}
	is := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(k, "#") {
			is[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	switch {
	case is["version"] != "1":
		return "", fmt.Errorf("%s has version %q, this release knows version 1: use the release that wrote it, or another directory: %w", name, is["version"], ErrFormat)
	case is["cluster.id"] == "":
		return "", fmt.Errorf("%s has no cluster.id: %w", name, ErrFormat)
	case clusterID != "" && is["cluster.id"] != clusterID:
		return "", fmt.Errorf("%s belongs to cluster %s, not to %s: use another directory, or leave the cluster id out: %w", name, is["cluster.id"], clusterID, ErrFormat)
	case is["node.id"] != strconv.Itoa(int(nodeID)):
		return "", fmt.Errorf("%s belongs to node %s, not to %d: set node.id=%s, or use another directory: %w", name, is["node.id"], nodeID, is["node.id"], ErrFormat)
	}
	return is["cluster.id"], nil
}

// NewID makes a random id, as Kafka writes one: 22 characters of base64.
func NewID() string {
	for {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
		if s := base64.RawURLEncoding.EncodeToString(id[:]); s[0] != '-' {
			return s // a leading dash would look like a flag
		}
	}
}

// writeTopicID makes a log's partition.metadata, in Kafka's format. It is durable
// before the log has a segment: where there is one, there is a topic id.
func writeTopicID(fsys vfs.FS, dir string, id [16]byte) error {
	text := "version: 0\ntopic_id: " + base64.RawURLEncoding.EncodeToString(id[:])
	return vfs.ReplaceFile(fsys, dir, nameTopic, []byte(text))
}

// readTopicID returns zero for a log without partition.metadata.
func readTopicID(fsys vfs.FS, dir string) (id [16]byte, err error) {
	name := path.Join(dir, nameTopic)
	raw, err := readFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return id, nil
	}
	if err != nil {
		return id, err
	}
	for line := range strings.Lines(string(raw)) {
		k, v, _ := strings.Cut(line, ":")
		v = strings.TrimSpace(v)
		switch {
		case k == "version" && v != "0":
			return id, fmt.Errorf("%s has version %s, this release reads version 0: %w", name, v, ErrFormat)
		case k == "topic_id":
			b, err := base64.RawURLEncoding.DecodeString(v)
			if err != nil || len(b) != len(id) {
				return id, &CorruptError{Path: name, Why: fmt.Sprintf("topic id %q is not 22 characters of base64", v)}
			}
			return [16]byte(b), nil
		}
	}
	return id, &CorruptError{Path: name, Why: "it has no topic_id"}
}
