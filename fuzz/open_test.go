package fuzz_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// clock stands still, near the timestamps of the recorded directories.
func clock() time.Time { return time.UnixMilli(1_000_000) }

// directory is the files of a data directory with one log.
type directory map[string][]byte

const logDir = "/data/t-0/"

// recorded makes a real directory, to start from.
func recorded(t testing.TB, batches int, clean bool) directory {
	t.Helper()
	s := newSubject(engine.DefaultDesign, clock)
	if err := errors.Join(s.openStore(s.disk), s.create(0)); err != nil {
		t.Fatal(err)
	}
	for i := range batches {
		raw := batch.Of(batch.Record{Timestamp: int64(i), Value: []byte("value")}, batch.Record{Timestamp: int64(i)}).Bytes()
		if err := s.send(raw, 0, engine.Appended{Base: int64(2 * i), Next: int64(2*i + 2), Time: -1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.store.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	disk := s.disk.Kill()
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	if clean {
		disk = s.disk
	}
	return filesOf(t, disk)
}

// journalDir is the directory of the store's journal, where it has one.
const journalDir = "/data/journal/"

// filesOf reads what a disk has of the data directory, its one log and its
// journal.
func filesOf(t testing.TB, disk *vfs.Mem) directory {
	t.Helper()
	d := directory{}
	for _, dir := range []string{"/data/", logDir, journalDir} {
		entries, err := disk.ReadDir(dir)
		if err != nil && (dir != journalDir || !errors.Is(err, fs.ErrNotExist)) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() {
				continue
			}
			b, err := vfs.ReadFile(disk, dir+e.Name(), 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			d[dir+e.Name()] = b
		}
	}
	return d
}

func (d directory) write(t testing.TB) *vfs.Mem {
	t.Helper()
	disk := vfs.NewMem()
	if err := disk.MkdirAll(logDir); err != nil {
		t.Fatal(err)
	}
	for name, b := range d {
		if err := disk.MkdirAll(path.Dir(name)); err != nil {
			t.Fatal(err)
		}
		f, err := disk.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([][]byte{b}, 0)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return disk
}

// typed reports whether an error says what is wrong with the directory.
func typed(err error) bool {
	var corrupt *engine.CorruptError
	return errors.As(err, &corrupt) || errors.Is(err, engine.ErrFormat) || errors.Is(err, engine.ErrNotFound)
}

// FuzzOpen opens a directory of which some files are arbitrary bytes. It opens, or
// says what is wrong; what opens after a crash can be used, and what it gives out is
// whole: damage that no crash makes is known.
func FuzzOpen(f *testing.F) {
	for _, n := range []int{0, 1, 30} {
		for _, clean := range []bool{false, true} {
			d := recorded(f, n, clean)
			name := func(suffix string) []byte { return d[logDir+fmt.Sprintf("%020d", 0)+suffix] }
			f.Add(clean, uint8(0), name(".log"), name(".index"), name(".timeindex"), d["/data/recovery-point-offset-checkpoint"], []byte{})
			f.Add(clean, uint8(1), name(".log"), name(".index"), name(".timeindex"), []byte("0\n1\nt 0 3\n"), d[logDir+"leader-epoch-checkpoint"])
			f.Add(clean, uint8(2), name(".log"), name(".index"), name(".timeindex"), []byte("0\n1\nt 0 0\n"), []byte("0\n1\nt 0 2\n"))
			f.Add(clean, uint8(3), name(".log"), []byte{}, []byte{}, []byte{}, []byte("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA"))
			f.Add(clean, uint8(4), name(".log"), []byte{1}, []byte{2}, []byte{}, d[logDir+fmt.Sprintf("%020d.snapshot", 2*n)])
			f.Add(clean, uint8(5), name(".log"), []byte{}, []byte{}, []byte{}, d["/data/meta.properties"])
		}
	}
	others := []string{
		"", logDir + "leader-epoch-checkpoint", "/data/log-start-offset-checkpoint", logDir + "partition.metadata",
		logDir + "00000000000000000002.snapshot", "/data/meta.properties",
	}
	f.Fuzz(func(t *testing.T, clean bool, which uint8, log, offsets, times, recovery, other []byte) {
		d := recorded(t, 10, clean)
		d[logDir+"00000000000000000000.log"] = log
		d[logDir+"00000000000000000000.index"] = offsets
		d[logDir+"00000000000000000000.timeindex"] = times
		d["/data/recovery-point-offset-checkpoint"] = recovery
		if name := others[int(which)%len(others)]; name != "" {
			d[name] = other
		}
		s := newSubject(engine.DefaultDesign, clock)
		s.disk = d.write(t)
		err := s.open(s.disk)
		if s.store == nil {
			if !typed(err) {
				t.Errorf("the store: %v", err)
			}
			return
		}
		defer s.store.Close()
		if err != nil {
			if !typed(err) {
				t.Errorf("the log: %v", err)
			}
			return
		}
		useWhatOpened(t, s, !clean && len(recovery) == 0)
	})
}

// useWhatOpened reads, appends, and closes. A log whose every byte was checked gives
// out nothing that is damaged.
func useWhatOpened(t *testing.T, s *subject, checked bool) {
	t.Helper()
	if err := s.log.Check(); err != nil && checked && !typed(err) {
		t.Errorf("check: %v", err)
	}
	m := s.log.Marks()
	if m.Start > m.Durable || m.Durable > m.End || m.Acked > m.End {
		t.Errorf("marks %+v", m)
	}
	for from := m.Start; from < m.End; {
		e, err := s.log.Read(context.Background(), engine.Read{From: from, UpTo: m.End, MaxBytes: 1, AtLeastOne: true})
		if err != nil {
			if !typed(err) {
				t.Errorf("read from %d: %v", from, err)
			}
			break
		}
		buf := make([]byte, e.Len())
		_, _ = e.ReadAt(buf, 0)
		e.Release()
		b, _, err := batch.Next(buf)
		if err == nil && checked {
			err = b.Check()
		}
		if err != nil && checked {
			t.Errorf("the batch at %d: %v", from, err)
		}
		if err != nil || b.NextOffset() <= from {
			break // damage that a consumer finds by the checksum
		}
		from = b.NextOffset()
	}
	for _, ms := range []int64{0, 5, 1 << 60} {
		if _, _, err := s.log.OffsetForTime(ms); err != nil && !typed(err) {
			t.Errorf("time %d: %v", ms, err)
		}
	}
	raw := batch.Of(batch.Record{Value: bytes.Repeat([]byte("x"), 10)}).Bytes()
	set, err := batch.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := s.log.Append(set, s.log.Epoch()); checked && m.End < 1<<62 && (err != nil || a.Base != m.End) {
		t.Errorf("append: %+v, %v", a, err)
	}
	s.store.Tick(clock())
	_ = s.log.Truncate(m.Start + (m.End-m.Start)/2)
}
