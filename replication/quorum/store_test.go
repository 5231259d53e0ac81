package quorum

import (
	"bytes"
	"errors"
	"maps"
	"path"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

func entryOf(term uint64, data []byte) *raft.Log {
	return &raft.Log{Index: 7, Term: term, Type: raft.LogCommand, Data: data}
}

func openLogStore(t *testing.T) (*logStore, *engine.Store) {
	t.Helper()
	store, err := engine.OpenStore(engine.StoreOptions{FS: vfs.NewMem(), Dir: "/data", NodeID: 1})
	if err != nil {
		t.Fatal(err)
	}
	l, err := store.Create(logName, engine.LogOptions{Config: logConfig(), First: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Check(); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &logStore{log: l, fail: func(err error) { t.Logf("failed: %v", err) }, stop: func() {}}, store
}

func entries(from, to, term uint64) (logs []*raft.Log) {
	for i := from; i <= to; i++ {
		logs = append(logs, &raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: []byte{byte(i), byte(term)}})
	}
	return logs
}

// TestLogStore shows each kind of DeleteRange by example.
func TestLogStore(t *testing.T) {
	for _, c := range []struct {
		name        string
		low, high   uint64
		first, last uint64 // after DeleteRange of [1, 9]
		next        uint64 // what can be stored then
	}{
		{"front", 1, 4, 5, 9, 10},
		{"end", 6, 9, 1, 5, 6},
		{"all", 1, 9, 0, 0, 10},
		{"all and past it", 1, 100, 0, 0, 200},
		{"all, and back again", 1, 9, 0, 0, 3},
		{"nothing", 20, 30, 1, 9, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := openLogStore(t)
			if first, _ := s.FirstIndex(); first != 0 {
				t.Errorf("an empty store begins at %d", first)
			}
			if err := s.StoreLogs(entries(1, 9, 1)); err != nil {
				t.Fatal(err)
			}
			if err := s.DeleteRange(c.low, c.high); err != nil {
				t.Fatal(err)
			}
			first, _ := s.FirstIndex()
			last, _ := s.LastIndex()
			if first != c.first || last != c.last {
				t.Errorf("[%d, %d] is left, want [%d, %d]", first, last, c.first, c.last)
			}
			if err := s.StoreLogs(entries(c.next, c.next+2, 2)); err != nil {
				t.Fatal(err)
			}
			for i := max(c.first, 1); i <= c.next+2; i++ {
				var got raft.Log
				err := s.GetLog(i, &got)
				gone := c.first == 0 && i < c.next
				switch {
				case gone && !errors.Is(err, raft.ErrLogNotFound):
					t.Errorf("entry %d: %v, want ErrLogNotFound", i, err)
				case !gone && (err != nil || got.Index != i || got.Data[0] != byte(i)):
					t.Errorf("entry %d: %+v, %v", i, got, err)
				case !gone && (got.Term == 2) != (i >= c.next):
					t.Errorf("entry %d has term %d", i, got.Term)
				}
			}
		})
	}
}

func TestLogStoreRefusesGaps(t *testing.T) {
	s, _ := openLogStore(t)
	if err := s.StoreLogs(entries(1, 3, 1)); err != nil {
		t.Fatal(err)
	}
	for _, next := range []uint64{3, 5} {
		if err := s.StoreLogs(entries(next, next, 1)); err == nil {
			t.Errorf("entry %d was stored behind 3", next)
		}
	}
	if err := s.DeleteRange(2, 2); err == nil {
		t.Error("a hole was made")
	}
}

func TestEntryRoundTrip(t *testing.T) {
	for _, l := range []*raft.Log{
		{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: []byte("c")},
		{Index: 1 << 40, Term: 1 << 30, Type: raft.LogCommand, Data: bytes.Repeat([]byte("d"), 1<<16), AppendedAt: time.Unix(1, 2)},
		{Index: 3, Term: 2, Type: raft.LogNoop},
		{Index: 4, Term: 2, Type: raft.LogBarrier, Extensions: []byte("ext")},
	} {
		b, rest, err := batch.Next(appendEntry(nil, l))
		if err != nil || len(rest) > 0 {
			t.Fatal(err, len(rest))
		}
		got, err := decodeEntry(b)
		if err != nil || !reflect.DeepEqual(&got, l) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, l)
		}
	}
}

func TestStableStoreWritesTogether(t *testing.T) {
	var trace bytes.Buffer
	mem := vfs.NewMem()
	if err := mem.MkdirAll("/d"); err != nil {
		t.Fatal(err)
	}
	open := func() *stableStore {
		s := &stableStore{fs: vfs.NewTrace(mem, &trace, vfs.OpSync, vfs.OpRename, vfs.OpSyncDir), dir: "/d"}
		if err := s.open(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	for range 2 { // the second time nothing changes
		for _, err := range []error{
			s.SetUint64([]byte(keyTerm), 3), s.SetUint64([]byte(keyVoteTerm), 3), s.Set([]byte("LastVoteCand"), []byte("me")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	once := "sync: /d/raft-state.tmp\nrename: /d/raft-state.tmp -> /d/raft-state\nsyncdir: /d\n"
	if got := trace.String(); got != once+once {
		t.Errorf("a term and a vote are stored by\n%swant\n%s", got, once+once)
	}
	again := open()
	if !maps.EqualFunc(again.mu.values, s.mu.values, bytes.Equal) {
		t.Errorf("stored %q, read %q", s.mu.values, again.mu.values)
	}
	if n, err := again.GetUint64([]byte("LastVoteCand")); err == nil {
		t.Errorf("a name was read as the number %d", n)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(appendEntry(nil, entryOf(3, []byte("data"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := batch.Parse(b)
		if err != nil || s.Len() == 0 {
			return
		}
		l, err := decodeEntry(s.First())
		if err != nil {
			return
		}
		if got, _ := decodeEntry(batch.Batch(appendEntry(nil, &l))); !reflect.DeepEqual(got.Data, l.Data) || got.Type != l.Type {
			t.Errorf("%+v became %+v", l, got)
		}
	})
}

func FuzzDecodeCommand(f *testing.F) {
	f.Add(encodeCommand(1, [][]byte{[]byte("a"), nil, []byte("bc")}))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		term, records, err := decodeCommand(b)
		if err != nil {
			return
		}
		term2, again, err := decodeCommand(encodeCommand(term, records))
		if err != nil || term2 != term || len(again) != len(records) {
			t.Fatalf("%d %q became %d %q, %v", term, records, term2, again, err)
		}
		for i := range records {
			if !bytes.Equal(records[i], again[i]) {
				t.Errorf("record %d: %q became %q", i, records[i], again[i])
			}
		}
	})
}

func FuzzDecodeStable(f *testing.F) {
	f.Add(encodeStable(map[string][]byte{"a": []byte("1"), "bb": nil}))
	f.Fuzz(func(t *testing.T, b []byte) {
		values, err := decodeStable(b)
		if err != nil {
			return
		}
		again, err := decodeStable(encodeStable(values))
		if err != nil || !maps.EqualFunc(values, again, bytes.Equal) {
			t.Errorf("%q became %q, %v", values, again, err)
		}
	})
}

func FuzzDecodeSnapshot(f *testing.F) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("/d"); err != nil {
		f.Fatal(err)
	}
	s := &snapshotStore{fs: fs, dir: "/d", fail: func(err error) { f.Error(err) }}
	c := raft.Configuration{Servers: []raft.Server{{ID: "1", Address: "1"}, {Suffrage: raft.Nonvoter, ID: "2", Address: "b"}}}
	sink, _ := s.Create(raft.SnapshotVersionMax, 9, 3, c, 1, nil)
	_, _ = sink.Write([]byte("state"))
	if err := sink.Close(); err != nil {
		f.Fatal(err)
	}
	good, err := readFile(fs, path.Join("/d", sink.ID()), 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	meta, state, err := decodeSnapshot(good)
	if err != nil || meta.Index != 9 || meta.Term != 3 || !reflect.DeepEqual(meta.Configuration, c) || string(state) != "state" {
		f.Fatalf("%+v %q %v", meta, state, err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		if meta, _, err := decodeSnapshot(b); err == nil && meta.Size > int64(len(b)) {
			t.Errorf("%d bytes of state in %d", meta.Size, len(b))
		}
	})
}
