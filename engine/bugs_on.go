//go:build bugs

package engine

import "os"

// made reports whether this run makes the mistake.
func (b bug) made() bool { return os.Getenv("BOBBIN_BUG") == string(b) }
