package segment_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// On a real disk that is full every design says so, and lives: a store through a
// mapping would find no block and kill the process. With room again it goes on.
func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("cannot mount a file system of its own: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil { // whoever looks at it at the moment
			t.Error(err)
		}
	})
	for _, d := range segment.Designs {
		if !d.Durable {
			continue
		}
		t.Run("design="+d.Name, func(t *testing.T) {
			filler := filepath.Join(dir, "filler")
			if err := os.WriteFile(filler, make([]byte, 300<<10), 0o600); err != nil {
				t.Fatal(err)
			}
			s := subject{Design: d, fs: vfs.OS{}, dir: dir}
			seg := s.create(t)
			defer os.Remove(s.path())
			var want bytes.Buffer
			fill := func() {
				t.Helper()
				for i := 0; ; i++ {
					b := bytes.Repeat([]byte{byte(i + 1)}, 3000)
					_, err := seg.Append([][]byte{b})
					if errors.Is(err, vfs.ErrNoSpace) {
						break
					}
					if err != nil {
						t.Fatalf("append %d: %v", i, err)
					}
					want.Write(b)
				}
				if err := seg.Sync(); err != nil {
					t.Errorf("Sync on a full disk: %v", err)
				}
			}
			fill()
			first := want.Len()
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			fill()
			if got := all(t, seg); got != want.String() {
				t.Errorf("%d bytes differ from the %d appended", len(got), want.Len())
			}
			if want.Len() < first+200<<10 || want.Len() < 900<<10 {
				t.Errorf("only %d bytes found room, and %d once there was more", first, want.Len())
			}
			if err := seg.Close(); err != nil {
				t.Fatal(err)
			}
			if got := s.get(t); got != want.String() {
				t.Errorf("the file of %d bytes is not the %d appended", len(got), want.Len())
			}
		})
	}
}
