package vfs

import (
	"path"
	"slices"
	"strings"
	"sync/atomic"
)

// Rule picks operations and says what happens to them.
type Rule struct {
	// Kinds are the kinds that it is about; none means all.
	Kinds []Kind
	// Path is a pattern as for [path.Match]. It is held against the whole path
	// if it contains a slash and against the last element if not. Empty
	// matches all. The new name of a rename counts as well as the old one.
	Path string
	// Nth is the first of the matching operations to be hit, counted from 1; 0
	// is the same as 1. Times is how many are hit from there on; 0 means
	// all, like a disk that stays broken.
	Nth, Times int
	// Wait, if set, is called with each operation hit, and may block.
	Wait func(Op)
	// Err is what the operations hit fail with; nil lets them pass. A
	// *[ShortWrite] cuts a write short. A syscall.ENOSPC becomes [ErrNoSpace].
	Err error
}

// Rules returns a hook for [NewInject]. Every rule counts the operations that
// match it; the first that hits with an error decides.
func Rules(rules ...Rule) func(Op) error {
	rules = slices.Clone(rules)
	seen := make([]atomic.Int64, len(rules))
	return func(op Op) error {
		var failure error
		for i, r := range rules {
			if !r.matches(op) || !r.hits(seen[i].Add(1)) {
				continue
			}
			if r.Wait != nil {
				r.Wait(op)
			}
			if failure == nil {
				failure = r.Err
			}
		}
		return failure
	}
}

func (r Rule) matches(op Op) bool {
	if len(r.Kinds) > 0 && !slices.Contains(r.Kinds, op.Kind) {
		return false
	}
	return r.Path == "" || r.names(op.Path) || op.Kind == OpRename && r.names(op.To)
}

func (r Rule) names(name string) bool {
	if !strings.Contains(r.Path, "/") {
		name = path.Base(name)
	}
	ok, err := path.Match(r.Path, name)
	if err != nil {
		panic("vfs: Rule with pattern " + r.Path + ": " + err.Error()) // a mistake in a test
	}
	return ok
}

// hits says whether the count-th matching operation is one of those to hit.
func (r Rule) hits(count int64) bool {
	first := int64(max(1, r.Nth))
	return count >= first && (r.Times == 0 || count < first+int64(r.Times))
}
