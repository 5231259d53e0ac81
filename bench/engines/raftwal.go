package main

import (
	"os"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"

	"github.com/bobbin-log/bobbin/bench"
)

// raftWAL is hashicorp's log for Raft: it preallocates its segments, and keeps what
// it knows of them in a bbolt file of its own.
type raftWAL struct{ *wal.WAL }

func openRaftWAL(dir string, w bench.Work) (bench.Engine, error) {
	return openIndexed(dir, w.Partitions, func(dir string) (indexedLog, error) {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		log, err := wal.Open(dir, wal.WithSegmentSize(int(w.SegmentBytes())))
		return raftWAL{log}, err
	})
}

// Store implements [indexedLog] by one StoreLogs.
func (l raftWAL) Store(first uint64, entries [][]byte) error {
	logs := make([]*raft.Log, len(entries))
	for i, data := range entries {
		logs[i] = &raft.Log{Index: first + uint64(i), Term: 1, Type: raft.LogCommand, Data: data}
	}
	return l.StoreLogs(logs)
}
