package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// outputFormat is the value of -o.
type outputFormat string

const (
	formatTable outputFormat = "table"
	formatJSON  outputFormat = "json"
	formatYAML  outputFormat = "yaml"
)

func outputFormats() []string {
	return []string{string(formatTable), string(formatJSON), string(formatYAML)}
}

func (f *outputFormat) String() string { return string(*f) }

// Set implements pflag.Value.
func (f *outputFormat) Set(s string) error {
	if !slices.Contains(outputFormats(), s) {
		return fmt.Errorf("no such format; there are: %s (offsets are given by -O)", strings.Join(outputFormats(), ", "))
	}
	*f = outputFormat(s)
	return nil
}

// Type implements pflag.Value: the word that stands for the value in a help text.
func (f *outputFormat) Type() string { return "format" }

// table is a result for people: columns that line up.
type table struct {
	head []string
	rows [][]string
	foot string
}

func (t *table) row(cells ...any) {
	r := make([]string, len(cells))
	for i, c := range cells {
		r[i] = fmt.Sprint(c)
	}
	t.rows = append(t.rows, r)
}

func (t *table) writeTo(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range append([][]string{t.head}, t.rows...) {
		if r != nil {
			fmt.Fprintln(tw, strings.TrimRight(strings.Join(r, "\t"), " \t"))
		}
	}
	err := tw.Flush()
	if err == nil && t.foot != "" {
		_, err = fmt.Fprintln(w, t.foot)
	}
	return err
}

// print writes a command's result: v in the formats for programs, or what
// forPeople returns.
func (a *app) print(v any, forPeople func() *table) error {
	switch a.format {
	case formatJSON:
		e := json.NewEncoder(a.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(v)
	case formatYAML:
		return writeYAML(a.stdout, v)
	default:
		return forPeople().writeTo(a.stdout)
	}
}
