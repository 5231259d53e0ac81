package main

import (
	"github.com/tidwall/wal"

	"github.com/bobbin-log/bobbin/bench"
)

// tidwallLog is tidwall's write-ahead log, with its default segments of 20 MB.
type tidwallLog struct{ *wal.Log }

func openTidwall(dir string, w bench.Work) (bench.Engine, error) {
	return openIndexed(dir, w.Partitions, func(dir string) (indexedLog, error) {
		log, err := wal.Open(dir, nil)
		return tidwallLog{log}, err
	})
}

// Store implements [indexedLog] by one WriteBatch.
func (l tidwallLog) Store(first uint64, entries [][]byte) error {
	var b wal.Batch
	for i, data := range entries {
		b.Write(first+uint64(i), data)
	}
	return l.WriteBatch(&b)
}
