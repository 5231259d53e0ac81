package bench

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// designEngine is a store of Bobbin's own logs.
type designEngine struct {
	store    *engine.Store
	logs     []*engine.Log
	perBatch int64 // records
}

// openDesign returns the Subject.Open of a design.
func openDesign(d engine.Design, settings map[string]string) func(string, Work) (Engine, error) {
	return func(dir string, w Work) (Engine, error) {
		s, err := engine.OpenStore(engine.StoreOptions{FS: vfs.OS{}, Dir: dir, NodeID: 1})
		if err != nil {
			return nil, err
		}
		e, err := newDesignEngine(s, d, settings, w)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return e, nil
	}
}

// newDesignEngine makes the logs of an engine in a store.
func newDesignEngine(s *engine.Store, d engine.Design, settings map[string]string, w Work) (*designEngine, error) {
	c := engine.DefaultConfig()
	c.SegmentBytes = w.SegmentBytes()
	c, err := c.With(settings)
	if err != nil {
		return nil, err
	}
	c.Design = d
	e := &designEngine{store: s, logs: make([]*engine.Log, w.Partitions), perBatch: int64(batch.Batch(makeBatch(w)).Count())}
	g := new(errgroup.Group)
	g.SetLimit(openAtOnce)
	for i := range e.logs {
		g.Go(func() (err error) {
			e.logs[i], err = s.Create(fmt.Sprintf("bench-%d", i), engine.LogOptions{Config: c, TopicID: [16]byte{1}})
			return err
		})
	}
	return e, g.Wait()
}

// openAtOnce bounds the logs that are made at a time.
const openAtOnce = 16

// Append checks the batch as a broker does: that is part of what it costs.
func (e *designEngine) Append(partition int, b []byte) error {
	set, err := batch.Parse(b)
	if err != nil {
		return err
	}
	l := e.logs[partition]
	a, err := l.Append(set, 0)
	if err != nil {
		return err
	}
	return l.Wait(context.Background(), a.Next)
}

// Held reckons from the offsets, of which every batch takes as many.
func (e *designEngine) Held() (int64, error) {
	offsets := int64(0)
	for _, l := range e.logs {
		m := l.Marks()
		offsets += m.End - m.Start
	}
	return offsets / e.perBatch, nil
}

func (e *designEngine) Close() error { return e.store.Close() }
