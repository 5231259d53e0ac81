package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// killRun kills the broker at random moments under load.
func killRun(ctx context.Context, r *rig) error {
	b, err := newBroker(r, r.path("data"), "--override", "log.segment.bytes=1048576", "--override", "log.retention.check.interval.ms=700")
	if err != nil {
		return err
	}
	if err := b.start(); err != nil {
		return err
	}
	if err := createTopic(ctx, b.address, loadTopic, loadPartitions, nil); err != nil {
		return err
	}
	l, err := startLoad(ctx, b.address)
	if err != nil {
		return err
	}
	defer l.stop()
	random := rand.New(rand.NewPCG(r.seed, 1))
	end := time.Now().Add(r.duration)
	kills, worst := 0, verdict{}
	for kills < r.rounds && time.Now().Before(end) && ctx.Err() == nil {
		// Mostly under load, now and then while it still starts.
		wait := time.Duration(random.Int64N(int64(900 * time.Millisecond)))
		if random.IntN(4) == 0 {
			wait = time.Duration(random.Int64N(int64(40 * time.Millisecond)))
		}
		time.Sleep(wait)
		b.kill()
		kills++
		if random.IntN(3) == 0 { // killed again in its recovery
			if err := b.launch(); err != nil {
				return err
			}
			time.Sleep(time.Duration(random.Int64N(int64(30 * time.Millisecond))))
			b.kill()
			kills++
		}
		if out, ok := b.verify(); !ok {
			r.check(false, "log verify after kill %d: %s", kills, out)
		}
		if err := b.start(); err != nil {
			return err
		}
		if kills%5 != 0 {
			continue
		}
		resume, err := l.quiet(ctx)
		if err != nil {
			return err
		}
		if worst, err = l.judge(ctx); err != nil {
			return err
		}
		if !worst.good() {
			r.check(false, "after kill %d: %v", kills, worst)
		}
		resume()
	}
	return l.conclude(ctx, r, b, fmt.Sprintf("%d kills, sync %s", kills, r.policy), true)
}

// conclude stops the load, judges a last time, stops the broker and verifies its files. strict: nothing may be lost.
func (l *load) conclude(ctx context.Context, r *rig, b *broker, what string, strict bool) error {
	if _, err := l.quiet(ctx); err != nil {
		return err
	}
	v, err := l.judge(ctx)
	if err != nil {
		return err
	}
	r.check(v.good() || !strict, "%s: %v; longest unavailability %v, slowest start %v", what, v, l.mu.longest.Round(time.Millisecond), b.slowest.Round(time.Millisecond))
	r.check(len(l.mu.failed) == 0 || !strict, "records refused for good: %v", l.mu.failed)
	r.check(b.terminate(10*time.Second) && b.exitCode() == 0 && b.cleanMarker(), "clean stop")
	out, ok := b.verify()
	r.check(ok, "log verify: %s", out)
	r.check(b.sane(), "no panic in the broker's log")
	l.pause.Unlock() // quiet left it locked
	return nil
}
