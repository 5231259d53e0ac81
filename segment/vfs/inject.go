package vfs

import (
	"errors"
	"io"
	"io/fs"
)

// Inject is a file system that lets hooks decide what happens to each operation
// on the one below it: fail, be cut short, wait, or be the moment of a crash.
//
// What can be injected: an operation that fails without being done (Before), one
// that is done and reported as failed (After), a short write ([ShortWrite]), and
// any delay (a hook may block; operations have no lock around them). What a loss
// of power does to bytes is the business of [Mem.Crash].
//
// Close, Unmap and the closer of a lock always reach the file system below, so
// that a test leaks nothing; the hooks' error is returned all the same. Stores
// through a mapping pass unseen, and Fd says that there is no descriptor, so that
// no byte is read past the hooks.
type Inject struct {
	// Before is asked before each operation. An error keeps the operation from
	// being done and is returned, with operation and path around it. May be
	// nil. Called concurrently, as the file system is.
	Before func(Op) error
	// After is asked after each operation that was done, with its error and,
	// for reads and writes, Op.Done. What it returns is the operation's error: nil
	// hides a failure. May be nil. Set it before the first operation.
	After func(Op, error) error

	below FS
	fd    bool // hand out descriptors
}

var _ FS = (*Inject)(nil)

// NewInject wraps below. See [Rules] and [StopAfter] for ready-made hooks.
func NewInject(below FS, before func(Op) error) *Inject {
	return &Inject{Before: before, below: below}
}

// ShortWrite is an error for Before to return for an OpWrite: the first Bytes
// bytes are written and Err is reported.
type ShortWrite struct {
	Bytes int64
	Err   error
}

func (s *ShortWrite) Error() string { return "short write: " + s.Err.Error() }
func (s *ShortWrite) Unwrap() error { return s.Err }

func (in *Inject) before(op Op) error {
	if in.Before == nil {
		return nil
	}
	return in.Before(op)
}

// after gives the hook its say and words its error like any other. io.EOF is a
// value that readers compare, so it stays bare.
func (in *Inject) after(op Op, err error) error {
	if in.After == nil {
		return err
	}
	got := in.After(op, err)
	if got == err || got == io.EOF { //nolint:errorlint // the very value, not one that wraps it
		return got
	}
	return op.failed(got)
}

func (o Op) failed(err error) error {
	if o.Kind == OpRename {
		return renameError(o.Path, o.To, err)
	}
	return opError(o.Kind, o.Path, err)
}

// do runs act between the hooks.
func (in *Inject) do(op Op, act func() error) error {
	if err := in.before(op); err != nil {
		return op.failed(err)
	}
	return in.after(op, act())
}

// end runs act, which frees something, whatever the hooks say.
func (in *Inject) end(op Op, act func() error) error {
	refused := in.before(op)
	err := act()
	if refused != nil {
		return op.failed(refused)
	}
	return in.after(op, err)
}

// open runs act between the hooks; what it opened is closed again if After
// turns it into a failure.
func (in *Inject) open(op Op, act func(string) (File, error)) (File, error) {
	var f File
	err := in.do(op, func() (err error) { f, err = act(op.Path); return err })
	switch {
	case err != nil && f != nil:
		return nil, errors.Join(err, f.Close())
	case err != nil:
		return nil, err
	}
	return &injectFile{in: in, File: f}, nil
}

// Create implements [FS].
func (in *Inject) Create(name string) (File, error) {
	return in.open(Op{Kind: OpCreate, Path: name}, in.below.Create)
}

// Open implements [FS].
func (in *Inject) Open(name string) (File, error) {
	return in.open(Op{Kind: OpOpen, Path: name}, in.below.Open)
}

// OpenRead implements [FS].
func (in *Inject) OpenRead(name string) (File, error) {
	return in.open(Op{Kind: OpOpenRead, Path: name}, in.below.OpenRead)
}

// Remove implements [FS].
func (in *Inject) Remove(name string) error {
	return in.do(Op{Kind: OpRemove, Path: name}, func() error { return in.below.Remove(name) })
}

// RemoveAll implements [FS].
func (in *Inject) RemoveAll(name string) error {
	return in.do(Op{Kind: OpRemoveAll, Path: name}, func() error { return in.below.RemoveAll(name) })
}

// Rename implements [FS].
func (in *Inject) Rename(oldName, newName string) error {
	return in.do(Op{Kind: OpRename, Path: oldName, To: newName},
		func() error { return in.below.Rename(oldName, newName) })
}

// MkdirAll implements [FS].
func (in *Inject) MkdirAll(dir string) error {
	return in.do(Op{Kind: OpMkdirAll, Path: dir}, func() error { return in.below.MkdirAll(dir) })
}

// ReadDir implements [FS].
func (in *Inject) ReadDir(dir string) (entries []fs.DirEntry, err error) {
	err = in.do(Op{Kind: OpReadDir, Path: dir}, func() error { entries, err = in.below.ReadDir(dir); return err })
	return entries, err
}

// Stat implements [FS].
func (in *Inject) Stat(name string) (info fs.FileInfo, err error) {
	err = in.do(Op{Kind: OpStat, Path: name}, func() error { info, err = in.below.Stat(name); return err })
	return info, err
}

// SyncDir implements [FS].
func (in *Inject) SyncDir(dir string) error {
	return in.do(Op{Kind: OpSyncDir, Path: dir}, func() error { return in.below.SyncDir(dir) })
}

// Lock implements [FS].
func (in *Inject) Lock(name string) (io.Closer, error) {
	var l io.Closer
	err := in.do(Op{Kind: OpLock, Path: name}, func() (err error) { l, err = in.below.Lock(name); return err })
	switch {
	case err != nil && l != nil:
		return nil, errors.Join(err, l.Close())
	case err != nil:
		return nil, err
	}
	return &injectLock{in: in, below: l, name: name}, nil
}

// Usage implements [FS].
func (in *Inject) Usage(dir string) (u Usage, err error) {
	err = in.do(Op{Kind: OpUsage, Path: dir}, func() error { u, err = in.below.Usage(dir); return err })
	return u, err
}

type injectLock struct {
	in    *Inject
	below io.Closer
	name  string
}

func (l *injectLock) Close() error { return l.in.end(Op{Kind: OpUnlock, Path: l.name}, l.below.Close) }
