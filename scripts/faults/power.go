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

// lostAgeMax is flush.ms, and the time that a sync may take which was due then.
const lostAgeMax = 2 * time.Second

// powerRun cuts the power of file systems under load, and of a disk of our own. What a policy may lose is counted, and
// printed beside what it promises.
func powerRun(ctx context.Context, r *rig) error {
	for _, kind := range r.kinds {
		line, err := r.powerOf(ctx, kind, r.duration/time.Duration(len(r.kinds)))
		if err != nil {
			return fmt.Errorf("%s on %s: %w", r.design, kind, err)
		}
		if r.table == nil {
			r.table = []report{{"file system", "design", "cuts", "acked", "read", "lost", "oldest lost, before its cut", "duplicated", "out of order",
				"gaps", "shown", "retracted", "slowest start", "promise"}}
		}
		r.table = append(r.table, line)
	}
	return nil
}

// powerOf cuts the power of one file system for a while.
func (r *rig) powerOf(ctx context.Context, kind string, duration time.Duration) (report, error) {
	defer r.undoTo(len(r.mu.undo))
	policy := r.policy()
	d, err := newMedium(r, kind)
	if err != nil {
		return nil, err
	}
	b, l, err := underLoad(ctx, r, d.data(), "--override", "log.retention.check.interval.ms=700")
	if err != nil {
		return nil, err
	}
	defer l.stop()
	random := rand.New(rand.NewPCG(r.seed, 2))
	longest := 700 * time.Millisecond // from cut to cut
	if !policy.AckDurable {
		longest = 2500 * time.Millisecond // there are syncs in between
	}
	cuts := 0
	for end := time.Now().Add(duration); cuts < r.rounds && (cuts < 2 || time.Now().Before(end)) && ctx.Err() == nil; {
		time.Sleep(time.Duration(random.Int64N(int64(longest))))
		at := time.Now()
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
		l.cut(at)
		if err := b.start(); err != nil {
			return nil, err
		}
		if cuts%5 == 0 && policy.AckDurable {
			if err := l.audit(ctx, r, fmt.Sprint("after cut ", cuts)); err != nil {
				return nil, err
			}
		}
	}
	v, err := l.conclude(ctx, r, b, fmt.Sprintf("%d power cuts of %s", cuts, kind), policy.AckDurable)
	if policy.Name == "interval" {
		r.check(v.oldest < lostAgeMax, "of what is lost the oldest was acknowledged %v before its cut", v.oldest.Round(time.Millisecond))
	}
	return r.powerLine(kind, cuts, v, b), err
}

// policy is the sync policy of the design whose turn it is.
func (r *rig) policy() engine.SyncPolicy {
	return engine.SyncPolicies[slices.IndexFunc(engine.SyncPolicies, func(p engine.SyncPolicy) bool { return p.Name == r.design.Sync })]
}

func (r *rig) powerLine(kind string, cuts int, v verdict, b *broker) report {
	promise, oldest := "may lose the tail", ""
	if r.policy().AckDurable {
		promise = "loses nothing"
	}
	if v.lost > 0 {
		oldest = v.oldest.Round(time.Millisecond).String()
	}
	return report{kind, r.design.String(), fmt.Sprint(cuts), fmt.Sprint(v.acked), fmt.Sprint(v.read), fmt.Sprint(v.lost), oldest, fmt.Sprint(v.duplicated),
		fmt.Sprint(v.disordered), fmt.Sprint(v.gaps), fmt.Sprint(v.shown), fmt.Sprint(v.retracted), b.slowest.Round(time.Millisecond).String(), promise}
}
