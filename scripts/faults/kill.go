package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// killRun kills the broker at random moments under load.
func killRun(ctx context.Context, r *rig) error {
	b, l, err := underLoad(ctx, r, r.path("data"), "--override", "log.retention.check.interval.ms=700")
	if err != nil {
		return err
	}
	defer l.stop()
	random := rand.New(rand.NewPCG(r.seed, 1))
	end := time.Now().Add(r.duration)
	kills := 0
	for kills < r.rounds && time.Now().Before(end) && ctx.Err() == nil {
		// Mostly under load, now and then while it still starts.
		wait := time.Duration(random.Int64N(int64(900 * time.Millisecond)))
		if random.IntN(4) == 0 {
			wait = time.Duration(random.Int64N(int64(40 * time.Millisecond)))
		}
		time.Sleep(wait)
		at := time.Now()
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
		l.cut(at)
		if err := b.start(); err != nil {
			return err
		}
		if kills%5 != 0 {
			continue
		}
		if err := l.audit(ctx, r, fmt.Sprint("after kill ", kills)); err != nil {
			return err
		}
	}
	_, err = l.conclude(ctx, r, b, fmt.Sprintf("%d kills", kills), true)
	return err
}

// underLoad starts a broker, and producers that send to it as fast as acknowledgements come back.
func underLoad(ctx context.Context, r *rig, dir string, args ...string) (*broker, *load, error) {
	b, err := newBroker(r, dir, append([]string{"--override", "log.segment.bytes=1048576"}, args...)...)
	if err != nil {
		return nil, nil, err
	}
	if err := b.start(); err != nil {
		return nil, nil, err
	}
	if err := createTopic(ctx, b.address, loadTopic, loadPartitions, map[string]*string{"retention.bytes": new(string("-1"))}); err != nil {
		return nil, nil, err
	}
	l, err := startLoad(ctx, b.address)
	return b, l, err
}

// audit stops the load, compares what was acknowledged with what is there, and goes on.
func (l *load) audit(ctx context.Context, r *rig, when string) error {
	resume, err := l.quiet(ctx)
	if err != nil {
		return err
	}
	v, err := l.judge(ctx)
	if err != nil {
		return err
	}
	if !v.kept() {
		r.check(false, "%s: %v", when, v)
	}
	resume()
	return nil
}

// conclude stops the load, judges a last time, stops the broker and verifies its files. strict: nothing may be lost.
func (l *load) conclude(ctx context.Context, r *rig, b *broker, what string, strict bool) (verdict, error) {
	if _, err := l.quiet(ctx); err != nil {
		return verdict{}, err
	}
	v, err := l.judge(ctx)
	if err != nil {
		return v, err
	}
	r.check(v.kept() || v.whole() && !strict, "%s: %v; longest unavailability %v, slowest start %v", what, v, l.mu.longest.Round(time.Millisecond), b.slowest.Round(time.Millisecond))
	if len(l.mu.failed) > 0 {
		r.check(!strict, "records refused for good: %v", l.mu.failed)
	}
	r.check(b.terminate(10*time.Second) && b.exitCode() == 0 && b.cleanMarker(), "clean stop")
	out, ok := b.verify()
	r.check(ok, "log verify: %s", out)
	r.check(b.sane(), "no panic in the broker's log")
	l.pause.Unlock() // quiet left it locked
	return v, nil
}
