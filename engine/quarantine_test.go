package engine_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// walk reads a log as a consumer does that goes on behind what it is told cannot
// be read. It returns the offsets and values of the batches that are whole, and
// the offsets that were refused.
func walk(t testing.TB, l *engine.Log) (values map[int64]string, refused []int64) {
	t.Helper()
	values = map[int64]string{}
	m := l.Marks()
	for from := m.Start; from < m.End; {
		e, err := l.Read(context.Background(), engine.Read{From: from, UpTo: m.End, MaxBytes: 1, AtLeastOne: true})
		var corrupt *engine.CorruptError
		if errors.As(err, &corrupt) {
			if corrupt.First > from || corrupt.Next <= from {
				t.Fatalf("read from %d: %v", from, err)
			}
			for ; from < corrupt.Next; from++ {
				refused = append(refused, from)
			}
			continue
		}
		if err != nil || e.Len() == 0 {
			t.Fatalf("read from %d of %+v: %d bytes, %v", from, m, e.Len(), err)
		}
		b := make(batch.Batch, e.Len())
		_, err = e.ReadAt(b, 0)
		e.Release()
		if err != nil {
			t.Fatal(err)
		}
		if b.Check() == nil { // what a client does
			for r := range b.Records(1 << 20) {
				values[r.Offset] = string(r.Value)
			}
		}
		from = b.NextOffset()
	}
	return values, refused
}

// places are where the batches of a segment begin.
func places(t testing.TB, raw []byte) (at []int) {
	t.Helper()
	for rest := raw; len(rest) > 0; {
		b, more, err := batch.Next(rest)
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, len(raw)-len(rest))
		rest = more
		_ = b
	}
	return at
}

// stops are the ways in which a broker ended, and what it left of its
// checkpoints.
func stops() []string { return []string{"clean", "killed", "killed, checkpoint lost"} }

// flipped makes a log of about four segments, ended in one of the ways, and flips a
// bit of the n-th batch of a segment, both counted from the end if negative.
func flipped(t *testing.T, stop string, segment, n int, at int) (h *history, disk *vfs.Mem, lost batch.Batch) {
	t.Helper()
	h, disk = damaged(t, smallConfig(engine.DefaultDesign), stop == "clean", func(fsys vfs.FS) {
		files := filesOf(t, fsys, ".log")
		file := files[(segment+len(files))%len(files)]
		raw := readWhole(t, fsys, file)
		all := places(t, raw)
		pos := all[(n+len(all))%len(all)]
		lost, _, _ = batch.Next(raw[pos:])
		lost = slices.Clone(lost)
		raw[pos+at] ^= 0x08
		writeWhole(t, fsys, file, raw)
		if stop == "killed, checkpoint lost" {
			if err := fsys.Remove("/data/recovery-point-offset-checkpoint"); err != nil {
				t.Fatal(err)
			}
		}
	})
	return h, disk, lost
}

// Wherever one bit flips in what was synced, the log opens, loses no byte, refuses
// the batch that the bit was in, and serves all others; also after another start.
func TestQuarantine(t *testing.T) {
	fields := map[string]int{"base offset": 1, "base offset, a little": 7, "length": 9, "length, a little": 10, "magic": 16, "CRC": 17, "attributes": 22, "last offset delta": 23, "last offset delta, a little": 26, "body": 70}
	for _, stop := range stops() {
		for _, segment := range []int{0, 1, -2, -1} {
			for _, n := range []int{0, 3, -1} {
				if segment == -1 && (n != 0 || stop == "killed, checkpoint lost") {
					continue // the end of a log that was killed: see TestTorn
				}
				for field, at := range fields {
					t.Run(fmt.Sprintf("%s/segment=%d/batch=%d/%s", stop, segment, n, field), func(t *testing.T) {
						quarantined(t, stop, segment, n, at)
					})
				}
			}
		}
	}
}

func quarantined(t *testing.T, stop string, segment, n, at int) {
	h, disk, lost := flipped(t, stop, segment, n, at)
	sizes := func() string {
		var all []string
		for _, file := range filesOf(t, disk, ".log") {
			all = append(all, fmt.Sprint(file, len(readWhole(t, disk, file))))
		}
		return strings.Join(all, " ")
	}
	before := sizes()
	want := maps.Clone(h.sure)
	for o := lost.BaseOffset(); o < lost.NextOffset(); o++ {
		delete(want, o)
	}
	for round := range 3 {
		if err := h.open(disk); err != nil {
			t.Fatal(err)
		}
		if m := h.log.Marks(); m.Start != 0 || m.End != 303 {
			t.Fatalf("marks are %+v, want [0, 303)", m)
		}
		got, refused := walk(t, h.log)
		if !maps.Equal(got, want) {
			t.Errorf("round %d: %d records are read, want the %d that are whole", round, len(got), len(want))
		}
		for _, o := range refused {
			if o < lost.BaseOffset() || o >= lost.NextOffset() {
				t.Errorf("round %d: offset %d is refused, damaged are %d to %d", round, o, lost.BaseOffset(), lost.LastOffset())
			}
		}
		var corrupt *engine.CorruptError
		if err := h.log.Check(); !errors.As(err, &corrupt) {
			t.Errorf("round %d: check: %v", round, err)
		}
		if err := h.store.Close(); err != nil {
			t.Fatal(err)
		}
		if after := sizes(); after != before {
			t.Fatalf("round %d: the segments were\n%s\nand are\n%s", round, before, after)
		}
	}
	if err := steps(func() error { return h.open(disk) }, func() error { return h.append(5, 5) }); err != nil {
		t.Fatal(err)
	}
	if got, _ := walk(t, h.log); got[303] == "" || got[312] == "" {
		t.Error("what was appended behind the damage is not read")
	}
	if err := h.store.Close(); err != nil {
		t.Error(err)
	}
}

// At the end of a log that was killed, past what is known to be synced, a batch
// that is not whole is a torn one, and the log ends before it.
func TestTorn(t *testing.T) {
	for name, damage := range map[string]func(b []byte, last int) []byte{
		"cut":            func(b []byte, last int) []byte { return b[:len(b)-7] },
		"header cut":     func(b []byte, last int) []byte { return b[:last+20] },
		"last bit":       func(b []byte, _ int) []byte { b[len(b)-1] ^= 1; return b },
		"zeros":          func(b []byte, last int) []byte { clear(b[last:]); return b },
		"zeros and more": func(b []byte, last int) []byte { clear(b[last:]); return append(b, make([]byte, 5000)...) },
	} {
		t.Run(name, func(t *testing.T) {
			h, disk := damaged(t, smallConfig(engine.DefaultDesign), false, func(fsys vfs.FS) {
				file := slices.Max(filesOf(t, fsys, ".log"))
				b := readWhole(t, fsys, file)
				all := places(t, b)
				writeWhole(t, fsys, file, damage(b, all[len(all)-1]))
			})
			if err := h.open(disk); err != nil {
				t.Fatal(err)
			}
			if m := h.log.Marks(); m.End != 302 || len(h.log.Damage()) > 0 {
				t.Errorf("marks are %+v and damage %v, want the log cut at 302", m, h.log.Damage())
			}
			closeStore(t, h.store, h.log)
		})
	}
}

// What is cut off is not damaged any more; what is put back in order neither.
func TestQuarantineEnds(t *testing.T) {
	t.Run("truncated", func(t *testing.T) {
		h, disk, lost := flipped(t, "killed, checkpoint lost", 1, 3, 70)
		if err := h.open(disk); err != nil {
			t.Fatal(err)
		}
		if len(h.log.Damage()) != 1 {
			t.Fatalf("damage is %v", h.log.Damage())
		}
		if err := h.log.Truncate(lost.BaseOffset() + 2); err != nil {
			t.Fatal(err)
		}
		if m := h.log.Marks(); m.End != lost.BaseOffset()+2 {
			t.Errorf("marks are %+v after truncation to %d", m, lost.BaseOffset()+2)
		}
		if err := h.log.Truncate(lost.BaseOffset()); err != nil {
			t.Fatal(err)
		}
		if m := h.log.Marks(); m.End != lost.BaseOffset() || len(h.log.Damage()) != 0 {
			t.Errorf("marks are %+v, damage is %v", m, h.log.Damage())
		}
		h.resume()
		if err := h.append(5, 5); err != nil {
			t.Fatal(err)
		}
		closeStore(t, h.store, h.log)
	})
	t.Run("restored", func(t *testing.T) {
		h, disk, lost := flipped(t, "killed, checkpoint lost", 1, 3, 70)
		if err := steps(func() error { return h.open(disk) }, func() error { return h.close() }); err != nil {
			t.Fatal(err)
		}
		if len(filesOf(t, disk, "bobbin-quarantine")) != 1 {
			t.Fatal("there is no quarantine file")
		}
		file := filesOf(t, disk, ".log")[1]
		raw := readWhole(t, disk, file)
		raw[posOf(t, raw, lost)+70] ^= 0x08
		writeWhole(t, disk, file, raw)
		if err := h.open(disk); err != nil {
			t.Fatal(err)
		}
		if len(h.log.Damage()) != 0 {
			t.Errorf("damage is %v", h.log.Damage())
		}
		closeStore(t, h.store, h.log)
		if names := filesOf(t, disk, "bobbin-quarantine"); len(names) != 0 {
			t.Errorf("there is still %v", names)
		}
	})
}

// posOf is where a batch with lost's place in the log lies.
func posOf(t testing.TB, raw []byte, lost batch.Batch) int {
	t.Helper()
	for _, at := range places(t, raw) {
		if batch.Batch(raw[at:]).BaseOffset() == lost.BaseOffset() {
			return at
		}
	}
	t.Fatal("no such batch")
	return 0
}

// A quarantine file that cannot be believed is not: what it says is found again.
func TestDamagedQuarantineFile(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "garbage": "\x00\xff", "no checksum": "0\n0\n", "wrong": "0\n1\n0 0 100 0 5 \"x\"\ncrc 00000000\n",
	} {
		t.Run(name, func(t *testing.T) {
			h, disk, _ := flipped(t, "killed", 0, 3, 16)
			writeWhole(t, disk, "/data/t-0/bobbin-quarantine", []byte(text))
			if err := h.open(disk); err != nil {
				t.Fatal(err)
			}
			if _, refused := walk(t, h.log); len(refused) != 5 {
				t.Errorf("refused are %v", refused)
			}
			if err := h.store.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
