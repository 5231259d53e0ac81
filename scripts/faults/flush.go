package main

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// flushRun has a disk refuse its flushes, and take its time for them.
func flushRun(ctx context.Context, r *rig) error {
	for _, e := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		if err := r.refusedFlush(ctx, e); err != nil {
			return err
		}
	}
	for _, delay := range []time.Duration{50 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second} {
		if err := r.slowFlush(ctx, delay); err != nil {
			return err
		}
	}
	return nil
}

// refusedFlush has every flush of the disk fail, and later succeed again: nothing is acknowledged from the first
// failure until the broker was started again.
func (r *rig) refusedFlush(ctx context.Context, e syscall.Errno) error {
	defer r.undoTo(len(r.mu.undo))
	d, err := newVolatile(r)
	if err != nil {
		return err
	}
	b, t, err := begun(ctx, r, d.data())
	if err != nil {
		return err
	}
	if err := d.failFlush(e); err != nil {
		return err
	}
	begun := time.Now()
	_, refused := t.produce(ctx, "t", 0, []byte("refused"))
	took := time.Since(begun)
	r.check(refused != nil && took < time.Second, "flushes fail with %v: an append is refused after %v: %v", e, took.Round(time.Millisecond), refused)
	late := 0
	for i := range 20 {
		if i == 10 {
			if err := d.failFlush(0); err != nil {
				return err
			}
		}
		if _, err := t.produce(ctx, "t", 0, []byte("late")); err == nil {
			late++
		}
		if !b.running() {
			break
		}
	}
	r.check(late == 0, "acknowledged after that, also when flushes succeed again: %d; the broker runs: %v", late, b.running())
	if b.running() {
		r.check(r.holds(ctx, b, 0, 50), "what was acknowledged is read")
		b.kill()
	}
	if err := d.restore(); err != nil {
		return err
	}
	if err := b.start(); err != nil {
		return err
	}
	r.check(r.holds(ctx, b, 0, 50) && r.holds(ctx, b, 1, 50), "after a start all is there that was acknowledged")
	if t, err = newTeller(b.address); err != nil {
		return err
	}
	defer t.close()
	_, err = t.produce(ctx, "t", 0, []byte("again"))
	r.check(err == nil, "and writes are taken: %v", err)
	r.check(b.terminate(10*time.Second) && b.sane(), "stop")
	return nil
}

// slowFlush has every flush take its time, and then takes the power from one that is under way.
func (r *rig) slowFlush(ctx context.Context, delay time.Duration) error {
	defer r.undoTo(len(r.mu.undo))
	d, err := newVolatile(r)
	if err != nil {
		return err
	}
	b, t, err := begun(ctx, r, d.data())
	if err != nil {
		return err
	}
	if err := d.order("delay %v", delay); err != nil {
		return err
	}
	acked := 50
	begun := time.Now()
	answer := make(chan error, 1)
	produce := func() {
		go func() {
			_, err := t.produce(ctx, "t", 0, mark{0, uint64(acked)}.value())
			answer <- err
		}()
	}
	produce()
	reading := time.Now()
	r.holds(ctx, b, 1, 50)
	read := time.Since(reading)
	err = <-answer
	took := time.Since(begun)
	if err == nil {
		acked++
	}
	r.check(err == nil && took >= delay, "a flush takes %v: an append is acknowledged after %v: %v", delay, took.Round(time.Millisecond), err)
	r.check(read < time.Second, "a reader of what is there waits %v meanwhile", read.Round(time.Millisecond))
	produce()
	time.Sleep(delay / 2)
	if err := d.cut(); err != nil {
		return err
	}
	if err = <-answer; err == nil {
		acked++
	}
	fmt.Printf("        the power goes during a flush: the client is told %v\n", err)
	r.check(err != nil, "and is not told that its record is durable")
	b.kill()
	if err := d.restore(); err != nil {
		return err
	}
	if err := b.start(); err != nil {
		return err
	}
	r.check(r.holds(ctx, b, 0, acked) && r.holds(ctx, b, 1, 50), "after a start all %d are there that were acknowledged", acked)
	r.check(b.terminate(10*time.Second) && b.sane(), "stop")
	return nil
}
