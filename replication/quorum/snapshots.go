package quorum

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A snapshot of the machine is one file, «raft-snapshot-<index, 20 digits>»:
//
//	 0 magic         u32  "BbSN"
//	 4 version       u16  1
//	 6 crc           u32  CRC-32C of everything from index to the end
//	10 index         u64  of the last entry in it
//	18 term          u64  of that entry
//	26 configIndex   u64  of the entry that the configuration came with
//	34 configLength  u32
//	38 configuration …    for each server: suffrage u8, id, address, these two as
//	                      length u16 and UTF-8
//	 … state         …    as Machine.Snapshot wrote it
const (
	snapshotPrefix  = "raft-snapshot-"
	snapshotMagic   = 0x4262534e
	snapshotVersion = 1

	posSnapshotVersion      = 4
	posSnapshotCRC          = posSnapshotVersion + 2
	posSnapshotIndex        = posSnapshotCRC + 4
	posSnapshotTerm         = posSnapshotIndex + 8
	posSnapshotConfigIndex  = posSnapshotTerm + 8
	posSnapshotConfigLength = posSnapshotConfigIndex + 8
	snapshotHeadSize        = posSnapshotConfigLength + 4

	// snapshotsKept is how many stay: the older one is a second chance, as long
	// as the log still has the entries behind it.
	snapshotsKept = 2
	// snapshotBytesMax bounds what is read, and held in memory while a snapshot
	// is written or read.
	snapshotBytesMax = 1 << 30
)

// snapshotStore is raft's SnapshotStore. Snapshots of metadata are small, so
// they are made and read as a whole.
type snapshotStore struct {
	fs   vfs.FS
	dir  string
	fail func(error) // called when a write failed
}

func snapshotName(index uint64) string { return fmt.Sprintf("%s%020d", snapshotPrefix, index) }

// names lists the snapshots, newest first. Writing aside leaves files with a
// suffix behind when it is cut short; they are replaced by the next.
func (s *snapshotStore) names() ([]string, error) {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range slices.Backward(entries) {
		if n := e.Name(); strings.HasPrefix(n, snapshotPrefix) && !strings.HasSuffix(n, vfs.SuffixTemp) {
			names = append(names, n)
		}
	}
	return names, nil
}

// List returns the snapshots that can be read, newest first. It reads and checks
// them whole; there are two at most.
func (s *snapshotStore) List() ([]*raft.SnapshotMeta, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	var metas []*raft.SnapshotMeta
	var bad error
	for _, name := range names {
		meta, _, err := s.read(name)
		if err != nil {
			bad = errors.Join(bad, err)
			continue
		}
		metas = append(metas, meta)
	}
	if len(metas) == 0 {
		return nil, bad
	}
	return metas, nil
}

// Open returns a snapshot's state.
func (s *snapshotStore) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, state, err := s.read(id)
	if err != nil {
		return nil, nil, err
	}
	return meta, io.NopCloser(bytes.NewReader(state)), nil
}

func (s *snapshotStore) read(name string) (*raft.SnapshotMeta, []byte, error) {
	full := path.Join(s.dir, name)
	b, err := readFile(s.fs, full, snapshotBytesMax)
	if err != nil {
		return nil, nil, err
	}
	meta, state, err := decodeSnapshot(b)
	if err != nil {
		return nil, nil, &engine.CorruptError{Path: full, Why: err.Error()}
	}
	meta.ID = name
	return meta, state, nil
}

func decodeSnapshot(b []byte) (meta *raft.SnapshotMeta, state []byte, err error) {
	if len(b) < snapshotHeadSize || binary.BigEndian.Uint32(b) != snapshotMagic {
		return nil, nil, errors.New("it does not begin as a snapshot does")
	}
	if v := binary.BigEndian.Uint16(b[posSnapshotVersion:]); v != snapshotVersion {
		return nil, nil, fmt.Errorf("it has version %d, this release reads %d", v, snapshotVersion)
	}
	want, got := binary.BigEndian.Uint32(b[posSnapshotCRC:]), crc32.Checksum(b[posSnapshotIndex:], castagnoli)
	if want != got {
		return nil, nil, fmt.Errorf("its checksum is %08x, but its bytes give %08x", want, got)
	}
	size := int64(binary.BigEndian.Uint32(b[posSnapshotConfigLength:]))
	if size > int64(len(b)-snapshotHeadSize) {
		return nil, nil, errors.New("it ends within the configuration")
	}
	state = b[snapshotHeadSize+size:]
	config, err := decodeConfiguration(b[snapshotHeadSize : snapshotHeadSize+size])
	if err != nil {
		return nil, nil, err
	}
	return &raft.SnapshotMeta{
		Version:            raft.SnapshotVersionMax,
		Index:              binary.BigEndian.Uint64(b[posSnapshotIndex:]),
		Term:               binary.BigEndian.Uint64(b[posSnapshotTerm:]),
		ConfigurationIndex: binary.BigEndian.Uint64(b[posSnapshotConfigIndex:]),
		Configuration:      config,
		Size:               int64(len(state)),
	}, state, nil
}

func encodeConfiguration(c raft.Configuration) (b []byte) {
	for _, s := range c.Servers {
		b = append(b, byte(s.Suffrage))
		for _, text := range []string{string(s.ID), string(s.Address)} {
			b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
			b = append(b, text...)
		}
	}
	return b
}

func decodeConfiguration(b []byte) (c raft.Configuration, err error) {
	for len(b) > 0 {
		s := raft.Server{Suffrage: raft.ServerSuffrage(b[0])}
		b = b[1:]
		var text [2]string
		for i := range text {
			if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
				return c, errors.New("its configuration ends within a server")
			}
			n := 2 + int(binary.BigEndian.Uint16(b))
			text[i], b = string(b[2:n]), b[n:]
		}
		s.ID, s.Address = raft.ServerID(text[0]), raft.ServerAddress(text[1])
		c.Servers = append(c.Servers, s)
	}
	return c, nil
}

// Create begins a snapshot, which is there once its sink was closed.
func (s *snapshotStore) Create(_ raft.SnapshotVersion, index, term uint64, c raft.Configuration, configIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	config := encodeConfiguration(c)
	sink := &snapshotSink{store: s, index: index}
	head := make([]byte, snapshotHeadSize)
	binary.BigEndian.PutUint32(head, snapshotMagic)
	binary.BigEndian.PutUint16(head[posSnapshotVersion:], snapshotVersion)
	binary.BigEndian.PutUint64(head[posSnapshotIndex:], index)
	binary.BigEndian.PutUint64(head[posSnapshotTerm:], term)
	binary.BigEndian.PutUint64(head[posSnapshotConfigIndex:], configIndex)
	binary.BigEndian.PutUint32(head[posSnapshotConfigLength:], uint32(len(config)))
	sink.buf.Write(head)
	sink.buf.Write(config)
	return sink, nil
}

// snapshotSink gathers a snapshot in memory.
type snapshotSink struct {
	store *snapshotStore
	index uint64
	buf   bytes.Buffer
	done  bool
}

// ID is the name that Open takes.
func (k *snapshotSink) ID() string { return snapshotName(k.index) }

// Write adds to the state.
func (k *snapshotSink) Write(p []byte) (int, error) {
	if k.buf.Len()+len(p) > snapshotBytesMax {
		return 0, fmt.Errorf("a snapshot of more than %d bytes", snapshotBytesMax)
	}
	return k.buf.Write(p)
}

// Cancel gives the snapshot up.
func (k *snapshotSink) Cancel() error {
	k.done = true
	return nil
}

// Close writes the snapshot, and drops the oldest of too many.
func (k *snapshotSink) Close() error {
	if k.done {
		return nil
	}
	k.done = true
	b := k.buf.Bytes()
	binary.BigEndian.PutUint32(b[posSnapshotCRC:], crc32.Checksum(b[posSnapshotIndex:], castagnoli))
	s := k.store
	err := vfs.ReplaceFile(s.fs, s.dir, k.ID(), b)
	if err == nil {
		err = s.prune()
	}
	if err != nil && !errors.Is(err, vfs.ErrNoSpace) {
		s.fail(fmt.Errorf("snapshot could not be stored: %w", err))
	}
	return err
}

func (s *snapshotStore) prune() error {
	names, err := s.names()
	if err != nil {
		return err
	}
	for _, name := range names[min(snapshotsKept, len(names)):] {
		if err := s.fs.Remove(path.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
