package bench

import (
	"errors"
	"slices"
	"strings"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment"
)

// Subjects are the baselines, and every combination of a segment design, an index
// design and a sync policy of the engine's tables, named "file+mmap+always". Topic
// settings are applied to all of them.
func Subjects(settings map[string]string) ([]Subject, error) {
	if _, err := engine.DefaultConfig().With(settings); err != nil {
		return nil, err
	}
	if _, ok := settings["bobbin.design"]; ok {
		return nil, errors.New("bobbin.design is what the subjects differ by: pick them by name")
	}
	var note []string
	for k, v := range settings {
		note = append(note, k+"="+v)
	}
	slices.Sort(note)
	all := []Subject{
		{Name: "pwrite", Settings: "a bare pwrite into one file a partition: what the page cache takes", Open: openBare(false)},
		{Name: "pwrite+fdatasync", Durable: true, Settings: "a bare pwrite and an fdatasync for each append", Open: openBare(true)},
	}
	for _, s := range segment.Designs {
		for _, i := range index.Designs {
			for _, p := range engine.SyncPolicies {
				d := engine.Design{Segment: s.Name, Index: i.Name, Sync: p.Name, Retention: engine.DefaultDesign.Retention}
				all = append(all, Subject{
					Name: d.Segment + "+" + d.Index + "+" + d.Sync, Settings: strings.Join(note, ", "),
					Durable: s.Durable && p.AckDurable, Open: openDesign(d, settings),
				})
			}
		}
	}
	return all, nil
}

// DefaultNames are the subjects that answer the usual question: every durable
// segment design with every policy that acknowledges what is durable, over the
// default index, and beside them what the parts of that cost alone.
func DefaultNames() []string {
	names := []string{"pwrite", "pwrite+fdatasync"}
	over := engine.DefaultDesign.Index
	for _, s := range segment.Designs {
		if s.Name == "null" || s.Name == engine.DefaultDesign.Segment {
			names = append(names, s.Name+"+"+over+"+none")
		}
	}
	for _, s := range segment.Designs {
		for _, p := range engine.SyncPolicies {
			if s.Durable && p.AckDurable {
				names = append(names, s.Name+"+"+over+"+"+p.Name)
			}
		}
	}
	return names
}
