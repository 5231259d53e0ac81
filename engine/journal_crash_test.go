package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// neighbours are two logs of one store, with what each was promised.
type neighbours struct{ a, b *history }

func newNeighbours(t testing.TB) *neighbours {
	d := engine.DefaultDesign
	d.Sync = "journal"
	n := &neighbours{newHistory(t, crashConfig(d)), newHistory(t, crashConfig(d))}
	n.b.name, n.b.producer, n.b.texts = "u-0", 1007, 1_000_000
	return n
}

func (n *neighbours) fork() *neighbours { return &neighbours{n.a.fork(), n.b.fork()} }

func (n *neighbours) open(fs vfs.FS) error {
	n.b.log, n.b.closing = nil, false
	err := n.a.open(fs)
	if n.b.store = n.a.store; err != nil {
		return err
	}
	return n.b.openLog()
}

// create makes the logs that are not there.
func (n *neighbours) create() error {
	for _, h := range []*history{n.a, n.b} {
		if h.log == nil {
			if err := h.create(); err != nil {
				return err
			}
		}
		h.epoch = max(h.epoch, h.epochOf())
	}
	return nil
}

// append adds to both at once, so that groups overlap.
func (n *neighbours) append(times int) error {
	var wg sync.WaitGroup
	var errs [2]error
	for i, h := range []*history{n.a, n.b} {
		wg.Go(func() {
			for k := range times {
				if errs[i] = h.append(1 + (k+2*i)%5); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

// run does everything that meets in the journal, and fills it several times.
func (n *neighbours) run() error {
	return steps(n.create,
		func() error { return n.append(5) },
		func() error { return n.a.truncate(n.a.log.Marks().End - 4) },
		func() error { n.a.epoch++; return n.append(3) },
		n.b.delete, n.create,
		func() error { return n.append(20) },
		func() error { return n.b.reset(500) },
		func() error { return n.append(2) },
		func() error { return n.a.truncate(3) },
		func() error { n.a.epoch++; return n.append(2) },
		n.tick,
		// What only the journal has of one log must outlive its files' next use for
		// the other.
		func() error { return n.b.append(2) },
		func() error { return n.a.append(slices.Repeat([]int{1}, 70)...) },
		func() error { return n.append(12) },
	)
}

func (n *neighbours) tick() error {
	n.b.startHigh = max(n.b.startHigh, n.b.log.Marks().End)
	if err := n.a.tick(); err != nil {
		return err
	}
	n.b.forget(n.b.log.Marks().Start)
	return nil
}

func (n *neighbours) judge(what string) bool {
	n.a.judge()
	n.b.judge()
	if n.a.t.Failed() {
		n.a.t.Logf("that was %s", what)
		_ = n.a.store.Close()
	}
	return !n.a.t.Failed()
}

func (n *neighbours) reopen(what string, fs vfs.FS) bool {
	if err := n.open(fs); err != nil {
		n.a.t.Errorf("%s: open: %v", what, err)
		_ = n.a.store.Close()
		return false
	}
	return n.judge(what)
}

func (n *neighbours) survive(st diskState) {
	if !n.reopen(st.name, st.fs) {
		return
	}
	disk := st.fs.Crash(nil, 0)
	_ = n.a.store.Close()
	if !n.reopen(st.name+", then keep=0", disk) {
		return
	}
	if err := errors.Join(n.create(), n.append(6)); err != nil {
		n.a.t.Errorf("%s: append after recovery: %v", st.name, err)
		return
	}
	next := disk.Crash(rand.New(rand.NewPCG(3, 4)), 50)
	_ = n.a.store.Close()
	if !n.reopen(st.name+", appends, then keep=50", next) {
		return
	}
	n.a.closing, n.b.closing = true, true
	if err := n.a.store.Close(); err != nil {
		n.a.t.Errorf("%s: close after recovery: %v", st.name, err)
		return
	}
	if _, err := next.ReadDir("/data/journal"); err == nil {
		n.a.t.Errorf("%s: a clean stop leaves a journal", st.name)
	}
}

// Two logs in one journal whose files are used again and again: wherever a crash
// comes, each has what was acknowledged, and nothing that was cut off.
func TestJournalCrashAfterEveryOperation(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 23
	}
	for n := chosen(t).IntN(step); ; n += step {
		pair, mem := newNeighbours(t), vfs.NewMem()
		stop := vfs.StopAfter(n)
		err := pair.open(vfs.NewInject(mem, changesUntil(stop)))
		if err == nil {
			err = pair.run()
		}
		ended := !stop.Stopped()
		if ended && err != nil {
			t.Fatal(err)
		}
		states := crashStates(mem, uint64(n))
		if pair.a.store != nil {
			_ = pair.a.store.Close() // only ends its goroutines
		}
		for _, st := range states {
			pair.fork().survive(st)
		}
		if t.Failed() {
			t.Fatalf("crashed after %d operations", n)
		}
		if ended {
			break
		}
	}
}

// A crash while the journal is replayed, three deep, and more appends in between.
func TestJournalCrashDuringReplay(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 8
	}
	rng := chosen(t)
	for range seeds {
		pair, mem := newNeighbours(t), vfs.NewMem()
		crash := func(most int, run func() error) {
			stop := vfs.StopAfter(rng.IntN(most))
			err := pair.open(vfs.NewInject(mem, changesUntil(stop)))
			if err == nil {
				err = run()
			}
			if err != nil && !stop.Stopped() {
				t.Fatal(err)
			}
			left := mem.Kill()
			if rng.IntN(2) == 0 {
				left = mem.Crash(rng, rng.IntN(101))
			}
			if pair.a.store != nil {
				_ = pair.a.store.Close()
			}
			mem = left
		}
		crash(400, pair.run)
		for range 3 {
			crash(40, func() error {
				return steps(pair.create, func() error { pair.a.resume(); pair.b.resume(); return nil }, func() error { return pair.append(3) })
			})
		}
		pair.survive(diskState{fmt.Sprintf("seed %d", *crashSeed), mem, true})
		if t.Failed() {
			return
		}
	}
}
