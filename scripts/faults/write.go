package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

const (
	// writeCalls write or sync what is in a file.
	writeCalls = "pwrite64,pwritev,pwritev2,fsync,fdatasync,io_uring_enter"
	// changeCalls change anything on a disk.
	changeCalls = writeCalls + ",fallocate,ftruncate,mkdirat,renameat,unlinkat"
)

// writeRun kills the broker in the K-th system call, K from 1 to 200: in turns one that writes or syncs the file which
// makes appends durable, and one that changes anything on the disk, while small segments roll and topics come and go.
func writeRun(ctx context.Context, r *rig) error {
	b, t, err := begun(ctx, r, r.path("data"), "--override", "log.retention.check.interval.ms=200")
	if err != nil {
		return err
	}
	w := &writes{r: r, b: b, t: t, acked: 50, topics: map[string]bool{}}
	if err := w.rollOften(ctx); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(r.seed, 4))
	for end := time.Now().Add(r.duration); w.kills < r.rounds && time.Now().Before(end) && ctx.Err() == nil; w.kills++ {
		file, calls, k := b.ackedIn("t-0"), writeCalls, 1+random.IntN(200)
		if w.kills%2 == 1 {
			file, calls = "", changeCalls
		}
		if err := w.round(ctx, file, calls, k); err != nil {
			return fmt.Errorf("kill %d, in call %d: %w", w.kills+1, k, err)
		}
	}
	r.check(r.holds(ctx, b, 0, w.acked), "%d kills in the midst of a call: all %d are there; %d more than were acknowledged", w.kills, w.acked-w.survived, w.survived)
	r.check(b.terminate(10*time.Second) && b.exitCode() == 0, "clean stop")
	out, ok := b.verify()
	r.check(ok, "log verify: %s", out)
	r.check(b.sane(), "no panic in the broker's log")
	return nil
}

// writes is what was done to a broker, and what it said.
type writes struct {
	r               *rig
	b               *broker
	t               *teller
	kills           int
	acked, survived int             // records; survived: written, and killed before the answer
	made            int             // topics, ever
	topics          map[string]bool // that there must be, false: that must be gone; not those of which nothing was said
}

func (w *writes) rollOften(ctx context.Context) error {
	_, err := w.t.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "internal.segment.bytes", Value: text("4000")}}, "t")
	return err
}

// round kills once and looks at what is left.
func (w *writes) round(ctx context.Context, file, calls string, k int) error {
	detach, err := w.b.inject(file, calls, fmt.Sprintf("signal=KILL:when=%d", k))
	if err != nil {
		return err
	}
	for n := 0; err == nil; n++ {
		if file != "" && n == k+300 { // it has rolled, and writes to another one
			w.b.kill()
		}
		if _, err = w.t.produce(ctx, "t", 0, mark{0, uint64(w.acked)}.value()); err == nil {
			w.acked++
		}
		if err == nil && file == "" && n%3 == 0 {
			err = w.topic(ctx)
		}
	}
	if !w.b.wait(5 * time.Second) {
		return fmt.Errorf("the broker lives on: %w", err)
	}
	detach()
	if out, ok := w.b.verify(); !ok {
		w.r.check(false, "log verify after kill %d: %s", w.kills+1, out)
	}
	if err := w.b.start(); err != nil {
		return err
	}
	return w.look(ctx)
}

// topic makes one, and deletes another one.
func (w *writes) topic(ctx context.Context) error {
	name := func(n int) string { return fmt.Sprintf("made-%d", n) }
	w.made++
	response, err := w.t.admin.CreateTopic(ctx, 2, 1, nil, name(w.made))
	if err == nil {
		err = response.Err
	}
	if err != nil {
		return err
	}
	w.topics[name(w.made)] = true
	gone := name(w.made - 3)
	if !w.topics[gone] {
		return nil
	}
	delete(w.topics, gone)
	if _, err = w.t.admin.DeleteTopic(ctx, gone); err == nil {
		w.topics[gone] = false
	}
	return err
}

// look compares what there is after a start with what the broker had said.
func (w *writes) look(ctx context.Context) error {
	t, err := newTeller(w.b.address)
	if err != nil {
		return err
	}
	w.t.close()
	w.t = t
	ends, err := t.admin.ListEndOffsets(ctx, "t")
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return err
	}
	last, _ := ends.Lookup("t", 0)
	if last.Offset < int64(w.acked) || last.Offset > int64(w.acked)+1 {
		return fmt.Errorf("the log ends at %d, acknowledged were %d", last.Offset, w.acked)
	}
	w.survived += int(last.Offset) - w.acked
	w.acked = int(last.Offset)
	there, err := t.admin.ListTopics(ctx)
	for name, want := range w.topics {
		if there.Has(name) != want {
			err = errors.Join(err, fmt.Errorf("topic %s is there: %v, and the client was told otherwise", name, there.Has(name)))
		}
	}
	for _, d := range there {
		if want := 2; len(d.Partitions) != want {
			err = errors.Join(err, fmt.Errorf("topic %s has %d partitions of %d", d.Topic, len(d.Partitions), want))
		}
	}
	return err
}
