package main

import (
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/bobbin-log/bobbin/bench"
)

// pebbleEngine is one LSM tree for all partitions, as CockroachDB keeps its Raft
// logs: the commit pipeline makes one sync of its WAL for all who wait.
type pebbleEngine struct {
	db   *pebble.DB
	next []atomic.Uint64 // of each partition, the last index given out
}

// The sizes are those that CockroachDB runs with; Pebble's own defaults are made
// for small stores.
const (
	pebbleMemTable     = 64 << 20
	pebbleMemTables    = 4
	pebbleL0Compaction = 2
	pebbleL0Stop       = 1000
	pebbleBaseBytes    = 64 << 20
	pebbleCache        = 128 << 20
)

func openPebble(dir string, w bench.Work) (bench.Engine, error) {
	cache := pebble.NewCache(pebbleCache)
	defer cache.Unref()
	db, err := pebble.Open(dir, &pebble.Options{
		Cache: cache, MemTableSize: pebbleMemTable, MemTableStopWritesThreshold: pebbleMemTables,
		L0CompactionThreshold: pebbleL0Compaction, L0StopWritesThreshold: pebbleL0Stop, LBaseMaxBytes: pebbleBaseBytes,
		Logger: quiet{},
	})
	if err != nil {
		return nil, err
	}
	return &pebbleEngine{db: db, next: make([]atomic.Uint64, w.Partitions)}, nil
}

// quiet keeps the engine's news of its start and of compactions to itself.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	pebble.DefaultLogger.Fatalf(format, args...)
}

// pebbleKey is partition and index, big-endian, so that a partition's entries lie
// together in their order.
func pebbleKey(partition int, index uint64) []byte {
	key := binary.BigEndian.AppendUint32(make([]byte, 0, 12), uint32(partition))
	return binary.BigEndian.AppendUint64(key, index)
}

func (e *pebbleEngine) Append(partition int, b []byte) error {
	return e.db.Set(pebbleKey(partition, e.next[partition].Add(1)), b, pebble.Sync)
}

func (e *pebbleEngine) Held() (n int64, err error) {
	it, err := e.db.NewIter(nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for p := range e.next {
		if it.SeekLT(pebbleKey(p+1, 0)) {
			if key := it.Key(); int(binary.BigEndian.Uint32(key)) == p {
				n += int64(binary.BigEndian.Uint64(key[4:]))
			}
		}
	}
	return n, it.Error()
}

func (e *pebbleEngine) Close() error { return e.db.Close() }
