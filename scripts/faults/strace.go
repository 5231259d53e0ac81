package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// inject has system calls on one file fail, until the returned function is called.
func (b *broker) inject(file, calls, fault string) (func(), error) {
	out := b.rig.path("strace.log")
	cmd := exec.Command("strace", "-f", "-q", "-o", out, "-p", fmt.Sprint(b.pid()), "-P", file, "-e", "trace="+calls, "-e", "inject="+calls+":"+fault)
	stderr, err := os.Create(b.rig.path("strace.err"))
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("strace: %w", err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it ends by our signal
		close(done)
	}()
	// It is there once every thread has it as its tracer.
	for range 500 {
		if b.traced() {
			return func() {
				_ = cmd.Process.Signal(syscall.SIGINT) // may have ended with the broker
				<-done
			}, nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	_ = cmd.Process.Kill()
	return nil, errors.New("strace cannot attach: is ptrace allowed?")
}

func (b *broker) traced() bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", b.pid()))
	for _, name := range tasks {
		text, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(text), "TracerPid:\t0\n") {
			return false
		}
	}
	return len(tasks) > 0
}

// activeSegment is the newest segment of a log.
func (b *broker) activeSegment(log string) string {
	names, _ := filepath.Glob(filepath.Join(b.dir, log, "*.log"))
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1]
}

// begun starts a broker with a topic that has 50 records in each of 2 partitions.
func begun(ctx context.Context, r *rig, dir string, args ...string) (*broker, *teller, error) {
	b, err := newBroker(r, dir, args...)
	if err != nil {
		return nil, nil, err
	}
	if err := b.start(); err != nil {
		return nil, nil, err
	}
	if err := createTopic(ctx, b.address, "t", 2, nil); err != nil {
		return nil, nil, err
	}
	t, err := newTeller(b.address)
	if err != nil {
		return nil, nil, err
	}
	r.later(t.close)
	for i := range 50 {
		for p := range int32(2) {
			if _, err := t.produce(ctx, "t", p, mark{0, uint64(i)}.value()); err != nil {
				return nil, nil, err
			}
		}
	}
	return b, t, nil
}

// holds checks that a partition has the records 0 to n-1 at these offsets, and perhaps more.
func (r *rig) holds(ctx context.Context, b *broker, partition int32, n int) bool {
	values, err := read(ctx, b.address, "t", partition, n)
	if err != nil {
		return r.check(false, "reading goes on: %v", err)
	}
	for i := range n {
		if m, ok := markOf(values[i]); !ok || m.sequence != uint64(i) {
			return r.check(false, "record %d of partition %d is not the one that was acknowledged", i, partition)
		}
	}
	return true
}

// eioRun has a sync fail, of a partition's log and then of the metadata's.
func eioRun(ctx context.Context, r *rig) error {
	b, t, err := begun(ctx, r, r.path("data"))
	if err != nil {
		return err
	}
	detach, err := b.inject(b.activeSegment("t-0"), "fdatasync,fsync", "error=EIO:when=3")
	if err != nil {
		return err
	}
	acked := 50
	var refused error
	for refused == nil && acked < 500 {
		if _, refused = t.produce(ctx, "t", 0, mark{0, uint64(acked)}.value()); refused == nil {
			acked++
		}
	}
	r.check(errors.Is(refused, kerr.KafkaStorageError), "fdatasync EIO after %d acks: the client is told %v", acked, refused)
	detach()
	late := 0
	for range 20 {
		if _, err := t.produce(ctx, "t", 0, []byte("late")); err == nil {
			late++
		}
	}
	r.check(late == 0, "acks after the failed sync, which succeeds again: %d", late)
	r.check(r.holds(ctx, b, 0, acked), "what was acknowledged is read")
	_, err = t.produce(ctx, "t", 1, mark{0, 50}.value())
	r.check(err == nil, "the other partition takes records: %v", err)
	stopped := b.terminate(10 * time.Second)
	r.check(stopped && b.exitCode() == 1 && !b.cleanMarker(), "SIGTERM then: code %d, no clean marker; last words: %s", b.exitCode(), b.lastLine())
	if err := b.start(); err != nil {
		return err
	}
	r.check(r.holds(ctx, b, 0, acked) && r.holds(ctx, b, 1, 51), "after a start all %d are there", acked)
	if t, err = newTeller(b.address); err != nil {
		return err
	}
	r.later(t.close)
	_, err = t.produce(ctx, "t", 0, []byte("again"))
	r.check(err == nil, "and writes are taken: %v", err)
	return r.metadataEIO(ctx, b, t)
}

// metadataEIO has the metadata's log fail: the process must end, and a start must find what was before.
func (r *rig) metadataEIO(ctx context.Context, b *broker, t *teller) error {
	detach, err := b.inject(b.activeSegment("__bobbin_metadata-0"), "fdatasync,fsync", "error=EIO:when=1+")
	if err != nil {
		return err
	}
	begun := time.Now()
	response, err := t.admin.CreateTopic(ctx, 1, 1, nil, "never")
	if err == nil {
		err = response.Err
	}
	ended := b.wait(5 * time.Second)
	took := time.Since(begun)
	detach()
	if !r.check(ended && took < time.Second, "metadata's fdatasync EIO: the process ended %v, %v later; the client was told: %v", ended, took.Round(time.Millisecond), err) {
		b.kill()
	}
	r.check(b.exitCode() == 1, "exit code %d: %s", b.exitCode(), b.lastLine())
	if err := b.start(); err != nil {
		return err
	}
	r.check(r.holds(ctx, b, 0, 50), "after a start the topic is there")
	r.check(b.terminate(10*time.Second) && b.exitCode() == 0, "clean stop")
	r.check(b.sane(), "no panic in the broker's log")
	return nil
}

// shortRun has writes fail in ways that pass, and in ways that do not.
func shortRun(ctx context.Context, r *rig) error {
	const writes = "pwrite64,pwritev,pwritev2"
	for _, f := range []struct {
		calls, fault string
		final        bool // the log is done for
	}{
		{writes, "error=ENOSPC:when=2..4", false},
		{writes, "error=EDQUOT:when=2..4", false},
		{writes, "error=EINTR:when=2..4", false},
		{writes, "retval=0:when=2..4", true},
		{writes, "error=EIO:when=2", true},
		{"sendfile,pread64,preadv", "error=EIO:when=1+", false},
	} {
		b, t, err := begun(ctx, r, r.path("data", strings.NewReplacer(":", "", "=", "", ".", "", ",", "").Replace(f.calls[:5]+f.fault)))
		if err != nil {
			return err
		}
		detach, err := b.inject(b.activeSegment("t-0"), f.calls, f.fault)
		if err != nil {
			return err
		}
		acked, refused := 50, 0
		var last error
		if f.calls != writes {
			_, last = read(ctx, b.address, "t", 0, 50)
			r.check(last != nil, "%s %s: the reader is told %v", f.calls, f.fault, last)
			last = nil
		}
		for range 30 {
			if _, err := t.produce(ctx, "t", 0, mark{0, uint64(acked)}.value()); err != nil {
				refused, last = refused+1, err
			} else {
				acked++
			}
		}
		detach()
		_, after := t.produce(ctx, "t", 0, mark{0, uint64(acked)}.value())
		if after == nil {
			acked++
		}
		r.check((after != nil) == f.final && (last == nil || errors.Is(last, kerr.KafkaStorageError)),
			"%s %s: %d acked, %d refused with %v; afterwards: %v", f.calls, f.fault, acked, refused, last, after)
		r.holds(ctx, b, 0, acked)
		b.kill()
		if err := b.start(); err != nil {
			return err
		}
		r.check(r.holds(ctx, b, 0, acked), "after kill -9 and a start all %d are there", acked)
		r.check(b.terminate(10*time.Second) && b.exitCode() == 0, "clean stop")
		out, ok := b.verify()
		r.check(ok, "log verify: %s", out)
		r.check(b.sane(), "no panic in the broker's log")
	}
	return nil
}
