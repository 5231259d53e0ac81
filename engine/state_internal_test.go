package engine

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// sent is a batch of n records of producer 7, stamped at base.
func sent(epoch int16, sequence int32, n int, base int64) batch.Batch {
	s := batch.Of(make([]batch.Record, n)...)
	s.ProducerID, s.ProducerEpoch, s.BaseSequence, s.BaseOffset = 7, epoch, sequence, base
	return s.Bytes()
}

func TestProducersCheck(t *testing.T) {
	p := newProducers()
	base := int64(0)
	for i := range 7 { // sequences [0,10) … [60,70) at the same offsets; five are remembered
		b := sent(3, int32(10*i), 10, base)
		p.update(b)
		base = b.NextOffset()
	}
	for _, c := range []struct {
		what      string
		b         batch.Batch
		duplicate int64 // base offset of the first time, -1: new
		err       error
	}{
		{"the next one", sent(3, 70, 1, 0), -1, nil},
		{"the last one", sent(3, 60, 10, 0), 60, nil},
		{"the fifth last", sent(3, 20, 10, 0), 20, nil},
		{"the sixth last", sent(3, 10, 10, 0), -1, ErrSequence},
		{"a gap", sent(3, 71, 1, 0), -1, ErrSequence},
		{"half of the last one", sent(3, 60, 5, 0), -1, ErrSequence},
		{"an older epoch", sent(2, 70, 1, 0), -1, ErrProducerFenced},
		{"a new epoch", sent(4, 0, 1, 0), -1, nil},
		{"a new epoch in the middle", sent(4, 5, 1, 0), -1, ErrSequence},
		{"no producer", batch.Of(batch.Record{}).Bytes(), -1, nil},
	} {
		old, dup, err := p.check(c.b)
		if !errors.Is(err, c.err) || dup != (c.duplicate >= 0) {
			t.Errorf("%s: duplicate %v, %v; want %d, %v", c.what, dup, err, c.duplicate, c.err)
		}
		if dup && old.lastOffset-int64(old.offsetDelta) != c.duplicate {
			t.Errorf("%s: first sent at %d, want %d", c.what, old.lastOffset-int64(old.offsetDelta), c.duplicate)
		}
	}
	p.update(sent(4, 0, 1, 70))
	if _, dup, err := p.check(sent(4, 1, 1, 0)); dup || err != nil {
		t.Errorf("after a new epoch: duplicate %v, %v", dup, err)
	}
}

// After the greatest sequence comes 0, also within a batch.
func TestSequenceWrapsAround(t *testing.T) {
	p := newProducers()
	p.update(sent(0, math.MaxInt32-1, 4, 0)) // 2^31-2, 2^31-1, 0, 1
	if _, dup, err := p.check(sent(0, 2, 1, 0)); dup || err != nil {
		t.Errorf("the next one: duplicate %v, %v", dup, err)
	}
	if old, dup, err := p.check(sent(0, math.MaxInt32-1, 4, 0)); !dup || err != nil || old.lastOffset != 3 {
		t.Errorf("the same again: %+v, %v, %v", old, dup, err)
	}
	if _, _, err := p.check(sent(0, 3, 1, 0)); !errors.Is(err, ErrSequence) {
		t.Errorf("a gap: %v", err)
	}
	for _, c := range []struct{ s, delta, want int32 }{
		{0, 0, 0}, {0, -1, math.MaxInt32}, {math.MaxInt32, 1, 0}, {math.MaxInt32, math.MaxInt32, math.MaxInt32 - 1}, {1, -3, math.MaxInt32 - 1},
	} {
		if got := sequenceAdd(c.s, c.delta); got != c.want {
			t.Errorf("%d + %d = %d, want %d", c.s, c.delta, got, c.want)
		}
	}
}

func TestProducersExpire(t *testing.T) {
	p := newProducers()
	p.byID[1] = &producer{seen: 1000, open: noTransaction}
	p.byID[2] = &producer{seen: 2000, open: noTransaction}
	p.byID[3] = &producer{seen: 1000, open: 7}
	p.expire(time.UnixMilli(11_000), 10*time.Second)
	if len(p.byID) != 3 || p.changed {
		t.Errorf("as old as the bound is not too old: %v", p.byID)
	}
	p.expire(time.UnixMilli(11_001), 10*time.Second)
	if p.byID[1] != nil || p.byID[2] == nil || p.byID[3] == nil || !p.changed {
		t.Errorf("left are %v, want 2, and 3, which has a transaction open", p.byID)
	}
}

// The bytes of a snapshot, laid out by hand from Kafka's description.
func TestSnapshotBytes(t *testing.T) {
	p := newProducers()
	sends := p.of(0x0102030405060708, 9)
	sends.add(sentBatch{lastSequence: 0x0a0b0c0d, lastOffset: 0x1122, offsetDelta: 3, timestamp: 0x33})
	sends.add(sentBatch{lastSequence: 0x0a0b0c0e, lastOffset: 0x1123, offsetDelta: 0, timestamp: 0x34})
	sends.open = 0x111f
	ended := p.of(0x0102030405060709, 4) // of which only a marker is known
	ended.seen, ended.coordinator = 0x35, 6
	const want = "0001" + "4c320631" + "00000003" +
		"0102030405060708" + "0009" + "0a0b0c0d" + "0000000000001122" + "00000003" + "0000000000000033" + "ffffffff" + "000000000000111f" +
		"0102030405060708" + "0009" + "0a0b0c0e" + "0000000000001123" + "00000000" + "0000000000000034" + "ffffffff" + "000000000000111f" +
		"0102030405060709" + "0004" + "ffffffff" + "ffffffffffffffff" + "00000000" + "0000000000000035" + "00000006" + "ffffffffffffffff"
	raw := encodeSnapshot(&p)
	if got := hex.EncodeToString(raw); got != want {
		t.Fatalf("the snapshot is\n%s, want\n%s", got, want)
	}
	again, err := decodeSnapshot(raw)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range p.byID {
		if got := again.byID[id]; got == nil || *got != *want {
			t.Errorf("read back is %+v, want %+v", got, want)
		}
	}
	for n := range raw {
		if _, err := decodeSnapshot(raw[:n]); err == nil {
			t.Errorf("the first %d bytes pass for a snapshot", n)
		}
		flipped := slices.Clone(raw)
		flipped[n] ^= 4
		if _, err := decodeSnapshot(flipped); err == nil {
			t.Errorf("with byte %d changed it passes for a snapshot", n)
		}
	}
}

func TestEpochs(t *testing.T) {
	base := func() epochs { return epochs{{1, 0}, {2, 10}, {3, 20}} }
	for _, c := range []struct {
		what    string
		change  func(*epochs) bool
		want    epochs
		changed bool
	}{
		{"assign a known epoch", func(e *epochs) bool { return e.assign(3, 25) }, base(), false},
		{"assign an older epoch", func(e *epochs) bool { return e.assign(2, 25) }, base(), false},
		{"assign a new epoch", func(e *epochs) bool { return e.assign(5, 25) }, append(base(), epochStart{5, 25}), true},
		{"assign where one began", func(e *epochs) bool { return e.assign(5, 20) }, epochs{{1, 0}, {2, 10}, {5, 20}}, true},
		{"truncate within", func(e *epochs) bool { return e.truncate(15) }, epochs{{1, 0}, {2, 10}}, true},
		{"truncate at a start", func(e *epochs) bool { return e.truncate(10) }, epochs{{1, 0}}, true},
		{"truncate past all", func(e *epochs) bool { return e.truncate(21) }, base(), false},
		{"truncate all", func(e *epochs) bool { return e.truncate(0) }, epochs{}, true},
		{"trim within", func(e *epochs) bool { return e.trim(15) }, epochs{{2, 15}, {3, 20}}, true},
		{"trim at a start", func(e *epochs) bool { return e.trim(10) }, epochs{{2, 10}, {3, 20}}, true},
		{"trim past all", func(e *epochs) bool { return e.trim(99) }, epochs{{3, 99}}, true},
		{"trim nothing", func(e *epochs) bool { return e.trim(0) }, base(), false},
	} {
		e := base()
		if changed := c.change(&e); changed != c.changed || !slices.Equal(e, c.want) {
			t.Errorf("%s: %v, changed %v; want %v, %v", c.what, e, changed, c.want, c.changed)
		}
	}
	e := epochs{{1, 0}, {3, 10}}
	for _, c := range []struct {
		epoch, largest int32
		end            int64
	}{{1, 1, 10}, {2, 1, 10}, {3, 3, 15}, {0, -1, -1}, {4, -1, -1}, {-1, -1, -1}} {
		if largest, end := e.end(c.epoch, 15); largest != c.largest || end != c.end {
			t.Errorf("epoch %d ends at (%d, %d), want (%d, %d)", c.epoch, largest, end, c.largest, c.end)
		}
	}
	if got := (epochs{}).latest(); got != -1 {
		t.Errorf("without epochs the latest is %d", got)
	}
}

func TestReadEpochs(t *testing.T) {
	for text, want := range map[string]string{
		"0\n0\n":                         "[] <nil>",
		"0\n2\n0 0\n5 12\n":              "[{0 0} {5 12}] <nil>",
		"0\n2\n0 0\n5 0\n":               "[{5 0}] <nil>",
		"0\n2\n0 0\n":                    "damaged",
		"0\n1\n0\n":                      "damaged",
		"0\n1\n0 -3\n":                   "damaged",
		"0\n2\n5 0\n4 9\n":               "damaged",
		"0\n2\n4 9\n5 8\n":               "damaged",
		"0\n1\n4294967296 0\n":           "damaged",
		"":                               "damaged",
		"7\n0\n":                         "format",
		"0\n1\n0 99999999999999999999\n": "damaged",
	} {
		mem := vfs.NewMem()
		if err := vfs.WriteFile(mem, "/"+nameEpochs, []byte(text)); err != nil {
			t.Fatal(err)
		}
		e, _, err := readEpochs(mem, "/")
		got := fmt.Sprint(e, err)
		var damaged *CorruptError
		switch {
		case errors.As(err, &damaged):
			got = "damaged"
		case errors.Is(err, ErrFormat):
			got = "format"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if e, known, err := readEpochs(vfs.NewMem(), "/"); e != nil || known || err != nil {
		t.Errorf("without a file: %v, %v, %v", e, known, err)
	}
}

// fileName and splitName are Kafka's.
func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"a-0": "a 0 true", "my-topic-12": "my-topic 12 true", "a.b_c-7": "a.b_c 7 true",
		"a": " 0 false", "-1": " 0 false", "a-": " 0 false", "a-01": " 0 false", "a--1": "a- 1 true", "a-x": " 0 false", "a-4294967296": " 0 false",
	} {
		topic, partition, ok := splitName(name)
		if got := fmt.Sprint(topic, " ", partition, " ", ok); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	if got := fileName("/d", 42, suffixSegment); got != "/d/00000000000000000042.log" {
		t.Error(got)
	}
	for name, want := range map[string]int64{"00000000000000000042.log": 42, "42.log": -1, "0000000000000000004x.log": -1, "-0000000000000000042.log": -1, "00000000000000000042.index": -1, "99999999999999999999.log": -1} {
		got, ok := fileOffset(name, suffixSegment)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
