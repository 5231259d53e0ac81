package vfs_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// fileModel is a file in the plainest way: both states as whole slices.
type fileModel struct {
	live, durable []byte
}

func (m *fileModel) resize(size int) {
	if size <= len(m.live) {
		m.live = m.live[:size:size] // what is cut off does not come back
		return
	}
	m.live = append(m.live, make([]byte, size-len(m.live))...)
}

func (m *fileModel) write(p []byte, off int) {
	m.resize(max(len(m.live), off+len(p)))
	copy(m.live[off:], p)
}

func (m *fileModel) sync() { m.durable = slices.Clone(m.live) }

// padded returns one block of content, with zeros past its end.
func padded(content []byte, from int) []byte {
	b := make([]byte, block)
	if from < len(content) {
		copy(b, content[from:])
	}
	return b
}

// explains reports whether a crash may leave after: every block is that of one
// state, and the length is that of one state or between.
func (m *fileModel) explains(after []byte) bool {
	low, high := len(m.durable), len(m.live)
	if len(after) != high && (len(after) < low || len(after) > max(low, high)) {
		return false
	}
	for from := 0; from < len(after); from += block {
		n := min(block, len(after)-from)
		got := padded(after, from)[:n]
		if !bytes.Equal(got, padded(m.live, from)[:n]) && !bytes.Equal(got, padded(m.durable, from)[:n]) {
			return false
		}
	}
	return true
}

// program runs the operations that code stands for on a memory file and on the
// model, and compares them after each, crashes included.
type program struct {
	t     *testing.T
	mem   *vfs.Mem
	file  vfs.File
	model fileModel
	maps  []vfs.Mapping
}

const programMax = 70_000 // bytes; some chunks

func (p *program) step(op, a, b byte) {
	off := (int(a)<<8 | int(b)) * 3 % programMax
	if a%4 == 0 {
		off = int(b) // small ones, within few blocks
	}
	mapped := 0
	for _, m := range p.maps {
		mapped = max(mapped, len(m.Bytes()))
	}
	switch op % 10 {
	case 0, 1, 2:
		n := int(b) * (1 + int(op)) % 40_000
		data := bytes.Repeat([]byte{op | 1}, n)
		if _, err := p.file.WriteAt([][]byte{data[:n/3], data[n/3:]}, int64(off)); err != nil {
			p.t.Fatal(err)
		}
		if n > 0 {
			p.model.write(data, off)
		}
	case 3:
		if off >= mapped {
			ok(p.t, p.file.Truncate(int64(off)))
			p.model.resize(off)
		}
	case 4:
		ok(p.t, p.file.Preallocate(int64(off)))
		p.model.resize(max(off, len(p.model.live)))
	case 5:
		ok(p.t, p.file.Sync())
		p.model.sync()
	case 6:
		if m, err := p.file.Map(int64(len(p.model.live))); err == nil {
			p.maps = append(p.maps, m)
		} else if len(p.maps) == 0 {
			p.t.Fatal(err)
		}
	case 7:
		if len(p.maps) > 0 {
			m := p.maps[int(a)%len(p.maps)].Bytes()
			if off < len(m) {
				n := min(int(b)*8, len(m)-off)
				copy(m[off:], bytes.Repeat([]byte{op}, n))
				p.model.write(bytes.Repeat([]byte{op}, n), off)
			}
		}
	case 8:
		if len(p.maps) > 0 {
			last := len(p.maps) - 1
			if a%2 == 0 {
				ok(p.t, p.maps[last].Flush())
				p.model.sync()
			} else {
				ok(p.t, p.maps[last].Unmap())
				p.maps = p.maps[:last]
			}
		}
	case 9:
		p.mem, p.maps = p.mem.Kill(), nil
		p.file = must(p.mem.Open("/a"))(p.t)
	}
}

func (p *program) check(seed uint64) {
	p.t.Helper()
	if got := contentOf(p.t, p.file); got != string(p.model.live) {
		p.t.Fatalf("live content differs (%d bytes, want %d)", len(got), len(p.model.live))
	}
	for _, m := range p.maps {
		if !bytes.HasPrefix(p.model.live, m.Bytes()) {
			p.t.Fatal("a mapping differs from the file")
		}
	}
	if got := read(p.t, p.mem.Crash(nil, 0), "/a"); got != string(p.model.durable) {
		p.t.Fatalf("durable content differs (%d bytes, want %d)", len(got), len(p.model.durable))
	}
	if got := read(p.t, p.mem.Crash(nil, 100), "/a"); got != string(p.model.live) {
		p.t.Fatalf("a crash that keeps everything lost something (%d bytes, want %d)", len(got), len(p.model.live))
	}
	after := p.mem.Crash(rand.New(rand.NewPCG(seed, 7)), 50)
	if got := read(p.t, after, "/a"); !p.model.explains([]byte(got)) {
		p.t.Fatalf("a crash left what neither state explains (%d bytes)", len(got))
	}
	// The disk after a crash is a file system like any other.
	f := must(after.Open("/a"))(p.t)
	size := must(f.Size())(p.t)
	ok(p.t, f.Truncate(size+5000)) // shows what was left past the end
	if tail := contentOf(p.t, f)[size:]; strings.Trim(tail, "\x00") != "" {
		p.t.Fatal("a crash left bytes past the end")
	}
	ok(p.t, f.Truncate(size))
	ok(p.t, f.Sync())
	write(p.t, f, "again", 100)
	if got := read(p.t, after.Crash(nil, 0), "/a"); len(got) >= 105 && got[100:105] == "again" {
		p.t.Fatal("an unsynced write survived a second crash")
	}
}

func FuzzMem(f *testing.F) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 0))
		code := make([]byte, 120)
		for i := range code {
			code[i] = byte(rng.UintN(256))
		}
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		p := program{t: t, mem: vfs.NewMem()}
		p.file = create(t, p.mem, "/a", "")
		ok(t, p.mem.SyncDir("/"))
		for i, step := range slices.Collect(slices.Chunk(code[:min(len(code), 150)], 3)) {
			if len(step) == 3 {
				p.step(step[0], step[1], step[2])
				p.check(uint64(i))
			}
		}
		for _, m := range p.maps {
			ok(t, m.Unmap())
		}
		ok(t, p.file.Close())
		ok(t, p.mem.Remove("/a"))
	})
}
