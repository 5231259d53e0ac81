package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// Report is what a Run found, with all that is needed to read it, or to do it again.
type Report struct {
	Command string    `json:"command"`
	Began   time.Time `json:"began"`
	Machine Machine   `json:"machine"`
	// Work is everybody's, but for the partitions, which each row has.
	Work   Work  `json:"work"`
	Rounds int   `json:"rounds"`
	Rows   []Row `json:"rows"`
}

// Row is one subject with one number of partitions.
type Row struct {
	Subject    string `json:"subject"`
	Settings   string `json:"settings,omitempty"`
	Durable    bool   `json:"durable"`
	Partitions int    `json:"partitions"`
	// Median has the median of each figure by itself.
	Median Figures   `json:"median"`
	Rounds []Figures `json:"rounds,omitempty"`
	// Error is why there are no figures.
	Error string `json:"error,omitempty"`
}

// settle fills in the medians.
func (r *Row) settle() {
	if r.Error != "" || len(r.Rounds) == 0 {
		r.Rounds = nil
		return
	}
	of := func(get func(Figures) float64) float64 {
		v := make([]float64, len(r.Rounds))
		for i, f := range r.Rounds {
			v[i] = get(f)
		}
		return median(v)
	}
	maybe := func(get func(Figures) *float64) *float64 {
		for _, f := range r.Rounds {
			if get(f) == nil {
				return nil
			}
		}
		m := of(func(f Figures) float64 { return *get(f) })
		return &m
	}
	r.Median = Figures{
		Appends:            int64(of(func(f Figures) float64 { return float64(f.Appends) })),
		Bytes:              int64(of(func(f Figures) float64 { return float64(f.Bytes) })),
		Seconds:            of(func(f Figures) float64 { return f.Seconds }),
		MBps:               of(func(f Figures) float64 { return f.MBps }),
		P50:                of(func(f Figures) float64 { return f.P50 }),
		P99:                of(func(f Figures) float64 { return f.P99 }),
		P999:               of(func(f Figures) float64 { return f.P999 }),
		Max:                of(func(f Figures) float64 { return f.Max }),
		CPUSecondsPerGB:    of(func(f Figures) float64 { return f.CPUSecondsPerGB }),
		FlushesPerMB:       maybe(func(f Figures) *float64 { return f.FlushesPerMB }),
		DeviceBytesPerByte: maybe(func(f Figures) *float64 { return f.DeviceBytesPerByte }),
		OthersCPU:          maybe(func(f Figures) *float64 { return f.OthersCPU }),
	}
}

// median is the middle of the values, or the mean of the two in the middle.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// Columns are the heads of what Cells returns.
func Columns() []string {
	return []string{"partitions", "design", "durable", "MB/s", "min–max", "p50 µs", "p99 µs", "p99.9 µs", "flushes/MB", "device B/B", "CPU s/GB"}
}

// Cells are a row's figures as people read them.
func (r Row) Cells() []string {
	durable := "no"
	if r.Durable {
		durable = "yes"
	}
	cells := []string{fmt.Sprint(r.Partitions), r.Subject, durable}
	if r.Error != "" {
		return append(cells, "not measured: "+r.Error)
	}
	least, most := r.Rounds[0].MBps, r.Rounds[0].MBps
	for _, f := range r.Rounds {
		least, most = min(least, f.MBps), max(most, f.MBps)
	}
	m := r.Median
	return append(cells, short(m.MBps), short(least)+"–"+short(most), short(m.P50), short(m.P99), short(m.P999),
		shortMaybe(m.FlushesPerMB), shortMaybe(m.DeviceBytesPerByte), short(m.CPUSecondsPerGB))
}

// short writes a figure with three significant digits, or all of a large one's:
// 0.0123, 1.23, 12.3, 123, 12,345.
func short(v float64) string {
	switch {
	case v == 0:
		return "0"
	case math.Abs(v) >= 1000:
		s := fmt.Sprintf("%.0f", v)
		for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	}
	digits := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	return fmt.Sprintf("%.*f", digits, v)
}

func shortMaybe(v *float64) string {
	if v == nil {
		return "–"
	}
	return short(*v)
}

// noisyShare is the share of the processors from which others' work is told of.
const noisyShare = 0.25

// Notes are what a reader must know to take the figures for what they are.
func (r *Report) Notes() []string {
	w := r.Work
	how := "each waiting for its acknowledgement (closed loop)"
	if w.Rate > 0 {
		how = fmt.Sprintf("%s appends a second in all, latency from when each was due (open loop)", short(w.Rate))
	}
	notes := []string{
		fmt.Sprintf("%d writers append batches of %d bytes, %s, for %v after a warm-up of %v, at most %d MB; medians of %d interleaved rounds, min–max of MB/s",
			w.Writers, w.BatchBytes, how, w.Time, w.Warmup, w.LimitBytes/1e6, r.Rounds),
		fmt.Sprintf("%s, %d processors, %d MB of memory; %s; %s; %s", r.Machine.CPU, r.Machine.Processors, r.Machine.MemoryMB, r.Machine.Kernel, r.Machine.FileSystem, r.Machine.Go),
	}
	if r.Machine.Commit != "" {
		notes = append(notes, "commit "+r.Machine.Commit)
	}
	noisy, most := 0, 0.0
	for _, row := range r.Rows {
		if o := row.Median.OthersCPU; o != nil && *o > noisyShare {
			noisy, most = noisy+1, max(most, *o)
		}
	}
	if noisy > 0 {
		notes = append(notes, fmt.Sprintf("in %d of %d rows others (the kernel's threads among them) had more than %.0f %% of the processors, up to %.0f %%: compare these rows with care",
			noisy, len(r.Rows), noisyShare*100, most*100))
	}
	return notes
}

// Markdown is the report for people.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "`%s`, %s\n\n", r.Command, r.Began.Format("2006-01-02 15:04 MST"))
	for _, n := range r.Notes() {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	head := Columns()
	b.WriteString("\n| " + strings.Join(head, " | ") + " |\n|" + strings.Repeat("---|", len(head)) + "\n")
	for _, row := range r.Rows {
		c := row.Cells()
		for len(c) < len(head) {
			c = append(c, "")
		}
		b.WriteString("| " + strings.Join(c, " | ") + " |\n")
	}
	if lines := r.settings(); len(lines) > 0 {
		b.WriteString("\n" + strings.Join(lines, ""))
	}
	return b.String()
}

// settings lists how subjects are used, each once.
func (r *Report) settings() []string {
	var lines []string
	for _, row := range r.Rows {
		if row.Settings != "" {
			if line := fmt.Sprintf("- %s: %s\n", row.Subject, row.Settings); !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// WriteFiles writes base.md for people and base.json for programs, [ReadReport]
// among them.
func (r *Report) WriteFiles(base string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(base+".md", []byte(r.Markdown()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(base+".json", append(text, '\n'), 0o644)
}

// ReadReport reads a report's JSON file.
func ReadReport(name string) (*Report, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s is not the JSON file of a report: %w", name, err)
	}
	return &r, nil
}
