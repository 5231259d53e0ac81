package main

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// flushRun has a disk refuse its flushes and its reads, and take its time for flushes.
func flushRun(ctx context.Context, r *rig) error {
	for _, e := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		if err := r.onVolatile(ctx, func(d *volatile, b *broker, t *teller) (int, error) { return r.refusedFlush(ctx, d, b, t, e) }); err != nil {
			return err
		}
	}
	if err := r.onVolatile(ctx, func(d *volatile, b *broker, _ *teller) (int, error) { return r.refusedRead(ctx, d, b) }); err != nil {
		return err
	}
	for _, delay := range []time.Duration{50 * time.Millisecond, 2 * time.Second} {
		if err := r.onVolatile(ctx, func(d *volatile, b *broker, t *teller) (int, error) { return r.slowFlush(ctx, d, b, t, delay) }); err != nil {
			return err
		}
	}
	return nil
}

// onVolatile has a fault on a disk of our own, with a broker on it that has acknowledged 50 records in each of two
// partitions. The fault returns how many the first has then. The power goes after it; a start finds all of them.
func (r *rig) onVolatile(ctx context.Context, fault func(*volatile, *broker, *teller) (acked int, err error)) error {
	defer r.undoTo(len(r.mu.undo))
	d, err := newVolatile(r)
	if err != nil {
		return err
	}
	b, t, err := begun(ctx, r, d.data())
	if err != nil {
		return err
	}
	acked, err := fault(d, b, t)
	if err != nil {
		return err
	}
	if b.running() {
		if err := b.freeze(); err != nil {
			return err
		}
	}
	if err := d.cut(); err != nil {
		return err
	}
	b.kill()
	if err := d.restore(); err != nil {
		return err
	}
	if err := b.start(); err != nil {
		return err
	}
	r.check(r.holds(ctx, b, 0, acked) && r.holds(ctx, b, 1, 50), "after a loss of power and a start all %d are there that were acknowledged", acked)
	if t, err = newTeller(b.address); err != nil {
		return err
	}
	defer t.close()
	_, err = t.produce(ctx, "t", 0, []byte("again"))
	r.check(err == nil, "and writes are taken: %v", err)
	r.check(b.terminate(10*time.Second) && b.exitCode() == 0, "clean stop")
	out, ok := b.verify()
	r.check(ok, "log verify: %s", out)
	r.check(b.sane(), "no panic in the broker's log")
	return nil
}

// refusedFlush has every flush of the disk fail, and later succeed again: nothing is acknowledged from the first
// failure until the broker was started again.
func (r *rig) refusedFlush(ctx context.Context, d *volatile, b *broker, t *teller, e syscall.Errno) (acked int, err error) {
	acked = 50
	if err := d.failFlush(e); err != nil {
		return acked, err
	}
	begun := time.Now()
	_, refused := t.produce(ctx, "t", 0, []byte("refused"))
	took := time.Since(begun)
	r.check(refused != nil && took < time.Second, "flushes fail with %v: an append is refused after %v: %v", e, took.Round(time.Millisecond), refused)
	late := 0
	for i := range 20 {
		if i == 10 {
			if err := d.failFlush(0); err != nil {
				return acked, err
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
		r.check(r.holds(ctx, b, 0, acked), "what was acknowledged is read")
	}
	return acked, nil
}

// refusedRead has reads fail of what is not in memory any more, for a while: who asks is told, and nothing worse happens.
func (r *rig) refusedRead(ctx context.Context, d *volatile, b *broker) (acked int, err error) {
	acked = 50
	f, err := vfs.OS{}.OpenRead(b.activeSegment("t-0"))
	if err != nil {
		return acked, err
	}
	f.Evict(0, 0)
	inMemory := f.Cached(0, 1) > 0 // mapped, or the design has it itself
	if err := errors.Join(f.Close(), d.failRead(syscall.EIO)); err != nil {
		return acked, err
	}
	values, err := read(ctx, b.address, "t", 0, acked)
	r.check(err != nil || inMemory || r.behind(), "reads fail: the reader is told %v, after %d records", err, len(values))
	r.check(b.running(), "the broker runs on")
	if err := d.failRead(0); err != nil {
		return acked, err
	}
	r.check(r.holds(ctx, b, 0, acked), "when reads succeed again all %d are read", acked)
	return acked, nil
}

// behind reports whether the design keeps in memory what was appended last.
func (r *rig) behind() bool {
	return slices.ContainsFunc(segment.Designs, func(d segment.Design) bool { return d.Name == r.design.Segment && d.Behind })
}

// slowFlush has every flush take its time, and then takes the power from one that is under way.
func (r *rig) slowFlush(ctx context.Context, d *volatile, b *broker, t *teller, delay time.Duration) (acked int, err error) {
	acked = 50
	if err := d.order("delay %v", delay); err != nil {
		return acked, err
	}
	begun := time.Now()
	answer := make(chan error, 1)
	produce := func() {
		value := mark{0, uint64(acked)}.value()
		go func() {
			_, err := t.produce(ctx, "t", 0, value)
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
		return acked, err
	}
	if err = <-answer; err == nil {
		acked++
	}
	r.check(err != nil, "the power goes during a flush: the client is told %v, and not that its record is durable", err)
	return acked, nil
}
