package replication

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// The scrub goes through the logs of cold partitions too, no faster than it may,
// and ends with the node.
func TestScrub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		small := func(o *Options) {
			o.Defaults = engine.DefaultConfig()
			o.Defaults.SegmentBytes = 4096
		}
		n, err := Open(t.Context(), func() Options { o := testOptions(t, mem); small(&o); return o }())
		if err != nil {
			t.Fatal(err)
		}
		create(t, n, "a", 2)
		produce(t, n, "a", 0, "v")
		for range 8 {
			produce(t, n, "a", 1, strings.Repeat("x", 2000))
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		f, err := mem.Open("/data/a-1/00000000000000000000.log")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([][]byte{[]byte("!")}, 1000); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		const rate = 1000
		n = openNode(t, mem, small, func(o *Options) { o.ScrubBytesPerSecond = rate })
		p, err := n.Partition("a", 1)
		if err != nil {
			t.Fatal(err)
		}
		damage := func() int {
			l, err := p.Log()
			if err != nil {
				t.Fatal(err)
			}
			return len(l.Damage())
		}
		if damage() != 0 {
			t.Fatal("the damage was found before the scrub began")
		}
		// Two logs, for which scrubOpenBytes count each, come before the end of the second.
		time.Sleep(2*scrubOpenBytes/rate*time.Second - time.Second)
		before := damage()
		time.Sleep(time.Minute)
		if after := damage(); before != 0 || after != 1 {
			t.Errorf("%d are found too early, %d a minute later; want 0 and 1", before, after)
		}
	})
}
