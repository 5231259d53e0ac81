package vfs_test

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A durable write is a write like any other to whoever reads, in the file or past
// its end, and is refused where any other would be.
func TestWriteDurable(t *testing.T) {
	for name, sys := range map[string]vfs.FS{"os": vfs.OS{}, "mem": vfs.NewMem()} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a")
			ok(t, sys.MkdirAll(filepath.Dir(path)))
			f := create(t, sys, path, "0123456789")
			ok(t, f.WriteDurable([]byte("ab"), 4))
			ok(t, f.WriteDurable([]byte("end"), 12))
			ok(t, f.WriteDurable(nil, 0))
			if got, want := contentOf(t, f), "0123ab6789\x00\x00end"; got != want {
				t.Errorf("the file holds %q, want %q", got, want)
			}
			if err := f.WriteDurable([]byte("x"), -1); err == nil {
				t.Error("a write before the start")
			}
			ok(t, f.Close())
			refused(t, f.WriteDurable([]byte("x"), 0), fs.ErrClosed, "writedurable", path)
			f = must(sys.OpenRead(path))(t)
			defer f.Close()
			if err := f.WriteDurable([]byte("x"), 0); err == nil {
				t.Error("a write to a file that was opened for reading")
			}
		})
	}
}

// What is durable after it are its own blocks of 512 bytes, and a length that
// reaches to their end; mapped or not, and whatever was there before.
func TestMemWriteDurableIsOfItsBlocksAlone(t *testing.T) {
	for _, mapped := range []bool{false, true} {
		mem := vfs.NewMem()
		block := func(b byte) []byte { return bytes.Repeat([]byte{b}, 512) }
		f := create(t, mem, "/a", string(bytes.Repeat(block('o'), 70))) // more than a chunk
		ok(t, f.Sync())
		ok(t, mem.SyncDir("/"))
		if mapped {
			m := must(f.Map(70 * 512))(t)
			t.Cleanup(func() { ok(t, m.Unmap()) })
		}
		for i := range int64(80) {
			if _, err := f.WriteAt([][]byte{block('n')}, i*512); err != nil {
				t.Fatal(err)
			}
		}
		ok(t, f.WriteDurable(bytes.Repeat(block('d'), 3), 63*512)) // over the chunk's end
		ok(t, f.WriteDurable([]byte("x"), 72*512))                 // past the old length
		if _, err := f.WriteAt([][]byte{block('n')}, 64*512); err != nil {
			t.Fatal(err) // dirty again
		}
		left := mem.Crash(nil, 0)
		g := must(left.Open("/a"))(t)
		want := bytes.Repeat(block('o'), 70)
		copy(want[63*512:], bytes.Repeat(block('d'), 3))
		want = append(want, make([]byte, 2*512)...)
		want = append(want, 'x')
		if got := contentOf(t, g); got != string(want) {
			t.Errorf("mapped %v: the crash left %d bytes that are not the %d wanted", mapped, len(got), len(want))
		}
		ok(t, f.Sync())
		if got := contentOf(t, must(mem.Crash(nil, 0).Open("/a"))(t)); got != contentOf(t, f) {
			t.Errorf("mapped %v: what was synced afterwards is not there", mapped)
		}
	}
}
