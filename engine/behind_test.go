package engine_test

import (
	"fmt"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A policy that acknowledges what the kernel has promises that it survives
// kill -9: also of what was appended while another let it stay in the process.
func TestLooserPolicyKeepsItsPromise(t *testing.T) {
	for _, s := range segment.Designs {
		if !s.Durable {
			continue
		}
		t.Run("design="+s.Name, func(t *testing.T) {
			mem := vfs.NewMem()
			c := smallConfig(engine.Design{Segment: s.Name, Index: "none", Sync: "always", Retention: "keep"})
			store := openStore(t, mem, "/data")
			l := create(t, store, "t-0", c)
			var want []string
			add := func(sync string, acked int64) {
				t.Helper()
				c.Design.Sync = sync
				if err := l.SetConfig(c); err != nil {
					t.Fatal(err)
				}
				text := fmt.Sprintf("%d with %s", len(want), sync)
				if _, err := appendSpec(l, records(2, text, 1)); err != nil {
					t.Fatal(err)
				}
				want = append(want, text+"/0", text+"/1")
				if err := l.Wait(t.Context(), acked); err != nil { // acked 0: nobody waits
					t.Fatal(err)
				}
			}
			add("always", 0)
			add("none", 4)
			add("always", 0)
			add("interval", 8)

			killed := mem.Kill()
			closeStore(t, store, l)
			store = openStore(t, killed, "/data")
			l = reopen(t, store, "t-0", c)
			checkValues(t, readAll(t, l, 0, l.Marks().End, 1<<20), 0, want)
			closeStore(t, store, l)
		})
	}
}
