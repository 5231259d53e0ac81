package brokertest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// leakTimeout is how long the last goroutines may take to end. Only who leaks
// waits for it.
const leakTimeout = time.Minute

// labelled runs f so that all goroutines that come of it can be told from those
// of other brokers in the same process.
func (b *Broker) labelled(f func()) {
	pprof.Do(context.Background(), pprof.Labels("brokertest", b.label()), func(context.Context) { f() })
}

func (b *Broker) label() string { return fmt.Sprintf("%p", b) }

// expectNothingLeft fails the test if a stopped broker has goroutines or open
// files. An Extent that was never released keeps its segment's file open, so
// this finds those too.
func (b *Broker) expectNothingLeft() {
	b.t.Helper()
	if b.o.faulty {
		return
	}
	waited := time.NewTimer(leakTimeout)
	defer waited.Stop()
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		stacks, open := b.goroutines(), b.files.open.Load()
		if stacks == "" && open == 0 {
			return
		}
		select {
		case <-time.After(pause):
		case <-waited.C:
			if open != 0 {
				b.t.Errorf("the stopped broker has %d open files: is an Extent not released?", open)
			}
			if stacks != "" {
				b.t.Errorf("the stopped broker has goroutines:\n%s", stacks)
			}
			return
		}
	}
}

// goroutines returns the stacks of the broker's goroutines.
func (b *Broker) goroutines() string {
	var all bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		return err.Error()
	}
	var ours []string
	for _, stack := range strings.Split(all.String(), "\n\n") {
		if strings.Contains(stack, b.label()) {
			ours = append(ours, stack)
		}
	}
	return strings.Join(ours, "\n\n")
}

// countedFS counts the files that are open.
type countedFS struct {
	vfs.FS
	open atomic.Int64
}

type countedFile struct {
	vfs.File
	fs     *countedFS
	closed atomic.Bool
}

func (c *countedFS) Create(name string) (vfs.File, error) { return c.count(c.FS.Create(name)) }

func (c *countedFS) Open(name string) (vfs.File, error) { return c.count(c.FS.Open(name)) }

func (c *countedFS) OpenRead(name string) (vfs.File, error) { return c.count(c.FS.OpenRead(name)) }

func (c *countedFS) count(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	c.open.Add(1)
	return &countedFile{File: f, fs: c}, nil
}

type countedDirect struct {
	vfs.DirectFile
	fs     *countedFS
	closed atomic.Bool
}

func (f *countedFile) Direct(via vfs.Via) (vfs.DirectFile, error) {
	d, err := f.File.Direct(via)
	if err != nil {
		return nil, err
	}
	f.fs.open.Add(1)
	return &countedDirect{DirectFile: d, fs: f.fs}, nil
}

func (d *countedDirect) Close() error {
	if !d.closed.Swap(true) {
		d.fs.open.Add(-1)
	}
	return d.DirectFile.Close()
}

func (f *countedFile) Close() error {
	if !f.closed.Swap(true) {
		f.fs.open.Add(-1)
	}
	return f.File.Close()
}
