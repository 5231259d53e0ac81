package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// fullRun fills a small disk by producing, and makes room again.
func fullRun(ctx context.Context, r *rig) error {
	megabytes := int64(24)
	if r.policy().Journal {
		megabytes = 64 // it grows to more than the logs have here
	}
	d, err := newDisk(r, "ext4", megabytes)
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.filler(), make([]byte, 2<<20), 0o666); err != nil {
		return err
	}
	b, t, err := begun(ctx, r, d.data(), "--override", "log.segment.bytes=2097152", "--override", "log.retention.check.interval.ms=500")
	if err != nil {
		return err
	}
	if err := createTopic(ctx, b.address, "ballast", 1, nil); err != nil {
		return err
	}
	big := bytes.Repeat([]byte("ballast "), 8000)
	for range 100 { // 6.4 MB
		if _, err := t.produce(ctx, "ballast", 0, big); err != nil {
			return err
		}
	}
	f := &fill{r: r, b: b, t: t, acked: 50}
	f.untilRefused(ctx)
	r.check(errors.Is(f.refused, kerr.KafkaStorageError), "full after %d acks: the client is told %v", f.acked, f.refused)
	r.check(r.holds(ctx, b, 0, f.acked), "all that was acknowledged is read while the disk is full")
	response, err := f.t.admin.CreateTopic(ctx, 1, 1, nil, "new")
	if err == nil {
		err = response.Err
	}
	r.check(err == nil || errors.Is(err, kerr.KafkaStorageError), "a topic made while the disk is full: %v", err)
	for i := range 3 {
		b.kill()
		if err := f.start(); err != nil {
			r.check(false, "start %d on the full disk after kill -9: %v", i+1, err)
			break
		}
		f.untilRefused(ctx)
		r.check(r.holds(ctx, b, 0, f.acked), "kill -9 while full, start %d: all %d are read; refused with %v", i+1, f.acked, f.refused)
	}
	if !b.running() {
		return errors.New("no broker left to go on with")
	}
	_, err = f.t.admin.DeleteTopic(ctx, "ballast")
	r.check(err == nil, "a topic can be deleted while the disk is full: %v", err)
	f.heals(ctx, "after a topic was deleted")
	f.untilRefused(ctx)
	r.check(b.terminate(10*time.Second), "a stop while full: code %d, marker %v, %s", b.exitCode(), b.cleanMarker(), b.lastLine())
	if err := f.start(); err != nil {
		return err
	}
	f.untilRefused(ctx)
	r.check(r.holds(ctx, b, 0, f.acked), "start: all %d are read; refused with %v", f.acked, f.refused)
	if err := f.bySomebodyElse(ctx, d); err != nil {
		return err
	}
	r.check(b.terminate(10*time.Second) && b.exitCode() == 0 && b.cleanMarker(), "clean stop: %s", b.lastLine())
	out, ok := b.verify()
	r.check(ok, "log verify: %s", out)
	r.check(b.sane(), "no panic in the broker's log")
	return nil
}

// fill is a producer that goes on until it is refused.
type fill struct {
	r       *rig
	b       *broker
	t       *teller
	acked   int
	refused error
}

// start starts the broker, and gives it a client of its own: one that still has connections to the process before learns of
// each by itself, and may take a record for refused that it has sent by another.
func (f *fill) start() error {
	if err := f.b.start(); err != nil {
		return err
	}
	t, err := newTeller(f.b.address)
	if err != nil {
		return err
	}
	f.r.later(t.close)
	f.t = t
	return nil
}

func (f *fill) untilRefused(ctx context.Context) {
	f.refused = nil
	for i := 0; f.refused == nil && i < 100000; i++ {
		f.one(ctx)
	}
	// Small records may find room where a larger one did not.
	for range 5 {
		f.one(ctx)
	}
}

func (f *fill) one(ctx context.Context) {
	m := mark{0, uint64(f.acked)}
	if f.acked%2 == 0 { // large ones have padding that markOf would not know: they go to the other partition
		if _, err := f.t.produce(ctx, "t", 1, bytes.Repeat(m.value(), 60)); err != nil {
			f.refused = err
		}
	}
	if _, err := f.t.produce(ctx, "t", 0, m.value()); err != nil {
		f.refused = err
		return
	}
	f.acked++
}

// heals checks that writes are taken again without a restart.
func (f *fill) heals(ctx context.Context, when string) {
	begun := time.Now()
	var err error
	for time.Since(begun) < 10*time.Second {
		var err0, err1 error
		if _, err0 = f.t.produce(ctx, "t", 0, mark{0, uint64(f.acked)}.value()); err0 == nil {
			f.acked++
		}
		_, err1 = f.t.produce(ctx, "t", 1, []byte("x"))
		if err = errors.Join(err0, err1); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	f.r.check(err == nil, "%s writes are taken again after %v: %v", when, time.Since(begun).Round(time.Millisecond), err)
	name, begun := fmt.Sprintf("healed-%d", f.acked), time.Now()
	for time.Since(begun) < 10*time.Second {
		if err = createTopic(ctx, f.b.address, name, 1, nil); err == nil {
			_, err = f.t.produce(ctx, name, 0, []byte("x"))
			break
		}
		time.Sleep(20 * time.Millisecond) // what was deleted may still be in use, and its blocks with it
	}
	f.r.check(err == nil, "and topics can be made after %v: %v", time.Since(begun).Round(time.Millisecond), err)
}

// filler is somebody else's file.
func (d *disk) filler() string { return filepath.Join(d.dir, "filler") }

// bySomebodyElse is a disk that another program has filled to its last byte when the broker starts.
func (f *fill) bySomebodyElse(ctx context.Context, d *disk) error {
	f.b.kill()
	file, err := os.OpenFile(d.filler(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for chunk := 1 << 20; chunk > 0; {
		if _, err := file.Write(make([]byte, chunk)); err != nil {
			chunk /= 2
		}
	}
	file.Close()
	err = f.start()
	if f.r.check(err == nil, "start on a disk without a byte: %v", err) {
		f.r.holds(ctx, f.b, 0, f.acked)
	}
	if err := os.Remove(d.filler()); err != nil {
		return err
	}
	if !f.b.running() {
		if err := f.start(); err != nil {
			return err
		}
	}
	f.heals(ctx, "after somebody else's file is gone")
	f.r.check(f.r.holds(ctx, f.b, 0, f.acked), "all %d are read", f.acked)
	return nil
}
