package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// A raft entry is one record, alone in its batch, so that the log can be cut
// anywhere. The record's offset is the entry's index, its batch's leader epoch
// the term, and its value the entry's data. The key holds the rest, big-endian:
//
//	 0 version    u8   1
//	 1 type       u8   of raft.LogType
//	 2 term       u64
//	10 appendedAt i64  nanoseconds since 1970, 0: none
//	18 extensions …
const (
	entryVersion = 1

	posEntryType       = 1
	posEntryTerm       = posEntryType + 1
	posEntryAppendedAt = posEntryTerm + 8
	entryHeadSize      = posEntryAppendedAt + 8
)

// appendEntry adds the batch of one entry to dst.
func appendEntry(dst []byte, l *raft.Log) []byte {
	key := make([]byte, entryHeadSize, entryHeadSize+len(l.Extensions))
	key[0] = entryVersion
	key[posEntryType] = byte(l.Type)
	binary.BigEndian.PutUint64(key[posEntryTerm:], l.Term)
	stamp := batch.NoTimestamp
	if !l.AppendedAt.IsZero() {
		binary.BigEndian.PutUint64(key[posEntryAppendedAt:], uint64(l.AppendedAt.UnixNano()))
		stamp = l.AppendedAt.UnixMilli()
	}
	s := batch.Of(batch.Record{Timestamp: stamp, Key: append(key, l.Extensions...), Value: l.Data})
	s.BaseOffset, s.LeaderEpoch = int64(l.Index), int32(l.Term)
	return s.Append(dst)
}

// decodeEntry reads the entry of one batch. Its slices alias the batch.
func decodeEntry(b batch.Batch) (raft.Log, error) {
	var found *batch.Record
	for r, err := range b.Records(0) {
		switch {
		case err != nil:
			return raft.Log{}, err
		case found != nil:
			return raft.Log{}, errors.New("more than one record in the batch of a raft entry")
		}
		found = &r
	}
	if found == nil {
		return raft.Log{}, errors.New("no record in the batch of a raft entry")
	}
	if len(found.Key) < entryHeadSize {
		return raft.Log{}, fmt.Errorf("the head of a raft entry has %d bytes, %d at least", len(found.Key), entryHeadSize)
	}
	if v := found.Key[0]; v != entryVersion {
		return raft.Log{}, fmt.Errorf("raft entry of version %d, this release reads %d", v, entryVersion)
	}
	l := raft.Log{
		Index: uint64(b.BaseOffset()),
		Term:  binary.BigEndian.Uint64(found.Key[posEntryTerm:]),
		Type:  raft.LogType(found.Key[posEntryType]),
		Data:  found.Value,
	}
	if ns := binary.BigEndian.Uint64(found.Key[posEntryAppendedAt:]); ns != 0 {
		l.AppendedAt = time.Unix(0, int64(ns))
	}
	if x := found.Key[entryHeadSize:]; len(x) > 0 {
		l.Extensions = x
	}
	return l, nil
}
