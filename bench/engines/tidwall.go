package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tidwall/wal"

	"github.com/bobbin-log/bobbin/bench"
)

// tidwallEngine is one log a partition, with its default segments of 20 MB.
type tidwallEngine struct{ parts []*tidwallPart }

type tidwallPart struct {
	*gather
	log  *wal.Log
	last uint64
}

func openTidwall(dir string, w bench.Work) (bench.Engine, error) {
	e := &tidwallEngine{parts: make([]*tidwallPart, w.Partitions)}
	err := each(len(e.parts), func(i int) error {
		log, err := wal.Open(filepath.Join(dir, fmt.Sprint(i)), nil)
		if err != nil {
			return err
		}
		p := &tidwallPart{log: log}
		p.gather = newGather(p.write)
		e.parts[i] = p
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (p *tidwallPart) write(batches [][]byte) error {
	var b wal.Batch
	for i, data := range batches {
		b.Write(p.last+uint64(i)+1, data)
	}
	if err := p.log.WriteBatch(&b); err != nil {
		return err
	}
	p.last += uint64(len(batches))
	return nil
}

func (e *tidwallEngine) Append(partition int, b []byte) error { return e.parts[partition].append(b) }

func (e *tidwallEngine) Held() (n int64, err error) {
	for _, p := range e.parts {
		last, err := p.log.LastIndex()
		if err != nil {
			return 0, err
		}
		n += int64(last)
	}
	return n, nil
}

func (e *tidwallEngine) Close() error {
	var err error
	for _, p := range e.parts {
		if p != nil {
			err = errors.Join(err, p.log.Close())
		}
	}
	return err
}
