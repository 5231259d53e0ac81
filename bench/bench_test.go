package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbin-log/bobbin/bench"
	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment"
)

// fake is an engine whose appends do what the test says.
type fake struct {
	appends atomic.Int64
	onTurn  func(n int64) error // called by the n-th append, from 1
	lost    int64
	closed  bool
}

func (f *fake) Append(int, []byte) error {
	n := f.appends.Add(1)
	if f.onTurn == nil {
		return nil
	}
	return f.onTurn(n)
}

func (f *fake) Held() (int64, error) { return f.appends.Load() - f.lost, nil }

func (f *fake) Close() error {
	f.closed = true
	return nil
}

func subject(name string, f *fake) bench.Subject {
	return bench.Subject{Name: name, Open: func(string, bench.Work) (bench.Engine, error) {
		f.appends.Store(0)
		return f, nil
	}}
}

// smallPlan is over in a moment.
func smallPlan(t *testing.T, s ...bench.Subject) bench.Plan {
	return bench.Plan{
		Subjects: s, Partitions: []int{3}, Rounds: 1, Dir: t.TempDir(), Command: "test",
		Work: bench.Work{
			Partitions: 1, Writers: 2, BatchBytes: 4 << 10, RecordBytes: 1 << 10,
			Time: 10 * time.Millisecond, LimitBytes: 1 << 20,
		},
	}
}

// TestSubjects gives each of the usual subjects a short turn. A design that the
// system refuses says so, and is no failure of the runner.
func TestSubjects(t *testing.T) {
	all, err := bench.Subjects(map[string]string{"segment.bytes": "1048576"})
	if err != nil {
		t.Fatal(err)
	}
	if want := 2 + len(segment.Designs)*len(engine.SyncPolicies); len(all) < want {
		t.Errorf("%d subjects, want at least %d", len(all), want)
	}
	names := bench.DefaultNames()
	if testing.Short() {
		names = []string{"pwrite+fdatasync", "file+mmap+always", "file+mmap+none"}
	}
	some, err := bench.Select(all, names)
	if err != nil {
		t.Fatal(err)
	}
	p := smallPlan(t, some...)
	r, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != len(some) {
		t.Fatalf("%d rows for %d subjects", len(r.Rows), len(some))
	}
	for _, row := range r.Rows {
		switch {
		case strings.HasPrefix(row.Error, "not opened: "):
			t.Logf("%s: %s", row.Subject, row.Error)
		case row.Error != "":
			t.Errorf("%s: %s", row.Subject, row.Error)
		case row.Median.Appends == 0 || row.Median.MBps <= 0 || row.Median.P50 > row.Median.P99 || row.Median.P999 > row.Median.Max:
			t.Errorf("%s: %+v", row.Subject, row.Median)
		}
	}
	left, err := filepath.Glob(filepath.Join(p.Dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestConditions: what is not measured under the same conditions has no figures,
// and keeps nobody else from being measured.
func TestConditions(t *testing.T) {
	broken := errors.New("broken")
	forgetful, failing, good := &fake{lost: 1}, &fake{onTurn: func(int64) error { return broken }}, &fake{}
	unopened := bench.Subject{Name: "unopened", Open: func(string, bench.Work) (bench.Engine, error) { return nil, broken }}
	r, err := smallPlan(t, subject("forgetful", forgetful), subject("failing", failing), unopened, subject("good", good)).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{bench.ErrConditions.Error(), "broken", "not opened: broken", ""} {
		if row := r.Rows[i]; !strings.Contains(row.Error, want) || want == "" && row.Error != "" {
			t.Errorf("%s: error %q, want %q", row.Subject, row.Error, want)
		}
	}
	for _, f := range []*fake{forgetful, failing, good} {
		if !f.closed {
			t.Error("an engine was left open")
		}
	}
	if n := r.Rows[3].Median.Bytes; n == 0 || n > 1<<20 {
		t.Errorf("%d bytes, the limit is %d", n, 1<<20)
	}
	if text := r.Markdown(); !strings.Contains(text, "not measured: not opened: broken") {
		t.Errorf("the report hides why: %s", text)
	}
}

// TestDirectory: nothing is measured on another file system than the one meant.
func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	missing, file := filepath.Join(dir, "missing"), filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := smallPlan(t, subject("fake", &fake{}))
	c := bench.Catchup{Design: engine.DefaultDesign, Modes: bench.CatchupModes, Work: p.Work, Rounds: 1, ColdBytes: 1 << 20, ReadBytes: 1 << 20}
	for _, dir := range []string{missing, file} {
		p.Dir, c.Dir = dir, dir
		_, err := p.Run(t.Context())
		_, catchupErr := c.Run(t.Context())
		for _, err := range []error{err, catchupErr} {
			if err == nil || !strings.Contains(err.Error(), dir) {
				t.Errorf("measuring in %s: %v", dir, err)
			}
		}
	}
	if _, err := os.Stat(missing); err == nil {
		t.Errorf("%s was made", missing)
	}
}

// TestNoCoordinatedOmission: an engine that stalls once for as long as twenty
// appends are due has twenty latencies that show it, not one.
func TestNoCoordinatedOmission(t *testing.T) {
	for _, c := range []struct {
		name     string
		stallsAt int64
	}{{"in the middle", 50}, {"until the end", 90}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := smallPlan(t, subject("stalls", &fake{onTurn: func(n int64) error {
					if n == c.stallsAt {
						time.Sleep(200 * time.Millisecond)
					}
					return nil
				}}))
				p.Work.Writers, p.Work.Rate, p.Work.Time = 1, 100, time.Second
				r, err := p.Run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				// Of 100 that were due, 20 were so within 200 ms of stall: the 90th
				// percentile was due in the middle of it, and the median met nothing.
				f := r.Rows[0].Median
				if f.P99 < 180_000 || f.P50 > 1000 {
					t.Errorf("p50 %v µs, p99 %v µs, max %v µs of %d appends", f.P50, f.P99, f.Max, f.Appends)
				}
			})
		})
	}
}

// TestRateIsKept: an open loop appends as many as are due, however fast the engine.
func TestRateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := smallPlan(t, subject("fast", &fake{}))
		p.Work.Writers, p.Work.Rate, p.Work.Time, p.Work.LimitBytes = 7, 1000, 2*time.Second, 1<<30
		r, err := p.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n := r.Rows[0].Median.Appends; n < 1995 || n > 2005 {
			t.Errorf("%d appends in 2 s at 1,000 a second", n)
		}
	})
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := &fake{onTurn: func(n int64) error {
		if n == 10 {
			cancel()
		}
		return nil
	}}
	p := smallPlan(t, subject("long", f))
	p.Work.Time, p.Work.LimitBytes = time.Hour, 1<<62
	if _, err := p.Run(ctx); !errors.Is(err, context.Canceled) || !f.closed {
		t.Errorf("error %v, closed %v", err, f.closed)
	}
}

func TestFlags(t *testing.T) {
	all := []bench.Subject{subject("file+mmap+always", &fake{}), subject("file+none+always", &fake{}), subject("pwrite", &fake{})}
	for _, c := range []struct {
		args string
		want string // names, or an error
	}{
		{"", "pwrite"},
		{"-designs file*", "file+mmap+always file+none+always"},
		{"-designs *+always,pwrite", "file+mmap+always file+none+always pwrite"},
		{"-designs tape", "there are: file+mmap+always, file+none+always, pwrite"},
		{"-designs [", "no pattern"},
		{"-partitions 1,many", `"many" is not a number`},
		{"-partitions 0", "0 partitions"},
		{"-partitions 1,200000", "between 1 and 100000"},
		{"-config x", "key=value"},
		{"-batch 64KiB", "pwrite"},
		{"-batch 65GiB", "not a size"},
		{"-batch 1GiB", "not a size"},
		{"-batch 10", "batches of 10 bytes"},
		{"-batch 1KiB -record 2KiB", "records of 2048 bytes"},
		{"-rate -1", "a rate is positive"},
		{"-time 0s", "must be positive"},
		{"-writers 0", "0 writers"},
		{"-rounds 0", "0 rounds"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var flags bench.Flags
			set := flag.NewFlagSet("", flag.ContinueOnError)
			set.SetOutput(&strings.Builder{})
			flags.Define(set, []string{"pwrite"})
			err := set.Parse(strings.Fields(c.args))
			var p bench.Plan
			if err == nil {
				p, err = flags.Plan(all)
			}
			var got []string
			for _, s := range p.Subjects {
				got = append(got, s.Name)
			}
			text := strings.Join(got, " ")
			if err != nil {
				text = err.Error()
			}
			if err != nil && !strings.Contains(text, c.want) || err == nil && text != c.want {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	for key, says := range map[string]string{"no.such.key": "is not known", "bobbin.design": "pick them by name", "preallocate": "neither true nor false"} {
		if _, err := bench.Subjects(map[string]string{key: "file+mmap+always+time"}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want one that says %q", key, err, says)
		}
	}
}

func TestReportFiles(t *testing.T) {
	p := smallPlan(t, subject("one", &fake{}), subject("two", &fake{}))
	p.Rounds = 3
	r, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(t.TempDir(), "report")
	if err := r.WriteFiles(base); err != nil {
		t.Fatal(err)
	}
	back, err := bench.ReadReport(base + ".json")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(r)
	b, _ := json.Marshal(back)
	if string(a) != string(b) {
		t.Errorf("read back\n%s\nwritten\n%s", b, a)
	}
	if _, err := bench.ReadReport(base + ".md"); err == nil {
		t.Error("the Markdown file was read as JSON")
	}
	c, err := bench.Compare(r, back)
	if err != nil || len(c.Rows) != 2 || c.Rows[0].MBps != 1 || len(c.Unlike) > 0 {
		t.Errorf("a report compared with itself: %+v, %v", c, err)
	}
	back.Work.Writers++
	back.Rows = slices.Delete(back.Rows, 0, 1)
	if c, err = bench.Compare(r, back); err != nil || len(c.Rows) != 1 || len(c.Unlike) != 1 {
		t.Errorf("compared with one of other work: %+v, %v", c, err)
	}
	back.Rows[0].Partitions++
	if _, err := bench.Compare(r, back); err == nil {
		t.Error("reports with nothing in common were compared")
	}
}
