package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The histograms tell latencies of up to latencyMax, in nanoseconds, to three digits.
const (
	latencyMax    = int64(10 * time.Minute)
	latencyDigits = 3
)

// tally is what the writers saw.
type tally struct {
	appends int64
	elapsed time.Duration
	latency *hdrhistogram.Histogram
}

// load drives writers over an engine.
type load struct {
	engine Engine
	work   Work
	batch  []byte
	next   []int // of each writer, the partition that comes next

	begun time.Time
	end   time.Time
	left  atomic.Int64 // appends that LimitBytes still allows
	stop  context.CancelCauseFunc
}

func newLoad(e Engine, w Work, batch []byte) *load {
	l := &load{engine: e, work: w, batch: batch, next: make([]int, w.Writers)}
	for i := range l.next {
		l.next[i] = i % w.Partitions
	}
	return l
}

// drive runs the writers for d, or until limit appends were begun. It returns
// the first error that one of them met. In a closed loop each writer appends at
// least once, even if the time is over before it has had a processor: a turn
// without an append has no figures.
func (l *load) drive(ctx context.Context, d time.Duration, limit int64) (tally, error) {
	if d <= 0 {
		return tally{latency: newHistogram()}, nil
	}
	ctx, l.stop = context.WithCancelCause(ctx)
	defer l.stop(nil)
	l.left.Store(limit)
	l.begun = time.Now()
	l.end = l.begun.Add(d)
	var wg sync.WaitGroup
	tallies := make([]tally, l.work.Writers)
	for i := range tallies {
		wg.Go(func() { tallies[i] = l.write(ctx, i) })
	}
	wg.Wait()
	all := tally{elapsed: time.Since(l.begun), latency: newHistogram()}
	for _, t := range tallies {
		all.appends += t.appends
		all.latency.Merge(t.latency)
	}
	return all, context.Cause(ctx)
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, latencyMax, latencyDigits)
}

// write is one writer.
func (l *load) write(ctx context.Context, i int) tally {
	t := tally{latency: newHistogram()}
	batch := append([]byte{}, l.batch...)
	due := newSchedule(l.work, i, l.begun)
	for ctx.Err() == nil {
		at := due.wait(ctx, l.end)
		over := !at.Before(l.end) && (t.appends > 0 || l.work.Rate > 0)
		if ctx.Err() != nil || over || l.left.Add(-1) < 0 {
			break
		}
		if err := l.engine.Append(l.next[i], batch); err != nil {
			l.stop(err)
			break
		}
		_ = t.latency.RecordValue(min(int64(time.Since(at)), latencyMax))
		t.appends++
		if l.next[i] += l.work.Writers; l.next[i] >= l.work.Partitions {
			l.next[i] = i % l.work.Partitions
		}
	}
	if l.left.Load() >= 0 {
		due.missed(t.latency, l.end, time.Now())
	}
	return t
}

// schedule says when a writer's appends are due.
type schedule struct {
	// every is the time between two of them; 0 is the closed loop.
	every time.Duration
	next  time.Time
}

// newSchedule spreads the writers evenly over the time between two appends.
func newSchedule(w Work, writer int, begun time.Time) *schedule {
	s := &schedule{next: begun}
	if w.Rate > 0 {
		s.every = time.Duration(float64(w.Writers) / w.Rate * float64(time.Second))
		s.next = begun.Add(time.Duration(float64(writer) / w.Rate * float64(time.Second)))
	}
	return s
}

// wait returns when the next append was due, once that has come. An open loop
// that is late does not wait: it is late by as much as is not made up.
func (s *schedule) wait(ctx context.Context, end time.Time) time.Time {
	now := time.Now()
	if s.every == 0 {
		return now
	}
	if !s.next.Before(end) {
		return end
	}
	if early := s.next.Sub(now); early > 0 {
		select {
		case <-time.After(early):
		case <-ctx.Done():
		}
	} else if !now.Before(end) {
		return end
	}
	at := s.next
	s.next = s.next.Add(s.every)
	return at
}

// missed records the appends that were due before end and were never begun, as if
// now were when they were acknowledged: no less than it would have been. Leaving
// them out is how a stall hides.
func (s *schedule) missed(latency *hdrhistogram.Histogram, end, now time.Time) {
	if s.every == 0 {
		return
	}
	for ; s.next.Before(end); s.next = s.next.Add(s.every) {
		_ = latency.RecordValue(min(max(1, int64(now.Sub(s.next))), latencyMax))
	}
}
