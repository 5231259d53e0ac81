package engine_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

func (x *transactions) undecided(what string, want int64) {
	x.t.Helper()
	if m := x.log.Marks(); m.Undecided != want {
		x.t.Errorf("%s: the first undecided offset is %d, want %d of %+v", what, m.Undecided, want, m)
	}
}

// aborts checks the transactions that the log knows to be aborted.
func (x *transactions) aborts(what string, want ...engine.Aborted) {
	x.t.Helper()
	if got := x.log.Aborted(0, x.log.Marks().End); !slices.Equal(got, want) {
		x.t.Errorf("%s: aborted are %+v, want %+v", what, got, want)
	}
}

// What is open is known at every offset, and after every kind of start.
func TestUndecided(t *testing.T) {
	for _, restart := range []string{"none", "clean", "killed", "power loss", "checkpoint and kill", "without snapshots"} {
		t.Run(restart, func(t *testing.T) {
			mem := vfs.NewMem()
			x := newTransactions(t, mem)
			step := func(what string, want int64) {
				t.Helper()
				x.undecided(what, want)
				mem = x.stop(restart, mem)
				x.undecided(what+", restarted", want)
			}
			mustAppend(t, x.log, records(10, "before", 1)) // 0 to 9
			step("no transaction", 10)
			x.data(1, "a") // 10
			step("one is open", 10)
			x.data(2, "b") // 11
			x.roll()
			step("two are", 10)
			x.end(1, batch.Commit)
			step("one has ended", 11)
			x.data(1, "c")
			abort := x.end(2, batch.Abort)
			step("the other one has, and a third began", abort-1)
			x.end(1, batch.Commit)
			step("all have", x.log.Marks().End)
			x.data(3, "d")
			open := x.log.Marks().End - 1
			x.bump(3) // a coordinator that fences a producer aborts under its next epoch
			x.roll()
			step("before a marker under the next epoch", open)
			x.end(3, batch.Abort)
			step("after it", x.log.Marks().End)
			closeStore(t, x.store, x.log)
		})
	}
}

// stop ends a run in one of the ways, starts the next, and returns its disk.
func (x *transactions) stop(how string, mem *vfs.Mem) *vfs.Mem {
	x.t.Helper()
	if how == "none" {
		return mem
	}
	if how == "checkpoint and kill" {
		if err := x.store.Checkpoint(); err != nil {
			x.t.Fatal(err)
		}
	}
	left := mem.Kill()
	if how == "power loss" {
		left = mem.Crash(rand.New(rand.NewPCG(1, 2)), 50)
	}
	closeStore(x.t, x.store, x.log)
	if how == "clean" || how == "without snapshots" {
		left = mem
	}
	if how == "without snapshots" {
		removeSnapshots(x.t, left)
	}
	x.restart(left)
	return left
}

func removeSnapshots(t testing.TB, fs *vfs.Mem) {
	t.Helper()
	for _, name := range listing(t, fs) {
		if strings.HasSuffix(name, ".snapshot") {
			if err := fs.Remove("/data/t-0/" + name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A transaction that is open keeps its producer from being forgotten, and what
// takes its records away ends it.
func TestUndecidedStays(t *testing.T) {
	x := newTransactions(t, vfs.NewMem())
	mustAppend(t, x.log, records(5, "before", 1))
	x.data(1, "a") // 5
	x.roll()
	x.clock.add(1000 * time.Hour)
	x.store.Tick(x.clock.now())
	x.undecided("after the producer's time", 5)
	if err := x.log.Trim(7); err != nil {
		t.Fatal(err)
	}
	x.undecided("trimmed", 7)
	end := x.end(1, batch.Commit)
	x.undecided("committed", end+1)
	if err := x.log.Truncate(end); err != nil {
		t.Fatal(err)
	}
	x.undecided("without its marker", 7)
	if err := x.log.Reset(3); err != nil {
		t.Fatal(err)
	}
	x.undecided("reset", 3)
	closeStore(t, x.store, x.log)
}

// What a crash took of the index of aborted transactions, and what is damaged, is
// made anew when the log is opened.
func TestAbortedRebuilt(t *testing.T) {
	mem := vfs.NewMem()
	x := newTransactions(t, mem)
	x.data(1, "a")                  // 0
	x.data(2, "b")                  // 1
	first := x.end(1, batch.Abort)  // 2
	x.roll()                        // its index is another file
	x.data(1, "c")                  // of the second segment
	of1 := x.log.Marks().End - 1    //
	second := x.end(2, batch.Abort) //
	third := x.end(1, batch.Abort)  //
	x.data(1, "d")                  //
	x.end(1, batch.Commit)          //
	want := []engine.Aborted{{1, 0, first}, {2, 1, second}, {1, of1, third}}
	killed := mem.Kill()
	closeStore(t, x.store, x.log)
	bases := x.log.Segments()
	x.restart(killed)
	x.aborts("after a kill, without any index", want...)
	if changed, err := x.log.RebuildAborted(0); changed != 0 || err != nil {
		t.Errorf("%d indexes are wrong that were just made, %v", changed, err)
	}
	closeStore(t, x.store, x.log)
	for _, damage := range []struct {
		name string
		of   func([]byte) []byte
	}{
		{"half an entry", func(b []byte) []byte { return b[:len(b)-5] }},
		{"another version", func(b []byte) []byte { b[1] = 7; return b }},
		{"nothing but a byte", func([]byte) []byte { return []byte{1} }},
	} {
		for _, s := range bases[:2] {
			name := fmt.Sprintf("/data/t-0/%020d.txnindex", s.Base)
			raw, err := vfs.ReadFile(killed, name, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if err := vfs.WriteFile(killed, name, damage.of(slices.Clone(raw))); err != nil {
				t.Fatal(err)
			}
			x.restart(killed)
			x.aborts(damage.name, want...)
			closeStore(t, x.store, x.log)
			if again, err := vfs.ReadFile(killed, name, 1<<20); err != nil || !slices.Equal(again, raw) {
				t.Errorf("%s: %s is %x, want %x: %v", damage.name, name, again, raw, err)
			}
		}
	}
	// Entries that are whole and wrong are found by who holds them against the log.
	writeAbortedIndex(t, killed, [4]int64{1, 0, first, 1}, [4]int64{9, 0, first, 1})
	x.restart(killed)
	if changed, err := x.log.RebuildAborted(0); changed != 1 || err != nil {
		t.Errorf("%d indexes were wrong, want 1: %v", changed, err)
	}
	x.aborts("with a wrong entry", want...)
	closeStore(t, x.store, x.log)
}

// A producer of which the log knows nothing but a marker, since its epoch grew with
// it, is still known after compaction: an older epoch is refused.
func TestCompactKeepsEpochs(t *testing.T) {
	mem := vfs.NewMem()
	x := newTransactions(t, mem)
	x.data(1, "a") // 0
	x.bump(1)
	x.end(1, batch.Commit) // 1
	x.data(2, "a")         // 2
	x.end(2, batch.Commit) // 3
	for range 2 {          // the data goes, and the marker gets its time
		x.roll()
		x.clean()
	}
	x.clock.add(time.Hour)
	x.roll()
	x.want("an hour later", x.clean(), "a@2 commit(2)@3 ")
	old := batch.Of(batch.Record{Timestamp: 1, Key: []byte("a")})
	old.ProducerID, old.ProducerEpoch, old.BaseSequence = 1, 0, 1
	fenced := func(what string) {
		t.Helper()
		if _, err := appendSpec(x.log, old); err == nil {
			t.Errorf("%s: a batch of an epoch is let in that had ended", what)
		}
	}
	fenced("before a restart")
	closeStore(t, x.store, x.log)
	removeSnapshots(t, mem)
	x.restart(mem)
	fenced("read from the log")
	if all := batchesOf(t, x.log); !all[0].IsControl() || all[0].BaseOffset() != 1 || all[0].ProducerID() != 1 {
		t.Errorf("the log begins with the batch of %d", all[0].BaseOffset())
	}
	closeStore(t, x.store, x.log)
}

// Wherever the making of an index is interrupted, or finds no room, the next start
// makes it.
func TestAbortedRebuiltInterrupted(t *testing.T) {
	mem := vfs.NewMem()
	x := newTransactions(t, mem)
	x.data(1, "a") // 0
	marker := x.end(1, batch.Abort)
	mustAppend(t, x.log, records(3, "behind", 1))
	killed := mem.Kill()
	closeStore(t, x.store, x.log)
	for n, stopped := 0, true; stopped; n++ {
		stop := vfs.StopAfter(n)
		disk := killed.Kill()
		s, err := engine.OpenStore(engine.StoreOptions{FS: vfs.NewInject(disk, stop.Before), Dir: "/data", NodeID: 1})
		if err == nil {
			_, _ = s.Open("t-0", engine.LogOptions{Config: x.log.Config()})
			stopped = stop.Stopped()
			_ = s.Close()
		}
		stopped = stopped || err != nil
		x.restart(disk.Crash(rand.New(rand.NewPCG(uint64(n), 1)), 50))
		x.aborts(fmt.Sprintf("after %d operations", n), engine.Aborted{ProducerID: 1, First: 0, Last: marker})
		closeStore(t, x.store, x.log)
	}
}

// What the index says of a marker that is damaged, or that a repair has taken,
// stays: its transaction must not pass for a committed one.
func TestAbortedMarkerLost(t *testing.T) {
	mem := vfs.NewMem()
	x := newTransactions(t, mem)
	x.data(1, "a")                  // 0
	first := x.end(1, batch.Abort)  // 1
	x.data(1, "b")                  // 2
	second := x.end(1, batch.Abort) // 3
	closeStore(t, x.store, x.log)
	writeAbortedIndex(t, mem, [4]int64{1, 0, first, 2}, [4]int64{1, 2, second, 4})
	x.restart(mem)
	want := []engine.Aborted{{ProducerID: 1, First: 0, Last: first}, {ProducerID: 1, First: 2, Last: second}}
	x.aborts("whole", want...)
	lost := batchesOf(t, x.log)[1]
	closeStore(t, x.store, x.log)
	name := fmt.Sprintf("/data/t-0/%020d.log", 0)
	raw, err := vfs.ReadFile(mem, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(raw, lost)
	for what, change := range map[string]func() []byte{
		"damaged": func() []byte {
			b := slices.Clone(raw)
			b[at+len(lost)-1] ^= 1
			return b
		},
		"repaired": func() []byte {
			return slices.Concat(raw[:at], batch.Gap(first, first+1, 0), raw[at+len(lost):])
		},
	} {
		disk := mem.Kill()
		if err := vfs.WriteFile(disk, name, change()); err != nil {
			t.Fatal(err)
		}
		removeSnapshots(t, disk)
		_ = disk.Remove("/data/.kafka_cleanshutdown")
		_ = disk.Remove(fmt.Sprintf("/data/t-0/%020d.index", 0))
		x.restart(disk)
		if _, err := x.log.RebuildAborted(0); err != nil {
			t.Error(err)
		}
		x.aborts(what, want...)
		_ = x.store.Close()
	}
}
