package engine_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Damage is told of and not passed: what lies before it is compacted, what comes
// after stays as it is, and other logs are compacted as ever.
func TestCompactDamaged(t *testing.T) {
	mem := vfs.NewMem()
	var told bytes.Buffer
	c := compactConfig(engine.DefaultDesign)
	k := newKeyed(t, mem, "/data", c, engine.StoreOptions{Logger: slog.New(slog.NewTextHandler(&told, nil))})
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		k.append(rng, 5, 20)
	}
	other := create(t, k.store, "other-0", c)
	for i := range 200 {
		mustAppend(t, other, batch.Of(batch.Record{Timestamp: 1, Key: []byte("k"), Value: fmt.Appendf(nil, "%d", i)}))
	}
	segments := k.log.Segments()
	bad := segments[len(segments)/2].Base
	f, err := mem.Open(fmt.Sprintf("/data/t-0/%020d.log", bad))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([][]byte{{0xff}}, 900); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	k.store.Compact()
	if !strings.Contains(told.String(), "not compacted any more") || !strings.Contains(told.String(), fmt.Sprintf("%020d.log", bad)) {
		t.Errorf("nothing tells of the damage: %s", &told)
	}
	told.Reset()
	k.store.Compact()
	if told.Len() > 0 {
		t.Errorf("it is told twice: %s", &told)
	}
	got := readAll(t, k.log, 0, bad, 1<<20)
	if len(got) > 20 {
		t.Errorf("before the damage there are %d records of 20 keys", len(got))
	}
	after := segments[len(segments)/2+1].Base
	if got, want := readAll(t, k.log, after, k.log.Marks().End, 1<<20), between(k.all, after, 1<<40); !sameRecords(got, want) {
		t.Errorf("after the damage there are %d records, want %d", len(got), len(want))
	}
	if n := len(between(readAll(t, other, 0, 200, 1<<20), 0, other.Segments()[1].Base)); n > 1 {
		t.Errorf("the other log has %d records of one key", n)
	}
	_ = k.store.Close()
}

// A disk that is full or fails while a segment is written beside the others does
// nothing to the log; one that fails in the swap ends its writing. Nothing is
// ever lost.
func TestCompactFaults(t *testing.T) {
	cleaned := func(op vfs.Op) bool { return strings.HasSuffix(op.Path, ".cleaned") }
	for _, test := range []struct {
		name   string
		hit    func(vfs.Op) bool
		err    error
		append error // what an append gets then
		again  bool  // the next compaction does its work
	}{
		{"full on create", func(op vfs.Op) bool { return op.Kind == vfs.OpCreate && cleaned(op) }, vfs.ErrNoSpace, nil, true},
		{"full on write", func(op vfs.Op) bool { return op.Kind == vfs.OpWrite && cleaned(op) }, vfs.ErrNoSpace, nil, true},
		{"write fails", func(op vfs.Op) bool { return op.Kind == vfs.OpWrite && cleaned(op) }, syscall.EIO, nil, false},
		{"sync fails", func(op vfs.Op) bool { return op.Kind == vfs.OpSync && cleaned(op) }, syscall.EIO, nil, false},
		{"rename fails", func(op vfs.Op) bool { return op.Kind == vfs.OpRename && cleaned(op) }, syscall.EIO, engine.ErrFailed, false},
		{"second rename fails", func(op vfs.Op) bool { return op.Kind == vfs.OpRename && strings.HasSuffix(op.Path, ".swap") }, syscall.EIO, engine.ErrFailed, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			mem := vfs.NewMem()
			var broken atomic.Bool
			var once sync.Once
			fs := vfs.NewInject(mem, func(op vfs.Op) (err error) {
				if broken.Load() && test.hit(op) {
					once.Do(func() { err = test.err })
				}
				return err
			})
			c := compactConfig(engine.DefaultDesign)
			k := newKeyed(t, fs, "/data", c, engine.StoreOptions{})
			rng := rand.New(rand.NewPCG(1, 1))
			for range 200 {
				k.append(rng, 5, 20)
			}
			before := slices.Clone(k.all)
			broken.Store(true)
			k.store.Compact()
			broken.Store(false)
			k.compact()
			if got := readAll(t, k.log, 0, k.log.Marks().End, 1<<20); !within(k.all, got) || !within(got, before) {
				t.Errorf("%d records are not between the old %d and the new %d", len(got), len(before), len(k.all))
			}
			if _, err := appendSpec(k.log, records(1, "after", 5)); !errors.Is(err, test.append) {
				t.Errorf("an append got %v, want %v", err, test.append)
			}
			k.store.Compact()
			if test.again && !sameRecords(between(readAll(t, k.log, 0, k.cleaned, 1<<20), 0, k.cleaned), between(k.all, 0, k.cleaned)) {
				t.Error("the next compaction did not do its work")
			}
			left := mem.Kill()
			_ = k.store.Close()
			s, l, err := (&compaction{config: c, now: k.clock.now()}).open(left)
			if err != nil {
				t.Fatal(err)
			}
			got := between(readAll(t, l, 0, l.Marks().End, 1<<20), 0, k.cleaned)
			if !within(between(k.all, 0, k.cleaned), got) || !within(got, before) {
				t.Errorf("opened again it has %d records, not between the old %d and the new %d", len(got), len(before), len(k.all))
			}
			closeStore(t, s, l)
		})
	}
}

// within reports whether all of some records are among others. Both are in order.
func within(some, others []batch.Record) bool {
	for _, r := range some {
		i, ok := slices.BinarySearchFunc(others, r.Offset, func(r batch.Record, o int64) int { return cmp.Compare(r.Offset, o) })
		if !ok || string(others[i].Value) != string(r.Value) {
			return false
		}
	}
	return true
}

// Compaction goes on beside appends, reads, retention and whatever cuts the log;
// who closes or deletes a log does not wait for it to end.
func TestCompactRace(t *testing.T) {
	for _, design := range []string{"file+mmap+always", "file+btree+none", "mmap+dense+none", "memory+mmap+none"} {
		t.Run("design="+design, func(t *testing.T) {
			d, err := engine.ParseDesign(design)
			if err != nil {
				t.Fatal(err)
			}
			k := newKeyed(t, vfs.NewMem(), "/data", compactConfig(d), engine.StoreOptions{OpenSegments: 3})
			stop, done := make(chan struct{}), sync.WaitGroup{}
			again := func(f func(*rand.Rand)) {
				done.Go(func() {
					rng := rand.New(rand.NewPCG(7, 7))
					for {
						select {
						case <-stop:
							return
						default:
							f(rng)
						}
					}
				})
			}
			again(func(*rand.Rand) { k.store.Compact() })
			again(func(rng *rand.Rand) { k.readSomewhere(rng) })
			again(func(rng *rand.Rand) { k.readSomewhere(rng) })
			again(func(*rand.Rand) { k.store.Tick(k.clock.now()) })
			rng := rand.New(rand.NewPCG(8, 8))
			for range 600 {
				switch rng.IntN(30) {
				case 0: // the end, which was not compacted
					s := k.log.Segments()
					k.truncate(s[len(s)-1].Base)
				case 1:
					to := k.log.Marks().Start + 20
					if err := k.log.Trim(to); err != nil {
						t.Fatal(err)
					}
					k.all = slices.DeleteFunc(k.all, func(r batch.Record) bool { return r.Offset < k.log.Marks().Start })
				default:
					k.append(rng, 1+rng.IntN(5), 30)
				}
			}
			close(stop)
			done.Wait()
			k.compact()
			k.store.Compact()
			k.check(1 << 20)
			k.store.StartCompacting()
			if err := k.store.Delete("t-0"); err != nil {
				t.Error(err)
			}
			closeStore(t, k.store)
		})
	}
}

func (k *keyed) truncate(to int64) {
	k.t.Helper()
	if err := k.log.Truncate(to); err != nil {
		k.t.Fatal(err)
	}
	k.all = slices.DeleteFunc(k.all, func(r batch.Record) bool { return r.Offset >= k.log.Marks().End })
}

// readSomewhere reads, and finds whole batches in order from the offset on.
func (k *keyed) readSomewhere(rng *rand.Rand) {
	m := k.log.Marks()
	from := m.Start + rng.Int64N(m.End-m.Start+1)
	e, err := k.log.Read(context.Background(), engine.Read{From: from, UpTo: m.End, MaxBytes: 1500, AtLeastOne: true})
	if outside := (*engine.RangeError)(nil); errors.As(err, &outside) {
		return
	}
	if err != nil {
		k.t.Errorf("read from %d: %v", from, err)
		return
	}
	defer e.Release()
	buf := make([]byte, e.Len())
	if _, err := e.ReadAt(buf, 0); err != nil && len(buf) > 0 {
		k.t.Errorf("read from %d: %v", from, err)
	}
	for first := true; len(buf) > 0; first = false {
		b, rest, err := batch.Next(buf)
		if errors.Is(err, batch.ErrTruncated) && !first {
			return
		}
		if err == nil {
			err = b.Check()
		}
		if err != nil || b.LastOffset() < from || (!first && b.BaseOffset() < from) {
			k.t.Errorf("read from %d found a batch at %d: %v", from, b.BaseOffset(), err)
			return
		}
		from, buf = b.NextOffset(), rest
	}
}
