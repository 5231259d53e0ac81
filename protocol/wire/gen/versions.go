package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// versions is a range of versions, both ends included. It is empty if hi is
// below lo.
type versions struct {
	lo, hi int16
}

var noVersions = versions{0, -1}

// parseVersions reads "3", "3-5", "3+", "none" or nothing, which is none too.
func parseVersions(s string) (versions, error) {
	if s == "" || s == "none" {
		return noVersions, nil
	}
	lo, hi, isRange := strings.Cut(s, "-")
	if open, ok := strings.CutSuffix(s, "+"); ok {
		lo, hi = open, strconv.Itoa(math.MaxInt16)
	} else if !isRange {
		hi = lo
	}
	l, err := strconv.ParseInt(lo, 10, 16)
	if err != nil {
		return noVersions, fmt.Errorf("versions %q: %w", s, err)
	}
	h, err := strconv.ParseInt(hi, 10, 16)
	if err != nil {
		return noVersions, fmt.Errorf("versions %q: %w", s, err)
	}
	return versions{int16(l), int16(h)}, nil
}

func (v versions) empty() bool { return v.hi < v.lo }

func (v versions) has(version int16) bool { return v.lo <= version && version <= v.hi }

func (v versions) and(o versions) versions {
	both := versions{max(v.lo, o.lo), min(v.hi, o.hi)}
	if both.empty() {
		return noVersions
	}
	return both
}

// condition is the Go expression that tells whether a version known to be in
// "within" is in v.
func (v versions) condition(within versions) string {
	switch both := v.and(within); {
	case both.empty():
		return "false"
	case both == within:
		return "true"
	case both.hi == within.hi:
		return fmt.Sprintf("version >= %d", both.lo)
	case both.lo == within.lo:
		return fmt.Sprintf("version <= %d", both.hi)
	case both.lo == both.hi:
		return fmt.Sprintf("version == %d", both.lo)
	default:
		return fmt.Sprintf("version >= %d && version <= %d", both.lo, both.hi)
	}
}

// outside is the opposite of condition.
func (v versions) outside(within versions) string {
	switch both := v.and(within); {
	case both.empty():
		return "true"
	case both == within:
		return "false"
	case both.hi == within.hi:
		return fmt.Sprintf("version < %d", both.lo)
	case both.lo == within.lo:
		return fmt.Sprintf("version > %d", both.hi)
	default:
		return fmt.Sprintf("(version < %d || version > %d)", both.lo, both.hi)
	}
}

// String writes v for a comment.
func (v versions) String() string {
	switch {
	case v.empty():
		return "none"
	case v.lo == v.hi:
		return fmt.Sprintf("version %d", v.lo)
	default:
		return fmt.Sprintf("versions %d to %d", v.lo, v.hi)
	}
}
