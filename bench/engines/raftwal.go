package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"golang.org/x/sync/errgroup"

	"github.com/bobbin-log/bobbin/bench"
)

// raftWALEngine is one WAL a partition: it preallocates its segments, and keeps
// what it knows of them in a bbolt file of its own.
type raftWALEngine struct{ parts []*raftWALPart }

type raftWALPart struct {
	*gather
	log  *wal.WAL
	last uint64
}

func openRaftWAL(dir string, w bench.Work) (bench.Engine, error) {
	e := &raftWALEngine{parts: make([]*raftWALPart, w.Partitions)}
	err := each(len(e.parts), func(i int) error {
		sub := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(sub, 0o755); err != nil {
			return err
		}
		log, err := wal.Open(sub, wal.WithSegmentSize(int(w.SegmentBytes())))
		if err != nil {
			return err
		}
		p := &raftWALPart{log: log}
		p.gather = newGather(p.write)
		e.parts[i] = p
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (p *raftWALPart) write(batches [][]byte) error {
	logs := make([]*raft.Log, len(batches))
	for i, data := range batches {
		logs[i] = &raft.Log{Index: p.last + uint64(i) + 1, Term: 1, Type: raft.LogCommand, Data: data}
	}
	if err := p.log.StoreLogs(logs); err != nil {
		return err
	}
	p.last += uint64(len(batches))
	return nil
}

func (e *raftWALEngine) Append(partition int, b []byte) error { return e.parts[partition].append(b) }

func (e *raftWALEngine) Held() (n int64, err error) {
	for _, p := range e.parts {
		last, err := p.log.LastIndex()
		if err != nil {
			return 0, err
		}
		n += int64(last)
	}
	return n, nil
}

func (e *raftWALEngine) Close() error {
	var err error
	for _, p := range e.parts {
		if p != nil {
			err = errors.Join(err, p.log.Close())
		}
	}
	return err
}

// each opens n logs, some of them at once, as starting one by one would take as
// many syncs one after the other.
func each(n int, open func(i int) error) error {
	g := new(errgroup.Group)
	g.SetLimit(16)
	for i := range n {
		g.Go(func() error { return open(i) })
	}
	return g.Wait()
}
