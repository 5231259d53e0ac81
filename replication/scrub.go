package replication

import (
	"context"
	"errors"
	"time"

	"github.com/bobbin-log/bobbin/engine"
)

const (
	// scrubRoundLeast is how long a round of the scrub takes at least: a broker with
	// little data does not read it over and over.
	scrubRoundLeast = time.Hour
	// scrubOpenBytes is what looking at a log counts for, however little it has.
	scrubOpenBytes = 64 << 10
)

// scrub reads all logs, one after the other and round after round, at so many
// bytes a second, until the context ends. Damage is quarantined and logged where
// it is found. It is not started where nobody wants it.
func (n *Node) scrub(ctx context.Context, bytesPerSecond int64) {
	pace := pacer(bytesPerSecond)
	for {
		began := time.Now()
		var all engine.Scrubbed
		for p := range n.table.Load().all() {
			if err := n.scrubOne(ctx, p, pace, &all); ctx.Err() != nil {
				return
			} else if err != nil {
				n.log.Warn("a log was not scrubbed to its end", "log", p.name(), "err", err)
			}
		}
		n.log.Info("scrubbed", "segments", all.Segments, "bytes", all.Bytes, "damage_found", all.Found, "after_ms", time.Since(began).Milliseconds())
		if wait(ctx, scrubRoundLeast-time.Since(began)) != nil {
			return
		}
	}
}

func (n *Node) scrubOne(ctx context.Context, p *Partition, pace func(context.Context, int64) error, all *engine.Scrubbed) error {
	if p.disk.Load() == absent {
		return nil
	}
	if err := pace(ctx, scrubOpenBytes); err != nil {
		return err
	}
	cold := p.open.Load() == nil
	l, err := p.Log()
	if err != nil {
		return nil // which was said, and the client is told
	}
	done, err := l.Scrub(ctx, pace)
	all.Segments += done.Segments
	all.Batches += done.Batches
	all.Bytes += done.Bytes
	all.Found += done.Found
	if cold {
		p.cool()
	}
	if errors.Is(err, engine.ErrClosed) {
		return nil // its topic was deleted
	}
	return err
}

// pacer returns a function that lets so many bytes pass in a second, in steps of
// what it is asked for.
func pacer(bytesPerSecond int64) func(context.Context, int64) error {
	next := time.Now()
	return func(ctx context.Context, bytes int64) error {
		now := time.Now()
		if next.Before(now) {
			next = now // what was not used before is not made up for
		}
		err := wait(ctx, next.Sub(now))
		next = next.Add(time.Duration(float64(bytes) / float64(bytesPerSecond) * float64(time.Second)))
		return err
	}
}

// wait returns after d, or with the context's error.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
