package bench

import (
	"fmt"
	"math"
)

// Comparison is two reports row by row: what has the same name and the same number
// of partitions, and was measured in both.
type Comparison struct {
	Rows []ComparisonRow `json:"rows"`
	// Unlike says in what the conditions differ: then ratios say little.
	Unlike []string `json:"unlike,omitempty"`
}

// ComparisonRow has figures of B divided by those of A. Spread is the larger of
// the two relative spreads of MB/s among rounds, (max-min)/median: a change that
// is smaller than it is noise.
type ComparisonRow struct {
	Subject    string  `json:"subject"`
	Partitions int     `json:"partitions"`
	A          Figures `json:"a"`
	B          Figures `json:"b"`
	MBps       float64 `json:"mb_per_s_ratio"`
	P99        float64 `json:"p99_ratio"`
	CPU        float64 `json:"cpu_ratio"`
	Spread     float64 `json:"spread"`
}

// Compare pairs the rows of two reports, in the order of b. It is an error if they
// have none in common.
func Compare(a, b *Report) (*Comparison, error) {
	c := &Comparison{}
	for _, y := range b.Rows {
		for _, x := range a.Rows {
			if x.Subject != y.Subject || x.Partitions != y.Partitions || x.Error != "" || y.Error != "" {
				continue
			}
			c.Rows = append(c.Rows, ComparisonRow{
				Subject: x.Subject, Partitions: x.Partitions, A: x.Median, B: y.Median,
				MBps: y.Median.MBps / x.Median.MBps, P99: y.Median.P99 / x.Median.P99,
				CPU: y.Median.CPUSecondsPerGB / x.Median.CPUSecondsPerGB, Spread: max(x.spread(), y.spread()),
			})
		}
	}
	if len(c.Rows) == 0 {
		return nil, fmt.Errorf("the reports have no measured design in common with the same number of partitions")
	}
	for _, d := range []struct {
		what string
		a, b any
	}{
		{"processor", a.Machine.CPU, b.Machine.CPU},
		{"processors", a.Machine.Processors, b.Machine.Processors},
		{"kernel", a.Machine.Kernel, b.Machine.Kernel},
		{"file system", a.Machine.FileSystem, b.Machine.FileSystem},
		{"Go", a.Machine.Go, b.Machine.Go},
		{"work", a.Work, b.Work},
	} {
		if d.a != d.b {
			c.Unlike = append(c.Unlike, fmt.Sprintf("%s: %v, and %v", d.what, d.a, d.b))
		}
	}
	return c, nil
}

func (r Row) spread() float64 {
	least, most := math.Inf(1), 0.0
	for _, f := range r.Rounds {
		least, most = min(least, f.MBps), max(most, f.MBps)
	}
	return (most - least) / r.Median.MBps
}
