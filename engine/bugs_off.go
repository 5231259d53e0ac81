//go:build !bugs

package engine

// made reports whether this build makes the mistake: it makes none.
func (bug) made() bool { return false }
