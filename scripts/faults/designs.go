package main

import (
	"slices"
	"strings"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment"
)

// designsOf lists the designs that patterns with commas between them stand for, each once. A pattern is a
// design's name in which a * is everything that the family has, segments only if they outlive the process:
// "*+mmap+always" is file+mmap+always, mmap+mmap+always, direct+mmap+always and uring+mmap+always.
func designsOf(patterns string) ([]engine.Design, error) {
	var all []engine.Design
	for pattern := range strings.SplitSeq(patterns, ",") {
		for _, name := range expand(pattern) {
			d, err := engine.ParseDesign(name)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(all, d) {
				all = append(all, d)
			}
		}
	}
	return all, nil
}

func expand(pattern string) []string {
	families := make([][]string, 3)
	for _, s := range segment.Designs {
		if s.Durable {
			families[0] = append(families[0], s.Name)
		}
	}
	for _, x := range index.Designs {
		families[1] = append(families[1], x.Name)
	}
	for _, p := range engine.SyncPolicies {
		families[2] = append(families[2], p.Name)
	}
	names := []string{""}
	for i, part := range strings.SplitN(pattern, "+", 4) {
		choices := []string{part}
		if part == "*" && i < len(families) {
			choices = families[i]
		}
		var longer []string
		for _, name := range names {
			for _, choice := range choices {
				longer = append(longer, strings.TrimPrefix(name+"+"+choice, "+"))
			}
		}
		names = longer
	}
	return names
}
