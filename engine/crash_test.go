package engine_test

import (
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// time0 is near the timestamps of the tests' records: nothing has expired.
var time0 = time.UnixMilli(1000)

// crashScript is something that a log does, to be cut off after every operation
// on the file system.
type crashScript struct {
	name string
	// before leads to where it begins; the store is then closed or killed.
	before func(h *history) error
	killed bool
	run    func(h *history) error
	// goOn lets the log go on after each crash, not after every fourth: what is
	// wrong with it shows later.
	goOn bool
}

// steps runs one after the other until one fails.
func steps(all ...func() error) error {
	for _, f := range all {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func crashScripts() []crashScript {
	filled := func(sizes ...int) func(h *history) error {
		return func(h *history) error {
			return steps(h.create, func() error { return h.append(sizes...) })
		}
	}
	// About four segments, checkpointed.
	long := func(h *history) error {
		err := filled(5, 5, 3, 1, 2, 5, 5, 5, 4, 4, 2, 5, 5, 3, 2, 5, 5, 5, 5, 5)(h)
		return errors.Join(err, h.tick())
	}
	// Two epochs in about three segments, checkpointed.
	twoEpochs := func(h *history) error {
		return steps(func() error { return filled(5, 5, 5, 5, 2)(h) }, func() error { h.epoch = 3; return h.append(2, 5, 5, 5, 5) }, h.tick)
	}
	return []crashScript{
		{name: "create", before: func(*history) error { return nil }, run: filled(1, 3)},
		{name: "append", before: filled(2), run: func(h *history) error {
			h.epoch++
			return h.append(1, 2, 3)
		}},
		{name: "roll", before: filled(5, 5, 5, 5), killed: true, run: func(h *history) error {
			return steps(func() error { return h.append(5, 5) }, func() error { h.epoch++; return h.append(5, 5, 5, 5) })
		}},
		{name: "truncate", goOn: true, before: long, killed: true, run: func(h *history) error {
			end := h.log.Marks().End
			return steps(func() error { return h.truncate(end - 3) }, func() error { h.epoch++; return h.append(4, 1) },
				func() error { return h.truncate(end - 50) }, func() error { h.epoch++; return h.append(5, 3) })
		}},
		{name: "truncate an epoch", before: twoEpochs, run: func(h *history) error {
			return steps(func() error { return h.truncate(22) }, func() error { h.epoch = 1; return h.append(4, 5, 5) })
		}},
		{name: "reset", before: long, run: func(h *history) error {
			return steps(func() error { return h.reset(500) }, func() error { return h.append(2, 2) },
				func() error { return h.reset(20) }, func() error { return h.append(3) })
		}},
		{name: "trim", before: long, killed: true, run: func(h *history) error {
			return steps(func() error { return h.trim(30) }, h.tick, func() error { return h.append(3) },
				func() error { return h.trim(h.log.Marks().End) }, h.tick, func() error { return h.append(2) })
		}},
		{name: "truncate without a checkpoint", before: filled(slices.Repeat([]int{5}, 60)...), killed: true, run: func(h *history) error {
			return steps(func() error { return h.truncate(20) }, func() error { return h.append(2) })
		}},
		{name: "trim an epoch", before: twoEpochs, run: func(h *history) error {
			return steps(func() error { return h.trim(30) }, h.tick)
		}},
		{name: "trim without a checkpoint", before: filled(slices.Repeat([]int{5}, 60)...), killed: true, run: func(h *history) error {
			return h.trim(h.log.Marks().End - 10)
		}},
		{name: "retention", before: long, run: func(h *history) error {
			return steps(func() error { return h.append(5, 5, 5, 5, 5, 5) }, h.tick, func() error { return h.append(5, 5, 5, 5, 5, 5) }, h.tick)
		}},
		{name: "checkpoint", before: filled(3, 3), killed: true, run: func(h *history) error {
			return steps(func() error { return h.append(2) }, h.tick, func() error { h.epoch++; return h.append(5, 1) }, h.tick)
		}},
		{name: "close", before: long, run: func(h *history) error {
			return steps(func() error { return h.append(2, 3) }, h.close)
		}},
		{name: "rest", goOn: true, before: long, run: func(h *history) error {
			return steps(func() error { return h.append(2, 3) }, h.rest, func() error { return h.append(1) }, h.tick,
				func() error { return h.trim(30) }, h.rest, func() error { return h.truncate(h.log.Marks().End - 7) }, h.rest,
				func() error { h.epoch++; return h.append(5, 5, 5) }, h.rest)
		}},
		{name: "recover", before: long, killed: true, run: func(*history) error { return nil }},
		{name: "delete", goOn: true, before: long, run: func(h *history) error {
			return steps(h.delete, h.create, func() error { return h.append(2, 1) })
		}},
	}
}

var (
	crashEvery = flag.Bool("crash.every", false, "leave out no operation of any combination of designs: minutes for each")
	crashSeed  = flag.Uint64("crash.seed", 1, "chooses what the crash tests leave out; a search gives a new one to each run, say $RANDOM")
)

// thinning says how much of the crash tests is done with one combination of
// designs. The default is cut off after every operation. Whatever is near it,
// which is every design of every family once, and how two designs other than the
// default get on with each other, is sampled; -crash.every leaves nothing out.
//
// What is left out is the same in every run, until -crash.seed says otherwise: who
// changes something else should not meet by chance what nobody has met before.
// scripts/crash.sh goes looking for that.
type thinning struct {
	oneIn int // of the scripts, at random
	step  int // crash after every step-th operation, from a random one on
	seeds int // of a crash during recovery
}

func thin(d engine.Design) thinning {
	th := thinning{oneIn: 1, step: 1, seeds: 4}
	switch near := foreignness(d) <= 1; {
	case *crashEvery:
		return th
	case !near:
		th = thinning{oneIn: 3, step: 37, seeds: 1}
	case !ackDurable(d):
		th.step = 7 // these promise less, and are like each other
	case d != engine.DefaultDesign:
		th.step = 3
	}
	if testing.Short() {
		th = thinning{oneIn: 5 * th.oneIn, step: 3 * th.step, seeds: 1}
	}
	return th
}

// foreignness is in how many families a design differs from the default.
func foreignness(d engine.Design) (n int) {
	for _, other := range []bool{d.Segment != engine.DefaultDesign.Segment, d.Index != engine.DefaultDesign.Index, d.Sync != engine.DefaultDesign.Sync} {
		if other {
			n++
		}
	}
	return n
}

// chosen is the randomness of one test. If it fails, it says how to repeat it.
func chosen(t *testing.T) *rand.Rand {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("go test -run '^%s$' -crash.seed %d repeats this", t.Name(), *crashSeed)
		}
	})
	return seeded(t.Name())
}

// seeded is the randomness of something that has this name.
func seeded(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return rand.New(rand.NewPCG(*crashSeed, h.Sum64()))
}

// crashConfigs are the logs that are crashed: of every durable design, and of the
// default one also with room reserved ahead.
func crashConfigs() []engine.Config {
	reserved := crashConfig(engine.DefaultDesign)
	reserved.Preallocate = true
	all := []engine.Config{reserved}
	for _, d := range designs() {
		if durable(d) {
			all = append(all, crashConfig(d))
		}
	}
	return all
}

func crashConfig(d engine.Design) engine.Config {
	c := smallConfig(d)
	c.FlushRecords = 6
	c.RetentionBytes = 5000
	return c
}

func configName(c engine.Config) string {
	if c.Preallocate {
		return fmt.Sprintf("design=%s,preallocated", c.Design)
	}
	return fmt.Sprintf("design=%s", c.Design)
}

// Wherever a crash comes, and whatever of the unsynced it takes: what was
// acknowledged is there, an offset never has two values, and the log can be used.
func TestCrashAfterEveryOperation(t *testing.T) {
	for _, c := range crashConfigs() {
		rng := seeded(configName(c))
		for _, s := range crashScripts() {
			if rng.IntN(thin(c.Design).oneIn) > 0 {
				continue
			}
			t.Run(configName(c)+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				before, disk := s.begin(t, c)
				step := thin(c.Design).step
				for _, before.openSegments = range []int{0, 1} {
					for n := chosen(t).IntN(step); ; n += step {
						h := before.fork()
						states, ended := s.crash(t, h, disk.Kill(), n)
						for _, st := range states {
							h.fork().survive(st, s.goOn || n%4 == 0)
						}
						if t.Failed() {
							t.Fatalf("crashed after %d operations with %d open segments", n, before.openSegments)
						}
						if ended {
							break
						}
					}
				}
			})
		}
	}
}

// begin leads to where the script starts.
func (s crashScript) begin(t *testing.T, c engine.Config) (*history, *vfs.Mem) {
	t.Helper()
	h, mem := newHistory(t, c), vfs.NewMem()
	if err := errors.Join(h.open(mem), s.before(h)); err != nil {
		t.Fatal(err)
	}
	killed := mem.Kill()
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	if !s.killed {
		return h, mem
	}
	return h, killed
}

// diskState is what a crash left.
type diskState struct {
	name      string
	fs        *vfs.Mem
	lostPower bool
}

// crash runs the script until n changing operations have passed, and returns the
// disks that may be found then. ended says that the script came to its end.
func (s crashScript) crash(t *testing.T, h *history, mem *vfs.Mem, n int) (states []diskState, ended bool) {
	t.Helper()
	stop := vfs.StopAfter(n)
	err := h.open(vfs.NewInject(mem, changesUntil(stop)))
	if err == nil {
		err = s.run(h)
	}
	ended = !stop.Stopped()
	if ended && err != nil {
		t.Fatal(err)
	}
	states = crashStates(mem, uint64(n))
	if h.store != nil {
		_ = h.store.Close() // only ends its goroutines
	}
	return states, ended
}

// changesUntil refuses changes after the stop, and lets reads pass: what was done
// when a worker, or another log, met the stop is still looked at.
func changesUntil(stop *vfs.Stop) func(vfs.Op) error {
	return func(op vfs.Op) error {
		if !op.Kind.Changes() {
			return nil
		}
		return stop.Before(op)
	}
}

func crashStates(mem *vfs.Mem, seed uint64) []diskState {
	return []diskState{
		{"keep=0", mem.Crash(nil, 0), true},
		{"keep=50", mem.Crash(rand.New(rand.NewPCG(seed, 1)), 50), true},
		{"keep=80", mem.Crash(rand.New(rand.NewPCG(seed, 2)), 80), true},
		{"keep=100", mem.Crash(nil, 100), true},
		{"kill", mem.Kill(), false},
	}
}

// survive opens what a crash left, and judges it: at once, and after a loss of
// power right behind the recovery; if the log is to go on, also after some more
// appends and another loss of power, and after a clean stop.
func (h *history) survive(st diskState, goOn bool) {
	h.t.Helper()
	if !h.reopen(st.name, st.fs, st.lostPower) {
		return
	}
	disk := st.fs.Crash(nil, 0)
	_ = h.store.Close()
	// What was recovered was served, and is as good as acknowledged: no matter
	// which policy.
	if !h.reopen(st.name+", then keep=0", disk, false) {
		return
	}
	if !goOn {
		_ = h.store.Close()
		return
	}
	if h.epoch = max(h.epoch, h.epochOf()); h.log == nil && h.create() != nil {
		h.t.Errorf("%s: a log that was never acknowledged cannot be made again", st.name)
		return
	}
	if err := h.append(3, 5, 1, 5, 5); err != nil {
		h.t.Errorf("%s: append after recovery: %v", st.name, err)
		return
	}
	next := disk.Crash(rand.New(rand.NewPCG(3, 4)), 50)
	_ = h.store.Close()
	if !h.reopen(st.name+", appends, then keep=50", next, true) {
		return
	}
	if err := h.close(); err != nil {
		h.t.Errorf("%s: close after recovery: %v", st.name, err)
		return
	}
	if h.reopen(st.name+", then a clean stop", next, false) {
		if !h.store.Clean() {
			h.t.Errorf("%s: a clean stop was not recognised", st.name)
		}
		_ = h.close()
	}
}

func (h *history) epochOf() int32 {
	if h.log == nil {
		return 0
	}
	return h.log.Epoch()
}

func (h *history) reopen(name string, fs vfs.FS, lostPower bool) bool {
	h.t.Helper()
	closing := h.closing
	if lostPower && !ackDurable(h.config.Design) {
		// Any file may be gone, also the oldest.
		clear(h.sure)
		h.exists, h.startHigh = false, 1<<40
	}
	if err := h.open(fs); err != nil {
		h.t.Errorf("%s: open: %v", name, err)
		return false
	}
	h.closing = closing
	h.judge()
	h.closing = false
	if h.t.Failed() {
		h.t.Logf("that was %s", name)
		_ = h.store.Close()
	}
	return !h.t.Failed()
}

// A crash while a crash is being recovered from, three deep.
func TestCrashDuringRecovery(t *testing.T) {
	for _, c := range crashConfigs() {
		t.Run(configName(c), func(t *testing.T) {
			t.Parallel()
			rng := chosen(t)
			for _, s := range crashScripts() {
				if rng.IntN(thin(c.Design).oneIn) > 0 {
					continue
				}
				before, disk := s.begin(t, c)
				for range thin(c.Design).seeds {
					h, mem := before.fork(), disk.Kill()
					h.crashDuring(vfs.StopAfter(rng.IntN(80)), mem, s.run)
					for range 3 {
						mem = h.powerLoss(mem, rng)
						h.crashDuring(vfs.StopAfter(rng.IntN(25)), mem, func(*history) error { return nil })
					}
					h.survive(diskState{"the last of four crashes", h.powerLoss(mem, rng), true}, true)
					if t.Failed() {
						t.Fatalf("script %s", s.name)
					}
				}
			}
		})
	}
}

// crashDuring opens the log and runs something until stop stops it. A recovery
// that came to its end has shown to readers what it found.
func (h *history) crashDuring(stop *vfs.Stop, mem *vfs.Mem, run func(*history) error) {
	h.t.Helper()
	var judging atomic.Bool
	closing := h.closing
	err := h.open(vfs.NewInject(mem, func(op vfs.Op) error {
		if judging.Load() {
			return nil
		}
		return changesUntil(stop)(op)
	}))
	if err == nil {
		judging.Store(true)
		h.closing = closing
		h.judge()
		h.closing = false
		judging.Store(false)
		err = run(h)
	}
	if err != nil && !stop.Stopped() {
		h.t.Error(err)
	}
}

// powerLoss returns what is left of the disk, and ends what ran on it.
func (h *history) powerLoss(mem *vfs.Mem, rng *rand.Rand) *vfs.Mem {
	if !ackDurable(h.config.Design) {
		clear(h.sure)
		h.exists, h.startHigh = false, 1<<40
	}
	left := mem.Crash(rng, rng.IntN(101))
	if h.store != nil {
		_ = h.store.Close()
	}
	return left
}
