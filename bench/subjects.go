package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Subjects are the baselines, and every combination of a segment design, an index
// design and a sync policy of the engine's tables, named "file+mmap+always". Topic
// settings are applied to all of them.
func Subjects(settings map[string]string) ([]Subject, error) {
	if _, err := engine.DefaultConfig().With(settings); err != nil {
		return nil, err
	}
	if _, ok := settings["bobbin.design"]; ok {
		return nil, errors.New("bobbin.design is what the subjects differ by: pick them by name")
	}
	var note []string
	for k, v := range settings {
		note = append(note, k+"="+v)
	}
	slices.Sort(note)
	all := []Subject{
		{Name: "pwrite", Settings: "a bare pwrite into one file a partition: what the page cache takes", Open: openBare(false)},
		{Name: "pwrite+fdatasync", Durable: true, Settings: "a bare pwrite and an fdatasync for each append", Open: openBare(true)},
	}
	for _, s := range segment.Designs {
		for _, i := range index.Designs {
			for _, p := range engine.SyncPolicies {
				d := engine.Design{Segment: s.Name, Index: i.Name, Sync: p.Name, Retention: engine.DefaultDesign.Retention}
				all = append(all, Subject{
					Name: d.Segment + "+" + d.Index + "+" + d.Sync, Settings: strings.Join(note, ", "),
					Durable: s.Durable && p.AckDurable, Open: openDesign(d, settings),
				})
			}
		}
	}
	return all, nil
}

// DefaultNames are the subjects that answer the usual question: every durable
// segment design with every policy that acknowledges what is durable, over the
// default index, and beside them what the parts of that cost alone.
func DefaultNames() []string {
	names := []string{"pwrite", "pwrite+fdatasync"}
	over := engine.DefaultDesign.Index
	for _, s := range segment.Designs {
		if s.Name == "null" || s.Name == engine.DefaultDesign.Segment {
			names = append(names, s.Name+"+"+over+"+none")
		}
	}
	for _, s := range segment.Designs {
		for _, p := range engine.SyncPolicies {
			if s.Durable && p.AckDurable {
				names = append(names, s.Name+"+"+over+"+"+p.Name)
			}
		}
	}
	return names
}

// SegmentBytes is how large a partition's segments are where the settings do not
// say: small enough that all of them can be preallocated, large enough that one
// is not sealed all the time.
func (w Work) SegmentBytes() int64 {
	return min(segmentBytesMax, max(segmentBytesMin, segmentBytesAll/int64(w.Partitions)))
}

const (
	segmentBytesMin = 8 << 20
	segmentBytesMax = 1 << 30
	segmentBytesAll = 4 << 30
)

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

const openAtOnce = 16

// designEngine is a store of Bobbin's own logs.
type designEngine struct {
	store    *engine.Store
	logs     []*engine.Log
	perBatch int64 // records
}

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

// bareEngine is the floor: one file a partition and the system calls alone, each
// writer syncing for itself.
type bareEngine struct {
	sync      bool
	parts     []barePart
	batchSize int64
}

type barePart struct {
	mu struct {
		sync.Mutex
		end int64
	}
	file vfs.File
}

func openBare(synced bool) func(string, Work) (Engine, error) {
	return func(dir string, w Work) (Engine, error) {
		e := &bareEngine{sync: synced, parts: make([]barePart, w.Partitions), batchSize: int64(len(makeBatch(w)))}
		for i := range e.parts {
			f, err := vfs.OS{}.Create(filepath.Join(dir, fmt.Sprintf("%d.log", i)))
			if err != nil {
				return nil, errors.Join(err, e.Close())
			}
			e.parts[i].file = f
		}
		return e, vfs.OS{}.SyncDir(dir)
	}
}

func (e *bareEngine) Append(partition int, b []byte) error {
	p := &e.parts[partition]
	p.mu.Lock()
	n, err := p.file.WriteAt([][]byte{b}, p.mu.end)
	p.mu.end += n
	p.mu.Unlock()
	if err != nil || !e.sync {
		return err
	}
	return p.file.Sync()
}

func (e *bareEngine) Held() (int64, error) {
	bytes := int64(0)
	for i := range e.parts {
		n, err := e.parts[i].file.Size()
		if err != nil {
			return 0, err
		}
		bytes += n
	}
	return bytes / e.batchSize, nil
}

func (e *bareEngine) Close() error {
	var err error
	for i := range e.parts {
		if f := e.parts[i].file; f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}
