package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A log whose segments drop their bytes takes records, acknowledges them, rolls,
// trims and retains: all that a baseline for appends needs. Who reads from it, or
// needs to read for what he asks, is told why he cannot.
func TestLogThatKeepsNothing(t *testing.T) {
	for _, s := range segment.Designs {
		if s.Keeps {
			continue
		}
		t.Run("design="+s.Name, func(t *testing.T) {
			c := smallConfig(engine.Design{Segment: s.Name, Index: "none", Sync: "always", Retention: "size"})
			c.RetentionBytes = 2500
			store := openStore(t, vfs.NewMem(), "/data")
			l := create(t, store, "t-0", c)
			for i := range 40 {
				if a := mustAppend(t, l, records(5, "value", 1)); a.Base != int64(5*i) {
					t.Fatalf("append %d went to offset %d", i, a.Base)
				}
			}
			if m := l.Marks(); m.End != 200 || m.Acked != 200 {
				t.Errorf("marks are %+v", m)
			}
			rolled := len(l.Segments())
			if err := l.Trim(60); err != nil {
				t.Errorf("Trim: %v", err)
			}
			store.Tick(time.UnixMilli(1000))
			if n, m := len(l.Segments()), l.Marks(); rolled < 3 || n >= rolled || m.Start < 60 {
				t.Errorf("%d segments, %d after retention; marks are %+v", rolled, n, m)
			}
			start := l.Marks().Start
			if _, err := l.Read(context.Background(), engine.Read{From: start, UpTo: 200, MaxBytes: 1000}); !errors.Is(err, segment.ErrDropped) {
				t.Errorf("Read: %v", err)
			}
			if err := l.Truncate(start + 7); !errors.Is(err, segment.ErrDropped) {
				t.Errorf("Truncate: %v", err)
			}
			mustAppend(t, l, records(1, "still", 1)) // the refusals broke nothing
			if err := l.Reset(1000); err != nil {
				t.Errorf("Reset: %v", err)
			}
			if a := mustAppend(t, l, records(2, "more", 1)); a.Base != 1000 {
				t.Errorf("after Reset(1000) an append went to offset %d", a.Base)
			}
			closeStore(t, store, l)
		})
	}
}
