package replication

import (
	"context"
	"errors"
	"iter"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bobbin-log/bobbin/engine"
)

// What housekeeping does for partitions that are cold, and makes so: see
// Partition.
//
//	use ────────────► open ──(not used from one round to the next)──► cold
//	 ▲                                                                  │
//	 └── a client, or housekeeping when there is something to do ◄──────┘
//	     for the log, or when a crash came before this run

const (
	// coolEvery is the time between two rounds: a log is closed after one to two
	// of them without use.
	coolEvery = time.Minute
	// lookLeast is how many unseen logs a round of retention looks at, if they are
	// not a tenth of all.
	lookLeast = 1000
	// progressEvery is the time between two lines about a recovery.
	progressEvery = 5 * time.Second
)

// warm is the partitions whose logs are open.
type warm struct {
	mu  sync.Mutex
	set map[*Partition]struct{}
}

func (w *warm) add(p *Partition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.set == nil {
		w.set = map[*Partition]struct{}{}
	}
	w.set[p] = struct{}{}
}

func (w *warm) remove(p *Partition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.set, p)
	if len(w.set) == 0 {
		w.set = nil // with the room that it took
	}
}

func (w *warm) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.set)
}

func (w *warm) list() []*Partition {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.set))
}

// coolIdle closes the logs that nobody has used since the round before.
func (n *Node) coolIdle(ctx context.Context) {
	for _, p := range n.warm.list() {
		if ctx.Err() != nil {
			return
		}
		if !p.used.Swap(false) {
			p.cool()
		}
	}
}

// lookAtCold opens the cold logs for which there may be something to do.
func (n *Node) lookAtCold(ctx context.Context) {
	now := n.o.Now()
	var due, unknown []*Partition
	all := 0
	for p := range n.table.Load().all() {
		all++
		switch {
		case p.open.Load() != nil:
		case p.disk.Load() == unseen:
			unknown = append(unknown, p)
		case p.due.Load() <= now.UnixMilli():
			due = append(due, p)
		}
	}
	due = append(due, unknown[:min(len(unknown), max(all/10, lookLeast))]...)
	n.each(ctx, due, n.visit)
}

// visit opens a cold log, for retention and whatever else is due, and closes it.
func (n *Node) visit(p *Partition) {
	l, err := p.Log()
	if err != nil {
		return // which was said, and the client is told
	}
	if err := l.Retain(n.o.Now()); err != nil && !errors.Is(err, engine.ErrClosed) {
		n.log.Warn("retention did not run", "log", p.name(), "err", err)
	}
	p.due.Store(dueNever) // but for what cool learns
	p.cool()
}

// WarmUp opens the cold logs among the partitions, some of them at once: a request
// for many need not wait for one after the other. An error is that of the
// partition's next use. A nil partition is passed over.
func (n *Node) WarmUp(ctx context.Context, ps iter.Seq[*Partition]) {
	var cold []*Partition
	for p := range ps {
		if p != nil && p.open.Load() == nil {
			cold = append(cold, p)
		}
	}
	if len(cold) > 1 {
		n.each(ctx, cold, func(p *Partition) { _, _ = p.use() })
	}
}

// each runs f for the partitions, some at once, until the context ends: on all
// processors while as many wait for the disk.
func (n *Node) each(ctx context.Context, ps []*Partition, f func(*Partition)) {
	g := new(errgroup.Group)
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	for _, p := range ps {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			f(p)
			return nil
		})
	}
	_ = g.Wait() // f returns no error
}

// recoverAll opens the logs that nobody has used since a crash: what it tore is
// mended soon, and not only when somebody asks.
func (n *Node) recoverAll(ctx context.Context) {
	var ps []*Partition
	for p := range n.table.Load().all() {
		if p.disk.Load() == unseen && p.offline() == nil {
			ps = append(ps, p)
		}
	}
	if len(ps) == 0 {
		return
	}
	began := time.Now()
	n.log.Info("the last stop was not clean: logs are recovered by their first use, and the others now", "logs", len(ps))
	var done, said atomic.Int64
	n.each(ctx, ps, func(p *Partition) {
		if _, err := p.use(); err == nil {
			p.cool()
		}
		ago, before := time.Since(began), said.Load()
		if k := done.Add(1); ago-time.Duration(before) >= progressEvery && said.CompareAndSwap(before, int64(ago)) {
			n.log.Info("recovering logs", "done", k, "of", len(ps), "after_ms", ago.Milliseconds())
		}
	})
	if ctx.Err() == nil {
		n.log.Info("logs recovered", "logs", len(ps), "after_ms", time.Since(began).Milliseconds())
	}
}
