package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Catchup asks what a consumer costs that reads a log which is no longer in memory
// while others append to another one, and what the scrub of that log does. Each
// [CatchupMode] has its turn in each round, the writers alone among them, and is
// compared with that.
type Catchup struct {
	Design   engine.Design
	Settings map[string]string
	Modes    []CatchupMode
	Work     Work // of the writers
	// ColdBytes is the size of the log that is read, and evicted before each turn
	// and whenever the reader has come to its end.
	ColdBytes int64
	// ReadBytes is what the reader asks for at a time.
	ReadBytes int64
	Rounds    int
	Dir       string
	Command   string
	Progress  func(line string)
}

// CatchupMode is one way to read.
type CatchupMode struct {
	Name string
	What string
	// Alone has no reader.
	Alone bool
	// Share is the store's ColdShare.
	Share float64
	// Scrub has the log scrubbed at so many bytes a second in place of read; 0:
	// it is read.
	Scrub int64
	// Before is called before the bytes [off, off+n) of a segment are read, After
	// after that; nil: nothing is done.
	Before, After func(f vfs.File, off, n int64)
}

// aheadBytes is how far the mode "ahead" reads ahead.
const aheadBytes = 4 << 20

// CatchupModes are the ways to read that are compared.
var CatchupModes = []CatchupMode{
	{Name: "alone", What: "the writers alone", Alone: true},
	{Name: "kernel", What: "a reader, and the kernel's read-ahead", Share: 1},
	{Name: "ahead", What: "and the reader asks for the next 4 MiB itself", Share: 1,
		Before: func(f vfs.File, off, n int64) {
			if next := off/aheadBytes + 1; off == 0 || (off+n)/aheadBytes >= next {
				f.Prefetch(next*aheadBytes, aheadBytes)
			}
		}},
	{Name: "behind", What: "and the reader drops behind it what it has read", Share: 1,
		After: func(f vfs.File, off, n int64) { f.Evict(off, n) }},
	{Name: "paced", What: "a tenth of the disk's time, the engine's default"},
	{Name: "paced-half", What: "a half of it", Share: 0.5},
	{Name: "scrub-10", What: "no reader, but the scrub at 10 MB/s", Scrub: 10e6},
	{Name: "scrub-100", What: "at 100 MB/s", Scrub: 100e6},
	{Name: "scrub-all", What: "as fast as it can", Scrub: 1 << 40},
}

// CatchupReport is what a Catchup found.
type CatchupReport struct {
	Command   string       `json:"command"`
	Began     time.Time    `json:"began"`
	Machine   Machine      `json:"machine"`
	Design    string       `json:"design"`
	Work      Work         `json:"work"`
	ColdBytes int64        `json:"cold_bytes"`
	Rounds    int          `json:"rounds"`
	Rows      []CatchupRow `json:"rows"`
}

// CatchupRow is one mode: medians of its rounds.
type CatchupRow struct {
	Mode string `json:"mode"`
	What string `json:"what"`
	// Writers is their figures, Kept and Stretch their throughput and p99 divided
	// by those alone in the same round.
	Writers Figures `json:"writers"`
	Kept    float64 `json:"throughput_kept"`
	Stretch float64 `json:"p99_stretch"`
	// ReadMBps is how fast the reader came forward.
	ReadMBps float64 `json:"read_mb_per_s"`
}

// Run measures.
func (c Catchup) Run(ctx context.Context) (_ *CatchupReport, err error) {
	if err := c.Work.Validate(); err != nil {
		return nil, err
	}
	if c.Rounds < 1 || c.ReadBytes < 1 || c.ColdBytes < c.ReadBytes {
		return nil, fmt.Errorf("%d rounds, reads of %d bytes of %d: there must be at least one of each", c.Rounds, c.ReadBytes, c.ColdBytes)
	}
	if err := isDirectory(c.Dir); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(c.Dir, "bobbin-catchup-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := c.fill(dir); err != nil {
		return nil, err
	}
	rows := make([]Row, len(c.Modes))
	read := make([][]float64, len(c.Modes))
	m := mountOf(dir)
	meter := newMeter(m)
	for range c.Rounds {
		for i, mode := range c.Modes {
			if c.Progress != nil {
				c.Progress(mode.Name)
			}
			f, mbps, err := c.turn(ctx, dir, mode, meter)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", mode.Name, err)
			}
			rows[i].Rounds, read[i] = append(rows[i].Rounds, f), append(read[i], mbps)
		}
	}
	r := &CatchupReport{Command: c.Command, Began: time.Now().UTC(), Machine: describeMachine(m), Design: c.Design.String(), Work: c.Work, ColdBytes: c.ColdBytes, Rounds: c.Rounds}
	for i, mode := range c.Modes {
		rows[i].settle()
		row := CatchupRow{Mode: mode.Name, What: mode.What, Writers: rows[i].Median, ReadMBps: median(read[i])}
		var kept, stretch []float64
		for k, f := range rows[i].Rounds {
			alone := rows[0].Rounds[k]
			kept, stretch = append(kept, f.MBps/alone.MBps), append(stretch, f.P99/alone.P99)
		}
		row.Kept, row.Stretch = median(kept), median(stretch)
		r.Rows = append(r.Rows, row)
	}
	return r, nil
}

// coldLog is the name of the log that is read.
const coldLog = "cold-0"

func (c Catchup) coldConfig() engine.Config {
	config := engine.DefaultConfig()
	config.Design = c.Design
	config.Design.Sync = "none"
	config.SegmentBytes = max(minBatchBytes*1024, c.ColdBytes/8)
	return config
}

// fill makes the log that is read.
func (c Catchup) fill(dir string) (err error) {
	s, err := engine.OpenStore(engine.StoreOptions{FS: vfs.OS{}, Dir: dir, NodeID: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	l, err := s.Create(coldLog, engine.LogOptions{Config: c.coldConfig(), TopicID: [16]byte{2}})
	if err != nil {
		return err
	}
	b := makeBatch(c.Work)
	for n := int64(0); n < c.ColdBytes; n += int64(len(b)) {
		set, err := batch.Parse(b)
		if err != nil {
			return err
		}
		if _, err := l.Append(set, 0); err != nil {
			return err
		}
	}
	return nil
}

// turn gives a mode its turn: a fresh log for the writers, and an evicted one for
// the reader.
func (c Catchup) turn(ctx context.Context, dir string, mode CatchupMode, meter *Meter) (f Figures, readMBps float64, err error) {
	s, err := engine.OpenStore(engine.StoreOptions{FS: vfs.OS{}, Dir: dir, NodeID: 1, ColdShare: mode.Share})
	if err != nil {
		return f, 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	live, err := newDesignEngine(s, c.Design, c.Settings, c.Work)
	if err != nil {
		return f, 0, err
	}
	defer func() {
		for _, l := range live.logs {
			err = errors.Join(err, s.Delete(l.Name()))
		}
	}()
	cold, err := s.Open(coldLog, engine.LogOptions{Config: c.coldConfig()})
	if err != nil {
		return f, 0, err
	}
	r := &coldReader{log: cold, dir: filepath.Join(dir, coldLog), mode: mode, bytes: c.ReadBytes}
	if err := r.open(); err != nil {
		return f, 0, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	l := newLoad(live, c.Work, makeBatch(c.Work))
	limit := c.Work.LimitBytes / int64(len(l.batch))
	if _, err := l.drive(ctx, c.Work.Warmup, limit); err != nil {
		return f, 0, err
	}
	runtime.GC()
	syscall.Sync()
	r.evict()
	reading, stop := context.WithCancel(ctx)
	var reader sync.WaitGroup
	var readErr error
	switch {
	case mode.Scrub > 0:
		reader.Go(func() { readErr = r.scrub(reading) })
	case !mode.Alone:
		reader.Go(func() { readErr = r.run(reading) })
	}
	before := meter.read()
	t, err := l.drive(ctx, c.Work.Time, limit)
	after := meter.read()
	n := r.read.Load()
	stop()
	reader.Wait()
	return t.figures(len(l.batch), before, after, after, runtime.NumCPU()), float64(n) / 1e6 / t.elapsed.Seconds(), errors.Join(err, readErr)
}

// coldReader reads a log from its beginning to its end and again.
type coldReader struct {
	log   *engine.Log
	dir   string
	mode  CatchupMode
	bytes int64
	// files are the log's segments, opened a second time: the page cache is one.
	files map[string]vfs.File
	read  atomic.Int64
}

func (r *coldReader) open() error {
	names, err := filepath.Glob(filepath.Join(r.dir, "*.log"))
	r.files = map[string]vfs.File{}
	for _, name := range names {
		f, e := vfs.OS{}.OpenRead(name)
		if e == nil {
			r.files[filepath.Base(name)] = f
		}
		err = errors.Join(err, e)
	}
	if err == nil && len(r.files) == 0 {
		err = fmt.Errorf("no segments in %s: %w", r.dir, fs.ErrNotExist)
	}
	return err
}

func (r *coldReader) close() error {
	var err error
	for _, f := range r.files {
		err = errors.Join(err, f.Close())
	}
	return err
}

func (r *coldReader) evict() {
	for _, f := range r.files {
		f.Evict(0, 0) // to the end
	}
}

// scrub has the log read by its own check, at the mode's rate.
func (r *coldReader) scrub(ctx context.Context) error {
	due := time.Now()
	pace := func(ctx context.Context, n int64) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(due)):
		}
		due = due.Add(time.Duration(float64(n) / float64(r.mode.Scrub) * float64(time.Second)))
		r.read.Add(n)
		return nil
	}
	for {
		done, err := r.log.Scrub(ctx, pace)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case done.Bytes == 0:
			return errors.New("the scrub finds nothing to read")
		}
		r.evict()
	}
}

func (r *coldReader) run(ctx context.Context) error {
	m := r.log.Marks()
	segments := r.log.Segments()
	var buf []byte
	for from := m.Start; ctx.Err() == nil; {
		if from >= m.End {
			from = m.Start
			r.evict()
		}
		e, err := r.log.Read(ctx, engine.Read{From: from, UpTo: m.End, MaxBytes: r.bytes, AtLeastOne: true})
		if err != nil {
			return err
		}
		if int64(len(buf)) < e.Len() {
			buf = make([]byte, e.Len())
		}
		i := sort.Search(len(segments), func(i int) bool { return segments[i].Base > from }) - 1
		_, off, _ := e.File()
		hint := func(h func(vfs.File, int64, int64)) {
			if f := r.files[fmt.Sprintf("%020d.log", segments[i].Base)]; h != nil && f != nil {
				h(f, off, e.Len())
			}
		}
		p := buf[:e.Len()]
		hint(r.mode.Before)
		_, err = e.ReadAt(p, 0)
		hint(r.mode.After)
		e.Release()
		if err != nil {
			return err
		}
		if from, err = r.pass(p, from); err != nil {
			return err
		}
	}
	return nil
}

// pass counts the whole batches of p, and returns the offset after them.
func (r *coldReader) pass(p []byte, from int64) (int64, error) {
	for len(p) > 0 {
		b, rest, err := batch.Next(p)
		if errors.Is(err, batch.ErrTruncated) {
			break
		}
		if err != nil {
			return from, err
		}
		from, p = b.NextOffset(), rest
		r.read.Add(b.Size())
	}
	return from, nil
}
