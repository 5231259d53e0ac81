package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// writeRun kills the broker in the K-th system call that writes or syncs the log's file, K from 1 to 200.
func writeRun(ctx context.Context, r *rig) error {
	b, t, err := begun(ctx, r, r.path("data"))
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(r.seed, 4))
	acked, survived, kills := 50, 0, 0
	for end := time.Now().Add(r.duration); kills < r.rounds && time.Now().Before(end) && ctx.Err() == nil; kills++ {
		k := 1 + random.IntN(200)
		detach, err := b.inject(b.activeSegment("t-0"), "pwrite64,pwritev,pwritev2,fsync,fdatasync", fmt.Sprintf("signal=KILL:when=%d", k))
		if err != nil {
			return err
		}
		for err == nil {
			if _, err = t.produce(ctx, "t", 0, mark{0, uint64(acked)}.value()); err == nil {
				acked++
			}
		}
		if !b.wait(5 * time.Second) {
			return fmt.Errorf("the broker lives on after call %d: %w", k, err)
		}
		detach()
		if err := b.start(); err != nil {
			return err
		}
		ends, err := t.admin.ListEndOffsets(ctx, "t")
		if err == nil {
			err = ends.Error()
		}
		if err != nil {
			return err
		}
		last, _ := ends.Lookup("t", 0)
		if last.Offset < int64(acked) || last.Offset > int64(acked)+1 {
			r.check(false, "killed in call %d: the log ends at %d, acknowledged were %d", k, last.Offset, acked)
			break
		}
		survived += int(last.Offset) - acked // written, and killed before the answer
		acked = int(last.Offset)
	}
	r.check(r.holds(ctx, b, 0, acked), "%d kills in the midst of a write or a sync: all %d are there; %d more than were acknowledged", kills, acked-survived, survived)
	r.check(b.terminate(10*time.Second) && b.exitCode() == 0, "clean stop")
	out, ok := b.verify()
	r.check(ok, "log verify: %s", out)
	r.check(b.sane(), "no panic in the broker's log")
	return nil
}
