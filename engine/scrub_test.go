package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

func unpaced(context.Context, int64) error { return nil }

// A bit that flips in a body, in what no start reads, is found by a scrub, refused
// from then on, and still refused after the next start.
func TestScrub(t *testing.T) {
	h, disk, lost := flipped(t, "clean", 1, 3, 70)
	if err := h.open(disk); err != nil {
		t.Fatal(err)
	}
	if _, refused := walk(t, h.log); len(refused) > 0 {
		t.Fatalf("%v are refused: something but the scrub has found the damage", refused)
	}
	asked := int64(0)
	done, err := h.log.Scrub(t.Context(), func(_ context.Context, n int64) error {
		asked += n
		return nil
	})
	sealed := h.log.Segments()
	sealed = sealed[:len(sealed)-1]
	var bytes int64
	for _, s := range sealed {
		bytes += s.Bytes
	}
	if err != nil || done.Segments != len(sealed) || done.Found != 1 || done.Bytes != bytes-int64(len(lost)) {
		t.Errorf("%+v, %v; want %d segments of %d bytes less those of a batch of %d", done, err, len(sealed), bytes, len(lost))
	}
	if asked != bytes {
		t.Errorf("leave to read %d bytes was asked, %d were there", asked, bytes)
	}
	if again, err := h.log.Scrub(t.Context(), unpaced); err != nil || again.Found != 0 {
		t.Errorf("a second scrub finds %+v, %v", again, err)
	}
	killed := disk.Kill()
	closeStore(t, h.store)
	for name, after := range map[string]func() error{"stopped": func() error { return h.open(disk) }, "killed": func() error { return h.open(killed) }} {
		if err := after(); err != nil {
			t.Fatal(err)
		}
		if _, refused := walk(t, h.log); len(refused) != 5 || refused[0] != lost.BaseOffset() {
			t.Errorf("%s: %v are refused, want the 5 from %d", name, refused, lost.BaseOffset())
		}
		closeStore(t, h.store)
	}
}

// A scrub ends where its pace says so, and has harmed nothing.
func TestScrubStops(t *testing.T) {
	h, disk, _ := flipped(t, "clean", 1, 3, 70)
	if err := h.open(disk); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	calls := 0
	_, err := h.log.Scrub(t.Context(), func(context.Context, int64) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 || len(h.log.Damage()) > 0 {
		t.Errorf("after %d calls: %v, %v", calls, err, h.log.Damage())
	}
	closeStore(t, h.store)
}

// What is cut off while it is scrubbed is not damage.
func TestScrubBesideTruncate(t *testing.T) {
	h, disk := damaged(t, smallConfig(engine.DefaultDesign), true, func(vfs.FS) {})
	if err := h.open(disk); err != nil {
		t.Fatal(err)
	}
	cut := false
	_, err := h.log.Scrub(t.Context(), func(context.Context, int64) error {
		if cut {
			return nil
		}
		cut = true
		return h.log.Truncate(12)
	})
	if err != nil || len(h.log.Damage()) > 0 {
		t.Errorf("%v, %v", err, h.log.Damage())
	}
	if err := h.log.Check(); err != nil {
		t.Error(err)
	}
	closeStore(t, h.store)
}
