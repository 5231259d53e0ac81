package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/bobbin-log/bobbin/bench"
)

// indexedLog is a log of entries that are numbered from 1, as Raft libraries want
// it: one writer at a time, which gives several entries to one sync.
type indexedLog interface {
	// Store makes the entries durable, of which the first has this index.
	Store(first uint64, entries [][]byte) error
	LastIndex() (uint64, error)
	Close() error
}

// indexedEngine is an indexedLog for each partition, with a gather before it.
type indexedEngine struct{ parts []*indexedPart }

type indexedPart struct {
	*gather
	log  indexedLog
	next uint64
}

// openIndexed opens a log for each partition, in a directory of its own that open
// makes.
func openIndexed(dir string, partitions int, open func(dir string) (indexedLog, error)) (bench.Engine, error) {
	e := &indexedEngine{parts: make([]*indexedPart, partitions)}
	g := new(errgroup.Group)
	g.SetLimit(openAtOnce)
	for i := range e.parts {
		g.Go(func() error {
			log, err := open(filepath.Join(dir, fmt.Sprint(i)))
			if err != nil {
				return err
			}
			p := &indexedPart{log: log, next: 1}
			p.gather = newGather(p.write)
			e.parts[i] = p
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// openAtOnce is how many logs are opened at once: one by one would take as many
// syncs one after the other.
const openAtOnce = 16

func (p *indexedPart) write(batches [][]byte) error {
	if err := p.log.Store(p.next, batches); err != nil {
		return err
	}
	p.next += uint64(len(batches))
	return nil
}

func (e *indexedEngine) Append(partition int, b []byte) error { return e.parts[partition].append(b) }

func (e *indexedEngine) Held() (n int64, err error) {
	for _, p := range e.parts {
		last, err := p.log.LastIndex()
		if err != nil {
			return 0, err
		}
		n += int64(last)
	}
	return n, nil
}

func (e *indexedEngine) Close() error {
	var err error
	for _, p := range e.parts {
		if p != nil {
			err = errors.Join(err, p.log.Close())
		}
	}
	return err
}
