package segment_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A design that keeps nothing still counts, seals, truncates and closes like
// any other, and says of every read that there is nothing.
func TestDesignsThatDrop(t *testing.T) {
	for _, d := range segment.Designs {
		if d.Keeps {
			continue
		}
		t.Run("design="+d.Name, func(t *testing.T) {
			seg := subject{Design: d, fs: vfs.NewMem(), dir: "/"}.create(t)
			for i, want := range []int64{0, 10, 10} {
				if pos := add(t, seg, []string{"0123456789", "", "abc"}[i]); pos != want {
					t.Errorf("append %d went to %d, want %d", i, pos, want)
				}
			}
			if n := seg.Size(); n != 13 {
				t.Errorf("Size is %d, want 13", n)
			}
			p := make([]byte, 4)
			if _, err := seg.ReadAt(p, 11); !errors.Is(err, segment.ErrDropped) {
				t.Errorf("ReadAt: %v", err)
			}
			if _, err := seg.ReadAt(p, 13); !errors.Is(err, io.EOF) {
				t.Errorf("ReadAt past the end: %v", err)
			}
			if _, err := seg.Extent(t.Context(), 2, 3); !errors.Is(err, segment.ErrDropped) {
				t.Errorf("Extent: %v", err)
			}
			if e, err := seg.Extent(t.Context(), 13, 3); e.Len() != 0 || err != nil {
				t.Errorf("Extent past the end: %d bytes, %v", e.Len(), err)
			}
			if err := errors.Join(seg.Sync(), seg.Seal()); err != nil {
				t.Error(err)
			}
			if _, err := seg.Append([][]byte{{1}}); !errors.Is(err, segment.ErrSealed) {
				t.Errorf("Append after Seal: %v", err)
			}
			if err := seg.Truncate(14); err == nil {
				t.Error("truncated to more than there was")
			}
			if err := seg.Truncate(5); err != nil {
				t.Errorf("Truncate: %v", err)
			}
			if pos := add(t, seg, "x"); pos != 5 {
				t.Errorf("after Truncate(5) an append went to %d", pos)
			}
			if err := seg.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			for name, call := range calls(seg) {
				if err := call(); !errors.Is(err, segment.ErrClosed) {
					t.Errorf("%s after Close: %v", name, err)
				}
			}
		})
	}
}

// What cannot be read back cannot be durable, and the default is for everybody.
func TestDesignFacts(t *testing.T) {
	if d := segment.Designs[0]; !d.Durable {
		t.Errorf("the default design is %s, which is not durable", d.Name)
	}
	if i := slices.IndexFunc(segment.Designs, func(d segment.Design) bool { return d.Durable && !d.Keeps }); i >= 0 {
		t.Errorf("design %s is durable, and keeps nothing", segment.Designs[i].Name)
	}
}
