package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"maps"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// The file of a node's term and vote:
//
//	 0 magic   u32  "BbRS"
//	 4 version u16  1
//	 6 crc     u32  CRC-32C of everything from count to the end
//	10 count   u16
//	12 entries: key length u16, key, value length u16, value; sorted by key
//
// It is replaced as a whole (written aside, synced, renamed). Damage is an
// error and never an empty store: a node that forgot its vote might vote twice.
const (
	stableName    = "raft-state"
	stableMagic   = 0x42625253
	stableVersion = 1

	posStableVersion = 4
	posStableCRC     = posStableVersion + 2
	posStableCount   = posStableCRC + 4
	stableHeadSize   = posStableCount + 2

	// stableBytesMax bounds the file: raft keeps three small values in it.
	stableBytesMax = 64 << 10
)

// stableStore is raft's StableStore in one file, cached in memory. A value that
// does not change is not written. Raft sets from one goroutine at a time.
//
// A full disk changes nothing on it, and the node casts no vote while it waits
// for room. Any other failed write takes the node out of the group.
type stableStore struct {
	fs  vfs.FS
	dir string
	log *slog.Logger
	// makeRoom is RaftOptions.MakeRoom.
	makeRoom func() bool
	patient  bool            // waits for room; set before raft runs
	closing  <-chan struct{} // ends the wait
	fail     func(error)     // takes the node out of the group
	stop     func()          // ends raft's goroutine: raft would panic on an error
	mu       struct {
		sync.Mutex
		values map[string][]byte
		failed error
	}
}

// Raft's keys for the last vote. Raft sets the term, then the candidate, and
// answers only after both, so both are written with the second.
const (
	keyVoteTerm  = "LastVoteTerm"
	keyTerm      = "CurrentTerm"
	roomInterval = 250 * time.Millisecond // between two tries on a full disk
)

// open reads the file; one that is absent is an empty store.
func (s *stableStore) open() error {
	s.mu.values = map[string][]byte{}
	name := s.path()
	b, err := readFile(s.fs, name, stableBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.mu.values, err = decodeStable(b); err != nil {
		return &engine.CorruptError{Path: name, Why: err.Error() +
			"; it holds the node's vote, so it must be restored from a copy, or the node be removed from the cluster and added anew"}
	}
	return nil
}

func encodeStable(values map[string][]byte) []byte {
	b := make([]byte, stableHeadSize)
	binary.BigEndian.PutUint32(b, stableMagic)
	binary.BigEndian.PutUint16(b[posStableVersion:], stableVersion)
	binary.BigEndian.PutUint16(b[posStableCount:], uint16(len(values)))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
		b = append(b, key...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(values[key])))
		b = append(b, values[key]...)
	}
	binary.BigEndian.PutUint32(b[posStableCRC:], crc32.Checksum(b[posStableCount:], castagnoli))
	return b
}

func decodeStable(b []byte) (map[string][]byte, error) {
	if len(b) < stableHeadSize || binary.BigEndian.Uint32(b) != stableMagic {
		return nil, errors.New("it does not begin as a raft state does")
	}
	if v := binary.BigEndian.Uint16(b[posStableVersion:]); v != stableVersion {
		return nil, fmt.Errorf("it has version %d, this release reads %d", v, stableVersion)
	}
	if want, got := binary.BigEndian.Uint32(b[posStableCRC:]), crc32.Checksum(b[posStableCount:], castagnoli); want != got {
		return nil, fmt.Errorf("its checksum is %08x, but its bytes give %08x", want, got)
	}
	values := map[string][]byte{}
	rest := b[stableHeadSize:]
	piece := func() (p []byte, ok bool) {
		if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) {
			return nil, false
		}
		n := 2 + int(binary.BigEndian.Uint16(rest))
		p, rest = rest[2:n:n], rest[n:]
		return p, true
	}
	for range binary.BigEndian.Uint16(b[posStableCount:]) {
		key, ok := piece()
		value, ok2 := piece()
		if !ok || !ok2 {
			return nil, errors.New("it ends within an entry")
		}
		values[string(key)] = value
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes follow its last entry", len(rest))
	}
	return values, nil
}

// empty tells whether nothing was ever stored.
func (s *stableStore) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.values) == 0
}

// Set stores a value durably.
func (s *stableStore) Set(key, value []byte) error {
	if len(key) > 1<<10 || len(value) > 1<<14 {
		return fmt.Errorf("raft state %q of %d bytes is too large", key, len(value))
	}
	err := s.set(string(key), value)
	if err != nil {
		s.fail(err)
		s.stop()
	}
	return err
}

func (s *stableStore) set(key string, value []byte) error {
	s.mu.Lock()
	failed, values := s.mu.failed, s.mu.values
	s.mu.Unlock()
	if failed != nil {
		return failed
	}
	if old, ok := values[key]; ok && slices.Equal(old, value) {
		return nil
	}
	next := maps.Clone(values)
	next[key] = slices.Clone(value)
	var err error
	if key != keyVoteTerm {
		err = s.write(encodeStable(next))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.mu.failed = fmt.Errorf("term or vote could not be stored: %w", err)
		return s.mu.failed
	}
	s.mu.values = next
	return nil
}

// write replaces the file, as soon as there is room for it.
func (s *stableStore) write(b []byte) error {
	for said := false; ; {
		err := vfs.ReplaceFile(s.fs, s.dir, stableName, b)
		again := errors.Is(err, vfs.ErrNoSpace) && errors.Is(err, vfs.ErrNotReplaced)
		if again && s.makeRoom() {
			continue
		}
		if !again || !s.patient {
			return err
		}
		if !said {
			said = true
			s.log.Warn("the disk is full: no leader of the metadata until there is room", "err", err)
		}
		t := time.NewTimer(roomInterval)
		select {
		case <-t.C:
		case <-s.closing:
			t.Stop()
			return err
		}
	}
}

// Get returns a stored value, or nil.
func (s *stableStore) Get(key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mu.values[string(key)]), nil
}

// SetUint64 stores a number durably.
func (s *stableStore) SetUint64(key []byte, value uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 returns a stored number, or 0.
func (s *stableStore) GetUint64(key []byte) (uint64, error) {
	b, _ := s.Get(key)
	switch len(b) {
	case 0:
		return 0, nil
	case 8:
		return binary.BigEndian.Uint64(b), nil
	}
	return 0, fmt.Errorf("raft state %q has %d bytes, not a number's 8", key, len(b))
}

func (s *stableStore) path() string { return path.Join(s.dir, stableName) }

// forget empties the store in memory: what is on the disk is replaced by the
// next Set.
func (s *stableStore) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.values = map[string][]byte{}
}
