package vfs

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Trace is a file system that writes one line for each operation on the one
// below it, when it is done:
//
//	create: log/00000000000000000000.log
//	write: log/00000000000000000000.log 0+4096
//	sync: log/00000000000000000000.log
//	rename: log/checkpoint.tmp -> log/checkpoint
//	syncdir: log
//	write: log/00000000000000000000.log 4096+100: done 50: no space left on device
//
// Kept as a golden file, a trace specifies what is synced and in which order; a
// lost fsync is a diff. It shows neither stores through a mapping nor what
// sendfile reads by a descriptor.
type Trace struct {
	FS // does the work and reports to after

	mu struct {
		sync.Mutex
		to io.Writer
	}
	only []Kind // empty means all
}

var _ FS = (*Trace)(nil)

// NewTrace wraps below. Only operations of the kinds given are written, or all
// if there are none; [Changes] is a good choice. Lines of concurrent operations
// do not mix. What writing to the trace returns is ignored.
func NewTrace(below FS, to io.Writer, only ...Kind) *Trace {
	t := &Trace{only: slices.Clone(only)}
	t.mu.to = to
	t.FS = &Inject{below: below, fd: true, After: t.after}
	return t
}

func (t *Trace) after(op Op, err error) error {
	if len(t.only) > 0 && !slices.Contains(t.only, op.Kind) {
		return err
	}
	var line strings.Builder
	line.WriteString(op.String())
	if err != nil {
		if op.Done != 0 {
			fmt.Fprintf(&line, ": done %d", op.Done)
		}
		fmt.Fprintf(&line, ": %v", cause(err))
	}
	line.WriteByte('\n')
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = io.WriteString(t.mu.to, line.String())
	return err
}
