package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment"
)

// Design names one choice from each family, in writing "file+mmap+always+time+size":
// segment, index, sync policy, retention. Retentions have a + of their own.
//
// Segment and index are how a log's bytes lie, and can change only to what reads
// the same files: see CanBecome. Sync policy and retention are how it is kept, and
// can change at any time.
type Design struct{ Segment, Index, Sync, Retention string }

// DefaultDesign is what a log gets when nothing else was asked for.
var DefaultDesign = Design{Segment: "file", Index: "mmap", Sync: "always", Retention: "time+size"}

// useDefault stands for a part that is not chosen.
const useDefault = "default"

// designForm is how a design is written.
const designForm = "segment+index+sync+retention"

func (d Design) String() string {
	return d.Segment + "+" + d.Index + "+" + d.Sync + "+" + d.Retention
}

// ParseDesign reads the form that String writes. Parts that are left out at the
// end, or are called "default", are those of [DefaultDesign]: "file+dense" and
// "default+dense+default" are file+dense+always+time+size. Its errors list the
// choices, and name the one that was likely meant.
func ParseDesign(s string) (Design, error) { return DefaultDesign.parse(s) }

// parse is ParseDesign with the defaults of d.
func (d Design) parse(s string) (Design, error) {
	for i, name := range strings.SplitN(s, "+", 4) {
		if name == useDefault {
			continue
		}
		*[]*string{&d.Segment, &d.Index, &d.Sync, &d.Retention}[i] = name
	}
	return d, d.Validate()
}

// Validate reports the first name that no family has, and what it has instead.
func (d Design) Validate() error {
	_, err := d.resolve()
	return err
}

// CanBecome says why a log of design d cannot go on as one of design to, or nil.
// Sync policy and retention can change at any time. Segments that are durable hold
// the same bytes, a run of batches, and index designs of one format the same
// entries: these too can take each other's place, in what is opened or made from
// then on. The others cannot: there is nothing on the disk for them to go on from,
// or it would be left behind to grow wrong.
func (d Design) CanBecome(to Design) error {
	was, err1 := d.resolve()
	next, err2 := to.resolve()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	var kept []string
	if was.segment.Name != next.segment.Name && !(was.segment.Durable && next.segment.Durable) {
		kept = append(kept, fmt.Sprintf("segment %s cannot become %s", d.Segment, to.Segment))
	}
	if was.index.Format != next.index.Format {
		kept = append(kept, fmt.Sprintf("index %s cannot become %s", d.Index, to.Index))
	}
	if kept == nil {
		return nil
	}
	return fmt.Errorf("its %s: how bytes are laid out is chosen when a topic is made; sync policy and retention can be altered", strings.Join(kept, ", and its "))
}

// resolved are the designs behind a Design's names.
type resolved struct {
	segment   segment.Design
	index     index.Design
	sync      SyncPolicy
	retention Retention
}

func (d Design) resolve() (resolved, error) {
	var r resolved
	var err error
	pick(&err, "segment", d.Segment, segment.Designs, segmentName, &r.segment)
	pick(&err, "index", d.Index, index.Designs, indexName, &r.index)
	pick(&err, "sync policy", d.Sync, SyncPolicies, syncName, &r.sync)
	pick(&err, "retention", d.Retention, Retentions, retentionName, &r.retention)
	if r.sync.Journal && !r.segment.Durable {
		// What ends with the process needs no journal: its own sync is for free.
		r.sync.Journal, r.sync.Due = false, func(Tail) time.Duration { return 0 }
	}
	return r, err
}

func segmentName(d segment.Design) string { return d.Name }
func indexName(d index.Design) string     { return d.Name }
func syncName(p SyncPolicy) string        { return p.Name }
func retentionName(r Retention) string    { return r.Name }

func pick[D any](err *error, family, name string, table []D, nameOf func(D) string, to *D) {
	for _, d := range table {
		if nameOf(d) == name {
			*to = d
			return
		}
	}
	if *err == nil {
		*err = fmt.Errorf("no %s is called %q%s", family, name, hint(name, namesOf(table, nameOf)))
	}
}

// hint goes on from "no such name": with the name that was likely meant, or the
// family that has it, and with the choices.
func hint(name string, choices []string) string {
	there := "there are: " + strings.Join(choices, ", ")
	if near := Nearest(name, choices); near != "" {
		return fmt.Sprintf("; did you mean %s? %s%s", near, strings.ToUpper(there[:1]), there[1:])
	}
	for _, other := range []struct {
		family string
		names  []string
	}{
		{"a segment", namesOf(segment.Designs, segmentName)},
		{"an index", namesOf(index.Designs, indexName)},
		{"a sync policy", namesOf(SyncPolicies, syncName)},
		{"a retention", namesOf(Retentions, retentionName)},
	} {
		if slices.Contains(other.names, name) {
			return fmt.Sprintf(", which is %s: a design is %s; %s", other.family, designForm, there)
		}
	}
	return "; " + there
}

func namesOf[D any](table []D, nameOf func(D) string) []string {
	names := make([]string, len(table))
	for i, d := range table {
		names[i] = nameOf(d)
	}
	return names
}
