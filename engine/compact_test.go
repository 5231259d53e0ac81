package engine_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// compactConfig is smallConfig for a log that is compacted whenever it can be.
func compactConfig(d engine.Design) engine.Config {
	c := smallConfig(d)
	c.Compact, c.Delete, c.MinDirtyRatio = true, false, 0
	return c
}

// forEachKeeping runs the test for every design that keeps its bytes.
func forEachKeeping(t *testing.T, test func(t *testing.T, fs vfs.FS, dir string, c engine.Config)) {
	forEachDesign(t, func(t *testing.T, fs vfs.FS, dir string, c engine.Config) {
		i := slices.IndexFunc(segment.Designs, func(s segment.Design) bool { return s.Name == c.Design.Segment })
		if segment.Designs[i].Keeps {
			test(t, fs, dir, compactConfig(c.Design))
		}
	})
}

// keyed is a compacted log under test, and all that was ever appended to it.
type keyed struct {
	t     testing.TB
	store *engine.Store
	log   *engine.Log
	clock *clock
	all   []batch.Record
	// cleaned is up to where the model has compacted.
	cleaned int64
	// horizons are, by the offset of a tombstone, when it may go.
	horizons map[int64]time.Time
	keep     time.Duration
}

func newKeyed(t testing.TB, fs vfs.FS, dir string, c engine.Config, o engine.StoreOptions) *keyed {
	t.Helper()
	k := &keyed{t: t, clock: newClock(time.UnixMilli(1_000_000)), horizons: map[int64]time.Time{}, keep: c.DeleteRetention}
	o.FS, o.Dir, o.NodeID, o.Now = fs, dir, 1, k.clock.now
	var err error
	if k.store, err = engine.OpenStore(o); err != nil {
		t.Fatal(err)
	}
	k.log = create(t, k.store, "t-0", c)
	return k
}

// append adds a batch of so many records with keys out of so many; one value in
// five is null.
func (k *keyed) append(rng *rand.Rand, records, keys int) {
	k.t.Helper()
	var all []batch.Record
	for range records {
		r := batch.Record{Timestamp: k.clock.now().UnixMilli() + rng.Int64N(100), Key: fmt.Appendf(nil, "key %d", rng.IntN(keys))}
		if rng.IntN(5) > 0 {
			r.Value = fmt.Appendf(nil, "value %d", len(k.all)+len(all))
		}
		all = append(all, r)
	}
	s := batch.Of(all...)
	s.Codec = []batch.Codec{batch.None, batch.None, batch.Zstd, batch.Snappy}[rng.IntN(4)]
	k.add(s)
}

func (k *keyed) add(s batch.Spec) {
	k.t.Helper()
	a := mustAppend(k.t, k.log, s)
	for i, r := range s.Records {
		r.Offset = a.Base + int64(i)
		k.all = append(k.all, r)
	}
}

// compact is what the log should have after a compaction now: of all that is
// older than the last segment the last record of each key, and of these no
// tombstone whose time has come.
func (k *keyed) compact() {
	segments := k.log.Segments()
	upTo := segments[len(segments)-1].Base
	if upTo <= k.cleaned {
		return
	}
	last := map[string]int64{}
	for _, r := range k.all {
		if r.Offset < upTo {
			last[string(r.Key)] = r.Offset
		}
	}
	k.all = slices.DeleteFunc(k.all, func(r batch.Record) bool {
		if r.Offset >= upTo {
			return false
		}
		gone, marked := k.horizons[r.Offset]
		return last[string(r.Key)] != r.Offset || (r.Value == nil && marked && !k.clock.now().Before(gone))
	})
	for _, r := range k.all {
		if _, marked := k.horizons[r.Offset]; r.Value == nil && r.Offset < upTo && !marked {
			k.horizons[r.Offset] = k.clock.now().Add(k.keep)
		}
	}
	k.cleaned = upTo
}

// check compares the log with what it should have, in reads of so many bytes.
func (k *keyed) check(maxBytes int64) {
	k.t.Helper()
	if err := k.log.Check(); err != nil {
		k.t.Fatal(err)
	}
	m := k.log.Marks()
	sameAs(k.t, readAll(k.t, k.log, m.Start, m.End, maxBytes), k.all)
}

func sameAs(t testing.TB, got, want []batch.Record) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) {
			t.Fatalf("%d records, want %d; the first that are too many or too few: %+v", len(got), len(want), append(got, want...)[min(len(got), len(want))])
		}
		g, w := got[i], want[i]
		if g.Offset != w.Offset || g.Timestamp != w.Timestamp || !bytes.Equal(g.Key, w.Key) || !bytes.Equal(g.Value, w.Value) || (g.Value == nil) != (w.Value == nil) {
			t.Fatalf("record %d of %d is %d@%d %q %q, want %d@%d %q %q", i, len(got), g.Offset, g.Timestamp, g.Key, g.Value, w.Offset, w.Timestamp, w.Key, w.Value)
		}
	}
}

// The last record of each key stays, where it was, and nothing else below the
// last segment; tombstones go when their time has come. Appends, reads by offset
// and by time, restarts go on between.
func TestCompact(t *testing.T) {
	forEachKeeping(t, func(t *testing.T, fs vfs.FS, dir string, c engine.Config) {
		c.DeleteRetention = time.Minute
		k := newKeyed(t, fs, dir, c, engine.StoreOptions{})
		rng := rand.New(rand.NewPCG(1, 1))
		for round := range 8 {
			for range 60 {
				k.append(rng, 1+rng.IntN(6), 20+round*10)
			}
			k.check(1 << 20)
			k.compact()
			k.store.Compact()
			k.check(1 + rng.Int64N(3000))
			k.checkTimes()
			if round%3 == 2 && durable(c.Design) {
				closeStore(t, k.store, k.log)
				k.store = openStoreAt(t, fs, dir, k.clock)
				k.log = reopen(t, k.store, "t-0", c)
				k.check(1 << 20)
			}
			k.clock.add(40 * time.Second)
		}
		if n := len(k.log.Segments()); n > 12 {
			t.Errorf("what was compacted lies in %d segments", n)
		}
		closeStore(t, k.store, k.log)
	})
}

func openStoreAt(t testing.TB, fs vfs.FS, dir string, at *clock) *engine.Store {
	t.Helper()
	s, err := engine.OpenStore(engine.StoreOptions{FS: fs, Dir: dir, NodeID: 1, Now: at.now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkTimes compares searches by time with what the log should have.
func (k *keyed) checkTimes() {
	k.t.Helper()
	newest := slices.MaxFunc(k.all, func(a, b batch.Record) int {
		return cmp.Or(cmp.Compare(a.Timestamp, b.Timestamp), cmp.Compare(b.Offset, a.Offset))
	})
	if p, ok, err := k.log.NewestTime(); err != nil || !ok || p.Offset != newest.Offset || p.Timestamp != newest.Timestamp {
		k.t.Fatalf("the newest record is %+v, %v, %v, want %d@%d", p, ok, err, newest.Offset, newest.Timestamp)
	}
	for _, i := range []int{0, len(k.all) / 3, len(k.all) / 2, len(k.all) - 1} {
		ms := k.all[i].Timestamp
		want := slices.IndexFunc(k.all, func(r batch.Record) bool { return r.Timestamp >= ms })
		if p, ok, err := k.log.OffsetForTime(ms); err != nil || !ok || p.Offset != k.all[want].Offset || p.Timestamp != k.all[want].Timestamp {
			k.t.Fatalf("the first record from %d on is %+v, %v, %v, want %d@%d", ms, p, ok, err, k.all[want].Offset, k.all[want].Timestamp)
		}
	}
}

// Whatever the number of keys, memory stays what it is: there are more rounds.
func TestCompactInLittleMemory(t *testing.T) {
	c := compactConfig(engine.DefaultDesign)
	c.SegmentBytes = 20_000
	k := newKeyed(t, vfs.NewMem(), "/data", c, engine.StoreOptions{CleanerBytes: 1}) // 64 slots
	rng := rand.New(rand.NewPCG(2, 2))
	for range 300 {
		k.append(rng, 1+rng.IntN(6), 500)
	}
	for range 40 {
		k.append(rng, 90, 500) // more keys than there is room for, in one batch
	}
	k.compact()
	k.store.Compact()
	k.check(1 << 20)
	closeStore(t, k.store, k.log)
}

// The rules that say when a log is compacted, and how much of it.
func TestCompactWhen(t *testing.T) {
	for _, test := range []struct {
		name string
		set  func(*engine.Config)
		wait time.Duration // before the second half is appended, and as long after
		want string
	}{
		{"always", func(*engine.Config) {}, 0, "all"},
		{"only when it is dirty enough", func(c *engine.Config) { c.MinDirtyRatio = 1 }, 0, "nothing"},
		{"or has waited too long", func(c *engine.Config) { c.MinDirtyRatio, c.MaxCompactionLag = 1, time.Minute }, time.Minute, "all"},
		{"but not before", func(c *engine.Config) { c.MinDirtyRatio, c.MaxCompactionLag = 1, time.Hour }, time.Minute, "nothing"},
		{"nothing that is too young", func(c *engine.Config) { c.MinCompactionLag = time.Hour }, 0, "nothing"},
		{"up to what is too young", func(c *engine.Config) { c.MinCompactionLag = 90 * time.Second }, time.Minute, "half"},
		{"not if nobody wants it", func(c *engine.Config) { c.Compact = false }, 0, "nothing"},
		{"if the design wants it", func(c *engine.Config) { c.Compact, c.Design.Retention = false, "compact" }, 0, "all"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := compactConfig(engine.DefaultDesign)
			test.set(&c)
			k := newKeyed(t, vfs.NewMem(), "/data", c, engine.StoreOptions{})
			rng := rand.New(rand.NewPCG(3, 3))
			for range 100 {
				k.append(rng, 5, 10)
			}
			half := k.log.Marks().End
			k.clock.add(test.wait)
			for range 100 {
				k.append(rng, 5, 10)
			}
			k.clock.add(test.wait)
			before := k.log.Segments()
			k.store.Compact()
			left := map[string]int64{}
			for _, r := range readAll(t, k.log, 0, k.log.Marks().End, 1<<20) {
				switch {
				case r.Offset < half:
					left["first"]++
				case r.Offset < before[len(before)-1].Base:
					left["second"]++
				}
			}
			was := "nothing"
			switch {
			case left["first"] <= 10 && left["second"] <= 10:
				was = "all"
			case left["first"] < half/2 && left["second"] > half/2:
				was = "half"
			case left["first"] < half:
				was = "something"
			}
			if was != test.want {
				t.Errorf("compacted is %s, want %s: %v", was, test.want, left)
			}
			closeStore(t, k.store, k.log)
		})
	}
}

// What is not to be compacted any more is: nothing changes what is open already.
func TestCompactBesideReaders(t *testing.T) {
	forEachKeeping(t, func(t *testing.T, fs vfs.FS, dir string, c engine.Config) {
		k := newKeyed(t, fs, dir, c, engine.StoreOptions{})
		rng := rand.New(rand.NewPCG(4, 4))
		for range 100 {
			k.append(rng, 5, 10)
		}
		e, err := k.log.Read(context.Background(), engine.Read{From: 0, UpTo: 1000, MaxBytes: 1 << 20, AtLeastOne: true})
		if err != nil {
			t.Fatal(err)
		}
		before := make([]byte, e.Len())
		if _, err := e.ReadAt(before, 0); err != nil {
			t.Fatal(err)
		}
		k.compact()
		k.store.Compact()
		after := make([]byte, e.Len())
		if _, err := e.ReadAt(after, 0); err != nil || !bytes.Equal(before, after) {
			t.Errorf("bytes under a reader have changed: %v", err)
		}
		e.Release()
		k.check(1 << 20)
		closeStore(t, k.store, k.log)
	})
}

// A log rests once it was compacted, and not before: nobody would look at it.
func TestCompactBeforeRest(t *testing.T) {
	c := compactConfig(engine.DefaultDesign)
	c.Compact = false
	k := newKeyed(t, vfs.NewMem(), "/data", c, engine.StoreOptions{})
	// Somebody asks for compaction, and no log wants it yet: nothing goes on behind the
	// test.
	k.store.StartCompacting()
	c.Compact = true
	if err := k.log.SetConfig(c); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(6, 6))
	for range 100 {
		k.append(rng, 5, 10)
	}
	if _, ok := k.log.CloseIdle(); ok {
		t.Error("a log rests that is due for compaction")
	}
	k.compact()
	k.store.Compact()
	if _, ok := k.log.CloseIdle(); !ok {
		t.Error("a log that was compacted does not rest")
	}
	k.log = reopen(t, k.store, "t-0", c)
	k.check(1 << 20)
	closeStore(t, k.store, k.log)
}

// Batches come out in the topic's codec, and a segment that would outgrow its
// bound by that keeps the rest as it is.
func TestCompactRecodes(t *testing.T) {
	for _, codec := range []string{"uncompressed", "gzip", "snappy", "lz4", "zstd"} {
		t.Run("codec="+codec, func(t *testing.T) {
			c := compactConfig(engine.DefaultDesign)
			c.CompressionType = codec
			k := newKeyed(t, vfs.NewMem(), "/data", c, engine.StoreOptions{})
			rng := rand.New(rand.NewPCG(7, 7))
			for range 100 {
				k.append(rng, 30, 50)
			}
			k.compact()
			k.store.Compact()
			k.check(1 << 20)
			want, err := batch.ParseCodec(codec)
			if err != nil {
				t.Fatal(err)
			}
			in, all := 0, 0
			segments := k.log.Segments()
			for _, b := range batchesOf(t, k.log) {
				if b.Count() > 0 && b.BaseOffset() < segments[len(segments)-1].Base {
					all++
					if b.Codec() == want {
						in++
					}
				}
			}
			if in < all*3/4 {
				t.Errorf("%d of %d batches are in it", in, all)
			}
			for _, s := range segments {
				if s.Bytes > c.SegmentBytes {
					t.Errorf("segment %d has %d bytes, more than %d", s.Base, s.Bytes, c.SegmentBytes)
				}
			}
			closeStore(t, k.store, k.log)
		})
	}
}

// What is appended in place of what a truncation took was not compacted, wherever
// the log was compacted to before.
func TestCompactAfterTruncate(t *testing.T) {
	mem := vfs.NewMem()
	k := newKeyed(t, mem, "/data", compactConfig(engine.DefaultDesign), engine.StoreOptions{})
	rng := rand.New(rand.NewPCG(2, 2))
	for range 3 {
		for range 60 {
			k.append(rng, 1+rng.IntN(6), 300)
		}
		k.compact()
		k.store.Compact()
		k.check(1 << 20)
		if err := k.log.Truncate(k.cleaned / 3); err != nil {
			t.Fatal(err)
		}
		end := k.log.Marks().End
		k.all = slices.DeleteFunc(k.all, func(r batch.Record) bool { return r.Offset >= end })
		k.cleaned = end
	}
	closeStore(t, k.store, k.log)
}

// A follower that gets its records from a compacted log knows each producer's last
// batch, though none of its records may be left.
func TestCompactKeepsProducers(t *testing.T) {
	c := compactConfig(engine.DefaultDesign)
	k := newKeyed(t, vfs.NewMem(), "/data", c, engine.StoreOptions{})
	sent := records(3, "first", 1)
	for i := range sent.Records {
		sent.Records[i].Key = []byte("key")
	}
	sent.ProducerID, sent.ProducerEpoch, sent.BaseSequence = 7, 0, 40
	base := mustAppend(t, k.log, sent).Base
	for rng := rand.New(rand.NewPCG(3, 3)); len(k.log.Segments()) < 4; {
		k.append(rng, 5, 30)
		k.add(batch.Of(batch.Record{Key: []byte("key"), Value: []byte("another")}))
	}
	k.store.Compact()
	if got := readAll(t, k.log, 0, k.log.Marks().End, 1<<20); got[0].Offset <= base+2 {
		t.Fatalf("record %d was not compacted", got[0].Offset)
	}
	s := openStore(t, vfs.NewMem(), "/data")
	follower := create(t, s, "t-0", c)
	for follower.Marks().End < k.log.Marks().End {
		e, err := k.log.Read(t.Context(), engine.Read{From: follower.Marks().End, UpTo: k.log.Marks().End, MaxBytes: 1, AtLeastOne: true})
		if err != nil {
			t.Fatal(err)
		}
		raw := make([]byte, e.Len())
		_, err = e.ReadAt(raw, 0)
		e.Release()
		set, bad := batch.Parse(raw)
		if err = errors.Join(err, bad); err == nil {
			_, err = follower.Replicate(set)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if a := mustAppend(t, follower, sent); !a.Duplicate || a.Base != base {
		t.Errorf("the batch sent again got %+v, it is at %d", a, base)
	}
	closeStore(t, s, follower)
	closeStore(t, k.store, k.log)
}
