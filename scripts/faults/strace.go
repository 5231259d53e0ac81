package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// inject has system calls on one file fail, until the returned function is called; those on any file if none is named.
func (b *broker) inject(file, calls, fault string) (func(), error) {
	args := []string{"-f", "-q", "-o", b.rig.path("strace.log"), "-p", fmt.Sprint(b.pid()), "-e", "trace=" + calls, "-e", "inject=" + calls + ":" + fault}
	if file != "" {
		args = append(args, "-P", file)
	}
	cmd := child("strace", args...)
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

// injected reports whether a system call has failed as it was told to.
func (b *broker) injected() bool {
	text, err := os.ReadFile(b.rig.path("strace.log"))
	return err == nil && strings.Contains(string(text), "(INJECTED)")
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
func (b *broker) activeSegment(log string) string { return b.newest(filepath.Join(log, "*.log")) }

// ackedIn is the file whose syncs acknowledge what is appended to a log: its newest segment, or the journal.
func (b *broker) ackedIn(log string) string {
	if b.rig.policy().Journal {
		return b.newest("journal/*.journal")
	}
	return b.activeSegment(log)
}

// newest is the last of the files with such names. There is one: the broker has written.
func (b *broker) newest(pattern string) string {
	names, _ := filepath.Glob(filepath.Join(b.dir, pattern))
	return append([]string{"no file " + pattern}, names...)[len(names)]
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

// eioRun has a sync fail, of a partition's log and then of the metadata's. A journal's failure is that of all its logs.
func eioRun(ctx context.Context, r *rig) error {
	b, t, err := begun(ctx, r, r.path("data"))
	if err != nil {
		return err
	}
	calls := "fdatasync,fsync"
	if r.policy().Hardens {
		calls = "pwritev2" // is durable when it returns
	}
	detach, err := b.inject(b.ackedIn("t-0"), calls, "error=EIO:when=3")
	if err != nil {
		return err
	}
	acked := 50
	var refused error
	for refused == nil && acked < 500 {
		if _, refused = t.produce(ctx, "t", 0, mark{0, uint64(acked)}.value()); refused != nil {
			break
		}
		acked++
		if b.injected() {
			r.check(false, "record %d is acknowledged, and its sync has failed", acked)
			break
		}
	}
	r.check(errors.Is(refused, kerr.KafkaStorageError), "%s EIO after %d acks: the client is told %v", calls, acked, refused)
	detach()
	late := 0
	for range 20 {
		if _, err := t.produce(ctx, "t", 0, []byte("late")); err == nil {
			late++
		}
	}
	r.check(late == 0, "acks after the failed sync, which succeeds again: %d", late)
	r.check(r.holds(ctx, b, 0, acked), "what was acknowledged is read")
	other := 50
	if _, err = t.produce(ctx, "t", 1, mark{0, 50}.value()); err == nil {
		other++
	}
	r.check((err == nil) != r.policy().Journal, "the other partition is told %v", err)
	stopped := b.terminate(10 * time.Second)
	r.check(stopped && b.exitCode() == 1 && !b.cleanMarker(), "SIGTERM then: code %d, no clean marker; last words: %s", b.exitCode(), b.lastLine())
	if err := b.start(); err != nil {
		return err
	}
	r.check(r.holds(ctx, b, 0, acked) && r.holds(ctx, b, 1, other), "after a start all %d and %d are there", acked, other)
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

// shortRun has writes fail in ways that pass, and in ways that do not. A design that writes behind has taken an append
// already when it hears that the room which was reserved is not there, and what it has read it keeps in memory.
func shortRun(ctx context.Context, r *rig) error {
	const writes = "pwrite64,pwritev,pwritev2"
	for _, f := range []struct {
		calls, fault string
		final        bool // the log is done for
	}{
		{writes, "error=ENOSPC:when=2..4", r.behind()},
		{writes, "error=EDQUOT:when=2..4", r.behind()},
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
			r.check(last != nil || r.behind(), "%s %s: the reader is told %v", f.calls, f.fault, last)
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
