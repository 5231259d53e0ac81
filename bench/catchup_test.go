package bench_test

import (
	"slices"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/bench"
	"github.com/bobbin-log/bobbin/engine"
)

// TestCatchup gives every way to read a short turn: the readers come forward, and
// the writers are there.
func TestCatchup(t *testing.T) {
	p := smallPlan(t)
	p.Work.Time, p.Work.LimitBytes = 10*time.Millisecond, 1<<40
	c := bench.Catchup{
		Design: engine.DefaultDesign, Modes: bench.CatchupModes, Work: p.Work, Rounds: 1,
		ColdBytes: 4 << 20, ReadBytes: 1 << 20, Dir: p.Dir, Command: "test",
	}
	readers := slices.DeleteFunc(slices.Clone(c.Modes), func(m bench.CatchupMode) bool { return m.Alone })
	var r *bench.CatchupReport
	for read := 0; read < len(readers); c.Work.Time *= 2 { // which is longer than a read takes here, at last
		var err error
		if r, err = c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		read = 0
		for i, row := range r.Rows {
			if row.Writers.Appends == 0 || row.Kept <= 0 || row.ReadMBps > 0 && c.Modes[i].Alone {
				t.Fatalf("%+v", row)
			}
			if row.ReadMBps > 0 {
				read++
			}
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
