package bench_test

import (
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/bench"
	"github.com/bobbin-log/bobbin/engine"
)

// TestCatchup gives every way to read a short turn: the readers come forward, and
// the writers are there.
func TestCatchup(t *testing.T) {
	p := smallPlan(t)
	p.Work.Time = 50 * time.Millisecond
	c := bench.Catchup{
		Design: engine.DefaultDesign, Modes: bench.CatchupModes, Work: p.Work, Rounds: 1,
		ColdBytes: 4 << 20, ReadBytes: 1 << 20, Dir: p.Dir, Command: "test",
	}
	r, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range r.Rows {
		if row.Writers.Appends == 0 || row.Kept <= 0 || (row.ReadMBps > 0) == bench.CatchupModes[i].Alone {
			t.Errorf("%+v", row)
		}
	}
	if r.Rows[0].Kept != 1 || r.Rows[0].Stretch != 1 {
		t.Errorf("alone, compared with itself: %+v", r.Rows[0])
	}
	c.ColdBytes = 1
	if _, err := c.Run(t.Context()); err == nil {
		t.Error("a log smaller than a read was accepted")
	}
}
