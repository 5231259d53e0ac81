package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment"
)

// freeze stops the broker and waits until none of its threads runs: a sync that is under way while the file system shuts
// down can succeed without having done anything, which no disk would do.
func (b *broker) freeze() error {
	b.signal(syscall.SIGSTOP)
	tasks := fmt.Sprintf("/proc/%d/task", b.pid())
	for range 2000 {
		entries, err := os.ReadDir(tasks)
		if err != nil {
			return err
		}
		moving := false
		for _, e := range entries {
			stat, err := os.ReadFile(tasks + "/" + e.Name() + "/stat")
			if err != nil {
				continue
			}
			_, rest, _ := strings.Cut(string(stat), ") ")
			moving = moving || !strings.HasPrefix(rest, "T") && !strings.HasPrefix(rest, "D")
		}
		if !moving {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("the broker does not stand still")
}

// powerRun cuts the power of file systems under load, and of a disk of our own: with every durable segment design, and every sync policy. What
// a policy may lose is counted, and printed beside what it promises.
func powerRun(ctx context.Context, r *rig) error {
	var all []engine.Design
	for _, s := range segment.Designs {
		if s.Durable {
			d := engine.DefaultDesign
			d.Segment = s.Name
			all = append(all, d)
		}
	}
	for _, p := range engine.SyncPolicies {
		if d := engine.DefaultDesign; p.Name != d.Sync {
			d.Sync = p.Name
			all = append(all, d)
		}
	}
	kinds := strings.Split(r.fsType, ",")
	each := r.duration / time.Duration(len(all)*len(kinds))
	table := report{"file system", "design", "cuts", "acked", "read", "lost", "duplicated", "out of order", "gaps", "slowest start", "promise"}
	lines := []report{table}
	for _, kind := range kinds {
		for _, d := range all {
			line, err := r.powerOf(ctx, kind, d, each)
			if err != nil {
				return fmt.Errorf("%s on %s: %w", d, kind, err)
			}
			lines = append(lines, line)
		}
	}
	printTable(lines)
	return nil
}

// powerOf cuts the power of one design on one file system for a while.
func (r *rig) powerOf(ctx context.Context, kind string, design engine.Design, duration time.Duration) (report, error) {
	defer r.undoTo(len(r.mu.undo))
	policy := engine.SyncPolicies[slices.IndexFunc(engine.SyncPolicies, func(p engine.SyncPolicy) bool { return p.Name == design.Sync })]
	r.policy = policy.Name // what the broker is started with
	d, err := newMedium(r, kind)
	if err != nil {
		return nil, err
	}
	b, l, err := underLoad(ctx, r, d.data(), "--override", "bobbin.design="+design.String(), "--override", "log.retention.check.interval.ms=700",
		"--override", "log.retention.bytes=16777216")
	if err != nil {
		return nil, err
	}
	defer l.stop()
	random := rand.New(rand.NewPCG(r.seed, 2))
	cuts := 0
	for end := time.Now().Add(duration); cuts < r.rounds && (cuts < 2 || time.Now().Before(end)) && ctx.Err() == nil; {
		time.Sleep(time.Duration(random.Int64N(int64(700 * time.Millisecond))))
		if err := errors.Join(b.freeze(), d.cut()); err != nil {
			return nil, err
		}
		b.kill()
		if err := d.restore(); err != nil {
			return nil, err
		}
		cuts++
		// What was not synced is torn until the start cuts it: in its middle, on a disk that keeps no order.
		if out, ok := b.verify(); !ok && policy.AckDurable && kind != "volatile" {
			r.check(false, "log verify after cut %d: %s", cuts, out)
		}
		if err := b.start(); err != nil {
			return nil, err
		}
		if cuts%5 == 0 && policy.AckDurable {
			if err := l.audit(ctx, r, fmt.Sprint("after cut ", cuts)); err != nil {
				return nil, err
			}
		}
	}
	v, err := l.conclude(ctx, r, b, fmt.Sprintf("%d power cuts of %s on %s", cuts, design, kind), policy.AckDurable)
	return powerLine(kind, design, cuts, v, b, policy), err
}

func powerLine(kind string, design engine.Design, cuts int, v verdict, b *broker, policy engine.SyncPolicy) report {
	promise := "may lose the tail"
	if policy.AckDurable {
		promise = "loses nothing"
	}
	return report{kind, design.String(), fmt.Sprint(cuts), fmt.Sprint(v.acked), fmt.Sprint(v.read), fmt.Sprint(v.lost), fmt.Sprint(v.duplicated),
		fmt.Sprint(v.disordered), fmt.Sprint(v.gaps), b.slowest.Round(time.Millisecond).String(), promise}
}
