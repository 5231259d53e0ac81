package quorum

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// logStore is raft's LogStore in a log of the engine: a raft index is an offset.
// Raft stores from one goroutine at a time, and reads beside that.
type logStore struct {
	log  *engine.Log
	says *slog.Logger
	// makeRoom is RaftOptions.MakeRoom.
	makeRoom func() bool
	fail     func(error) // takes the node out of the group
	stop     func()      // ends raft's goroutine where raft would panic on an error
	mu       struct {
		sync.Mutex
		// ahead are entries read before they were asked for: raft reads a log
		// one entry at a time, in order. Invariant: consecutive indexes.
		ahead []raft.Log
	}
}

// readAheadBytes is how much of the log one read takes.
const readAheadBytes = 128 << 10

// FirstIndex returns the first entry's index, 0 if there is none.
func (s *logStore) FirstIndex() (uint64, error) {
	if m := s.log.Marks(); m.Start < m.End {
		return uint64(m.Start), nil
	}
	return 0, nil
}

// LastIndex returns the last entry's index, 0 if there is none.
func (s *logStore) LastIndex() (uint64, error) {
	if m := s.log.Marks(); m.Start < m.End {
		return uint64(m.End - 1), nil
	}
	return 0, nil
}

// IsMonotonic tells raft that there are no gaps between entries.
func (s *logStore) IsMonotonic() bool { return true }

// GetLog reads an entry; raft.ErrLogNotFound if it is not there. Damage ends the
// node: raft has no answer to it.
func (s *logStore) GetLog(index uint64, to *raft.Log) error {
	if index > math.MaxInt64 {
		return raft.ErrLogNotFound
	}
	l, err := s.entry(int64(index))
	if err != nil {
		return err
	}
	*to = l
	return nil
}

func (s *logStore) entry(index int64) (raft.Log, error) {
	s.mu.Lock()
	if a := s.mu.ahead; len(a) > 0 && index >= int64(a[0].Index) && index <= int64(a[len(a)-1].Index) {
		l := a[index-int64(a[0].Index)]
		s.mu.Unlock()
		return l, nil
	}
	s.mu.Unlock()
	if m := s.log.Marks(); index < m.Start || index >= m.End {
		return raft.Log{}, raft.ErrLogNotFound
	}
	ahead, err := s.read(index)
	if err != nil {
		err = fmt.Errorf("raft entry %d cannot be read: %w", index, err)
		s.fail(err)
		s.stop()
		return raft.Log{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.ahead = ahead
	return ahead[0], nil
}

// read returns at least the entry at index.
func (s *logStore) read(index int64) ([]raft.Log, error) {
	x, err := s.log.Read(context.Background(), engine.Read{
		From: index, UpTo: s.log.Marks().End, MaxBytes: readAheadBytes, AtLeastOne: true,
	})
	if err != nil {
		return nil, err
	}
	defer x.Release()
	buf := make([]byte, x.Len())
	if n, err := x.ReadAt(buf, 0); n < len(buf) {
		return nil, err
	}
	var logs []raft.Log
	for len(buf) > 0 {
		b, rest, err := batch.Next(buf)
		if err != nil && len(logs) > 0 {
			return logs, nil // cut by MaxBytes
		}
		if err == nil {
			err = b.Check()
		}
		var l raft.Log
		if err == nil {
			l, err = decodeEntry(b)
		}
		if err != nil {
			return nil, &engine.CorruptError{Path: s.log.Name(), Why: err.Error()}
		}
		if l.Index != uint64(index)+uint64(len(logs)) {
			return nil, fmt.Errorf("found entry %d where %d should be", l.Index, index+int64(len(logs)))
		}
		logs, buf = append(logs, l), rest
	}
	if len(logs) == 0 {
		return nil, fmt.Errorf("nothing is stored there")
	}
	return logs, nil
}

// StoreLog stores one entry durably.
func (s *logStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs stores consecutive entries with one write and one sync. They follow
// the last entry; into an empty log they may go anywhere.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	err := s.store(logs)
	for isFull(err) && s.makeRoom() {
		err = s.store(logs)
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("raft entries from %d on could not be stored: %w", logs[0].Index, err)
	// A full disk stored nothing, and can be tried again: raft gives up its
	// leadership and comes back.
	if isFull(err) {
		s.says.Warn("the disk is full: the metadata cannot change until there is room", "err", err)
		return err
	}
	s.fail(err)
	return err
}

// isFull reports whether nothing was stored because the disk is full.
func isFull(err error) bool {
	return errors.Is(err, engine.ErrNoSpace) && !errors.Is(err, engine.ErrFailed)
}

func (s *logStore) store(logs []*raft.Log) error {
	s.drop()
	first := int64(logs[0].Index)
	if m := s.log.Marks(); m.Start == m.End && m.End != first {
		if err := s.log.Reset(first); err != nil {
			return err
		}
	}
	end := s.log.Marks().End
	var buf []byte
	for i, l := range logs {
		if int64(l.Index) != end+int64(i) {
			return fmt.Errorf("entry %d does not follow %d", l.Index, end+int64(i)-1)
		}
		buf = appendEntry(buf, l)
	}
	set, err := batch.Trusted(buf)
	if err != nil {
		return err
	}
	a, err := s.log.Replicate(set)
	if err != nil {
		return err
	}
	return s.log.Wait(context.Background(), a.Next)
}

// DeleteRange drops the entries [low, high]: raft takes them off the front after
// a snapshot, off the end on a conflict, or all.
func (s *logStore) DeleteRange(low, high uint64) error {
	m := s.log.Marks()
	from, to := int64(low), int64(min(high, math.MaxInt64-1))+1
	if m.Start == m.End || to <= m.Start || from >= m.End {
		return nil
	}
	s.drop()
	var err error
	switch {
	case from <= m.Start && to >= m.End:
		err = s.log.Reset(to)
	case from <= m.Start:
		err = s.log.Trim(to)
	case to >= m.End:
		err = s.log.Truncate(from)
	default:
		return fmt.Errorf("raft entries [%d, %d] lie inside [%d, %d)", low, high, m.Start, m.End)
	}
	if err != nil {
		err = fmt.Errorf("raft entries [%d, %d] could not be dropped: %w", low, high, err)
		s.fail(err)
	}
	return err
}

func (s *logStore) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.ahead = nil
}
