package segment_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Who creates a segment learns at once that the system cannot do it, and finds
// the name free for another design.
func TestUnsupported(t *testing.T) {
	for _, d := range segment.Designs {
		met := false
		mem := vfs.NewMem()
		sys := vfs.NewInject(mem, func(op vfs.Op) error {
			if op.Kind == vfs.OpDirect {
				met = true
				return errors.ErrUnsupported
			}
			return nil
		})
		s := subject{Design: d, fs: sys, dir: "/"}
		seg, err := d.Open(sys, s.path(), segment.Options{Create: true})
		if !met {
			if err != nil {
				t.Errorf("design %s: %v", d.Name, err)
			} else if err := seg.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("design %s on a system that cannot do it: %v", d.Name, err)
		}
		if _, err := mem.Stat(s.path()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("design %s left its name behind: %v", d.Name, err)
		}
	}
}
