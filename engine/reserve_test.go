package engine_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Zeros behind the last batch are room that was reserved, or made by a crash that
// kept a length and not the bytes: an end like another. Nobody is told of damage,
// and a segment that was rolled goes on with the next one.
func TestReservedRoomIsAnEnd(t *testing.T) {
	for _, c := range crashConfigs() {
		t.Run(configName(c), func(t *testing.T) {
			mem := vfs.NewMem()
			s := openStore(t, mem, "/data")
			l := create(t, s, "t-0", c)
			want := fill(t, l, rand.New(rand.NewPCG(1, 1)), nil, 300)
			segments := l.Segments()
			if len(segments) < 3 {
				t.Fatal("the log has not rolled")
			}
			killed := mem.Kill()
			closeStore(t, s, l)
			for _, sealed := range segments[:len(segments)-1] {
				name := fmt.Sprintf("%020d.log", sealed.Base)
				truncate(t, killed, path.Join("/data/t-0", name), sealed.Bytes+10_000) // upwards
			}
			var told bytes.Buffer
			s, err := engine.OpenStore(engine.StoreOptions{FS: killed, Dir: "/data", NodeID: 1, Logger: slog.New(slog.NewTextHandler(&told, nil))})
			if err != nil {
				t.Fatal(err)
			}
			l = reopen(t, s, "t-0", c)
			checkValues(t, readAll(t, l, 0, int64(len(want)), 1<<20), 0, want)
			if strings.Contains(told.String(), "not whole") {
				t.Errorf("reserved room is reported as damage:\n%s", &told)
			}
			closeStore(t, s, l)
		})
	}
}

// Where a sealed segment has all offsets up to the next one, whatever lies behind
// its last batch is nothing that was lost: it is cut off, and the log goes on.
func TestGarbageBehindASegment(t *testing.T) {
	mem := vfs.NewMem()
	c := smallConfig(engine.DefaultDesign)
	s := openStore(t, mem, "/data")
	l := create(t, s, "t-0", c)
	want := fill(t, l, rand.New(rand.NewPCG(1, 1)), nil, 300)
	segments := l.Segments()
	killed := mem.Kill()
	closeStore(t, s, l)
	f, err := killed.Open(path.Join("/data/t-0", "00000000000000000000.log"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([][]byte{[]byte("garbage")}, segments[0].Bytes); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, killed, "/data")
	l = reopen(t, s, "t-0", c)
	end := int64(len(want))
	if m := l.Marks(); m.Start != 0 || m.End != end {
		t.Errorf("the log is [%d, %d), want [0, %d)", m.Start, m.End, end)
	}
	if got := l.Segments()[0].Bytes; got != segments[0].Bytes {
		t.Errorf("the segment has %d bytes, want the %d of its batches", got, segments[0].Bytes)
	}
	checkValues(t, readAll(t, l, 0, end, 1<<20), 0, want)
	closeStore(t, s, l)
}
