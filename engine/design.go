package engine

import (
	"fmt"
	"strings"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment"
)

// Design names one choice from each family, in writing "file+mmap+always+time+size":
// segment, index, sync policy, retention.
type Design struct{ Segment, Index, Sync, Retention string }

// DefaultDesign is what a log gets when nothing else was asked for.
var DefaultDesign = Design{Segment: "file", Index: "mmap", Sync: "always", Retention: "time+size"}

func (d Design) String() string {
	return d.Segment + "+" + d.Index + "+" + d.Sync + "+" + d.Retention
}

// ParseDesign reads the form that String writes. Its errors list the choices.
func ParseDesign(s string) (Design, error) {
	p := strings.SplitN(s, "+", 4)
	if len(p) != 4 {
		return Design{}, fmt.Errorf("design %q is not of the form segment+index+sync+retention, such as %q", s, DefaultDesign)
	}
	d := Design{Segment: p[0], Index: p[1], Sync: p[2], Retention: p[3]}
	return d, d.Validate()
}

// Validate reports the first name that no family has, and what it has instead.
func (d Design) Validate() error {
	_, err := d.resolve()
	return err
}

// parts are the designs behind a Design's names.
type resolved struct {
	segment   segment.Design
	index     index.Design
	sync      SyncPolicy
	retention Retention
}

func (d Design) resolve() (resolved, error) {
	var r resolved
	var err error
	pick(&err, "segment", d.Segment, segment.Designs, func(s segment.Design) string { return s.Name }, &r.segment)
	pick(&err, "index", d.Index, index.Designs, func(i index.Design) string { return i.Name }, &r.index)
	pick(&err, "sync policy", d.Sync, SyncPolicies, func(p SyncPolicy) string { return p.Name }, &r.sync)
	pick(&err, "retention", d.Retention, Retentions, func(p Retention) string { return p.Name }, &r.retention)
	return r, err
}

func pick[D any](err *error, family, name string, table []D, nameOf func(D) string, to *D) {
	var names []string
	for _, d := range table {
		if nameOf(d) == name {
			*to = d
			return
		}
		names = append(names, nameOf(d))
	}
	if *err == nil {
		*err = fmt.Errorf("no %s is called %q; there are: %s", family, name, strings.Join(names, ", "))
	}
}
