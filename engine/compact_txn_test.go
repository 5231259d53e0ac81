package engine_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// transactions is a log with what transactional producers write. The broker has
// no transactions yet, but Kafka's directories do.
type transactions struct {
	*keyed
	sequences map[int64]int32
	epochs    map[int64]int16
}

func newTransactions(t *testing.T, fs vfs.FS) *transactions {
	c := compactConfig(engine.DefaultDesign)
	c.SegmentBytes, c.DeleteRetention = 600, time.Minute
	return &transactions{newKeyed(t, fs, "/data", c, engine.StoreOptions{}), map[int64]int32{}, map[int64]int16{}}
}

// data adds a batch of one record for each key.
func (x *transactions) data(producer int64, keys ...string) {
	var all []batch.Record
	for _, k := range keys {
		all = append(all, batch.Record{Timestamp: x.clock.now().UnixMilli(), Key: []byte(k), Value: fmt.Appendf(nil, "of %d", producer)})
	}
	s := batch.Of(all...)
	s.ProducerID, s.ProducerEpoch, s.BaseSequence, s.Transactional = producer, x.epochs[producer], x.sequences[producer], true
	x.sequences[producer] += int32(len(keys))
	mustAppend(x.t, x.log, s)
}

// end adds a marker, and returns its offset.
func (x *transactions) end(producer int64, how batch.ControlType) int64 {
	s := batch.Of(batch.Marker(how, 0, x.clock.now().UnixMilli()))
	s.ProducerID, s.ProducerEpoch, s.Transactional, s.Control = producer, x.epochs[producer], true, true
	s.BaseOffset, s.LeaderEpoch = x.log.Marks().End, 0
	set, err := batch.Parse(s.Bytes())
	if err != nil {
		x.t.Fatal(err)
	}
	a, err := x.log.Replicate(set)
	if err == nil {
		err = x.log.Wait(context.Background(), a.Next)
	}
	if err != nil {
		x.t.Fatal(err)
	}
	return a.Base
}

// bump gives a producer its next epoch, as Kafka does from 4.0 on before the marker
// of each transaction.
func (x *transactions) bump(producer int64) {
	x.epochs[producer]++
	x.sequences[producer] = 0
}

// restart goes on with what is on a disk.
func (x *transactions) restart(fs vfs.FS) {
	x.t.Helper()
	c := x.log.Config()
	x.store = openStoreAt(x.t, fs, "/data", x.clock)
	x.log = reopen(x.t, x.store, "t-0", c)
}

// roll adds batches of no transaction until a new segment has begun.
func (x *transactions) roll() {
	for n := len(x.log.Segments()); len(x.log.Segments()) <= n; {
		mustAppend(x.t, x.log, batch.Of(batch.Record{Timestamp: x.clock.now().UnixMilli(), Key: []byte("filler"), Value: make([]byte, 100)}))
	}
}

// clean compacts, and describes what the log has: "a@0 b@1" for records and
// "commit(5)@2" for markers.
func (x *transactions) clean() string {
	x.store.Compact()
	if err := x.log.Check(); err != nil {
		x.t.Error(err)
	}
	out := ""
	for _, b := range batchesOf(x.t, x.log) {
		if b.IsControl() {
			if how, ok, _ := b.Control(); ok {
				out += fmt.Sprintf("%s(%d)@%d ", []string{"abort", "commit"}[how], b.ProducerID(), b.BaseOffset())
			}
			continue
		}
		for r := range b.Records(0) {
			if string(r.Key) != "filler" {
				out += fmt.Sprintf("%s@%d ", r.Key, r.Offset)
			}
		}
	}
	return out
}

func (x *transactions) want(what, got, want string) {
	x.t.Helper()
	if got != want {
		x.t.Errorf("%s: the log has %q, want %q", what, got, want)
	}
}

// batchesOf reads all batches of a log, which may have holes.
func batchesOf(t testing.TB, l *engine.Log) (all []batch.Batch) {
	t.Helper()
	m := l.Marks()
	for from := m.Start; from < m.End; {
		e, err := l.Read(context.Background(), engine.Read{From: from, UpTo: m.End, MaxBytes: 1, AtLeastOne: true})
		if err != nil {
			t.Fatal(err)
		}
		b := make(batch.Batch, e.Len())
		_, err = e.ReadAt(b, 0)
		e.Release()
		if err == nil {
			err = b.Check()
		}
		if err != nil {
			t.Fatalf("read from %d: %v", from, err)
		}
		all = append(all, b)
		from = b.NextOffset()
	}
	return all
}

// Aborted records go, and hide no others; markers stay as long as what they
// decide, and for delete.retention.ms after.
func TestCompactTransactions(t *testing.T) {
	x := newTransactions(t, vfs.NewMem())
	x.data(1, "a", "b") // 0, 1
	x.data(2, "a", "c") // 2, 3
	x.end(1, batch.Commit)
	x.end(2, batch.Abort)
	x.data(1, "b") // 6
	x.end(1, batch.Commit)
	x.roll()
	x.want("the first time", x.clean(), "a@0 commit(1)@4 abort(2)@5 b@6 commit(1)@7 ")
	// The last batch of producer 2 is kept for its sequence, without its records.
	// As long as it is there its marker stays.
	x.clock.add(time.Hour)
	x.roll()
	x.want("an hour later", x.clean(), "a@0 commit(1)@4 abort(2)@5 b@6 commit(1)@7 ")
	x.data(2, "d")
	x.end(2, batch.Commit)
	x.data(1, "a", "b", "c")
	last := x.end(1, batch.Commit)
	x.roll()
	tail := fmt.Sprintf("d@%d commit(2)@%d a@%d b@%d c@%d commit(1)@%d ", last-5, last-4, last-3, last-2, last-1, last)
	x.want("with nothing left of the first three", x.clean(), "commit(1)@4 abort(2)@5 commit(1)@7 "+tail)
	x.roll()
	x.want("markers get their time", x.clean(), "commit(1)@4 abort(2)@5 commit(1)@7 "+tail)
	x.clock.add(time.Minute)
	x.roll()
	x.want("until it has passed", x.clean(), tail)
	closeStore(t, x.store, x.log)
}

// What may still be aborted is not compacted, nor what comes after it in the
// same segment or later.
func TestCompactUndecided(t *testing.T) {
	x := newTransactions(t, vfs.NewMem())
	x.data(1, "a", "b") // 0, 1
	x.end(1, batch.Commit)
	x.data(1, "a") // 3
	x.end(1, batch.Commit)
	x.roll()
	x.data(2, "b")
	open := x.log.Marks().End - 1
	x.roll()
	x.data(1, "a")
	end := x.end(1, batch.Commit)
	x.roll()
	rest := fmt.Sprintf("b@%d a@%d commit(1)@%d ", open, end-1, end)
	x.want("one is open", x.clean(), "b@1 commit(1)@2 a@3 commit(1)@4 "+rest)
	abort := x.end(2, batch.Abort)
	x.roll()
	x.want("it was aborted", x.clean(), fmt.Sprintf("b@1 commit(1)@2 commit(1)@4 a@%d commit(1)@%d abort(2)@%d ", end-1, end, abort))
	closeStore(t, x.store, x.log)
}

// The index of aborted transactions keeps the entries of the markers that stay.
func TestCompactAbortedIndex(t *testing.T) {
	mem := vfs.NewMem()
	x := newTransactions(t, mem)
	x.data(1, "a") // 0
	first := x.end(1, batch.Abort)
	x.data(1, "a")
	second := x.end(1, batch.Abort)
	x.roll()
	closeStore(t, x.store, x.log)
	writeAbortedIndex(t, mem, [4]int64{1, 0, first, 0}, [4]int64{1, 2, second, 2})
	x.restart(mem)
	x.want("both", x.clean(), "abort(1)@1 abort(1)@3 ")
	if got := abortedIndex(t, mem); !slices.Equal(got, []int64{first, second}) {
		t.Errorf("entries for the markers %d, want %d, %d", got, first, second)
	}
	x.clock.add(time.Hour)
	x.roll()
	x.clean() // sets the time of the first one
	if got := abortedIndex(t, mem); !slices.Equal(got, []int64{second}) {
		t.Errorf("entries for the markers %d, want %d", got, second)
	}
	x.clock.add(time.Hour)
	x.roll()
	// The last batch of producer 1 is there, without its record.
	x.want("and then one", x.clean(), "abort(1)@3 ")
	closeStore(t, x.store, x.log)
}

func abortedName(t *testing.T) string {
	t.Helper()
	return path.Join("/data/t-0", fmt.Sprintf("%020d.txnindex", 0))
}

func writeAbortedIndex(t *testing.T, fs vfs.FS, entries ...[4]int64) {
	t.Helper()
	var b []byte
	for _, e := range entries {
		b = binary.BigEndian.AppendUint16(b, 0)
		for _, n := range e {
			b = binary.BigEndian.AppendUint64(b, uint64(n))
		}
	}
	if err := vfs.WriteFile(fs, abortedName(t), b); err != nil {
		t.Fatal(err)
	}
}

func abortedIndex(t *testing.T, fs vfs.FS) (markers []int64) {
	t.Helper()
	b, err := vfs.ReadFile(fs, abortedName(t), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for ; len(b) > 0; b = b[34:] {
		markers = append(markers, int64(binary.BigEndian.Uint64(b[18:])))
	}
	return markers
}
