package vfs

import "errors"

// injectFile is a file of an [Inject]. Name is the one below.
type injectFile struct {
	File
	in *Inject
}

func (f *injectFile) op(kind Kind, n int64) Op { return Op{Kind: kind, Path: f.Name(), Len: n} }

func (f *injectFile) ReadAt(p []byte, off int64) (int, error) {
	op := Op{Kind: OpRead, Path: f.Name(), Off: off, Len: int64(len(p))}
	if err := f.in.before(op); err != nil {
		return 0, op.failed(err)
	}
	n, err := f.File.ReadAt(p, off)
	op.Done = int64(n)
	return n, f.in.after(op, err)
}

func (f *injectFile) WriteAt(bufs [][]byte, off int64) (int64, error) {
	return f.in.write(f.Name(), bufs, off, 1, f.File.WriteAt)
}

// write runs act between the hooks. A short write ends at a multiple of unit.
func (in *Inject) write(name string, bufs [][]byte, off, unit int64, act func([][]byte, int64) (int64, error)) (int64, error) {
	op := Op{Kind: OpWrite, Path: name, Off: off}
	for _, b := range bufs {
		op.Len += int64(len(b))
	}
	cut := in.before(op)
	if cut != nil {
		short, ok := errors.AsType[*ShortWrite](cut)
		if !ok {
			return 0, op.failed(cut)
		}
		bufs = first(bufs, short.Bytes/unit*unit)
	}
	n, err := act(bufs, off)
	op.Done = n
	if err == nil && cut != nil {
		err = op.failed(cut)
	}
	return n, in.after(op, err)
}

func (f *injectFile) WriteDurable(p []byte, off int64) error {
	op := Op{Kind: OpWriteDurable, Path: f.Name(), Off: off, Len: int64(len(p))}
	return f.in.do(op, func() error { return f.File.WriteDurable(p, off) })
}

// first returns the leading n bytes of bufs.
func first(bufs [][]byte, n int64) [][]byte {
	var head [][]byte
	for _, b := range bufs {
		b = b[:min(int64(len(b)), n)]
		head = append(head, b)
		n -= int64(len(b))
	}
	return head
}

func (f *injectFile) Sync() error { return f.in.do(f.op(OpSync, 0), f.File.Sync) }

func (f *injectFile) Truncate(size int64) error {
	return f.in.do(f.op(OpTruncate, size), func() error { return f.File.Truncate(size) })
}

func (f *injectFile) Preallocate(size int64) error {
	return f.in.do(f.op(OpPreallocate, size), func() error { return f.File.Preallocate(size) })
}

func (f *injectFile) Size() (size int64, err error) {
	err = f.in.do(f.op(OpSize, 0), func() error { size, err = f.File.Size(); return err })
	return size, err
}

func (f *injectFile) Map(size int64) (Mapping, error) {
	var m Mapping
	err := f.in.do(f.op(OpMap, size), func() (err error) { m, err = f.File.Map(size); return err })
	switch {
	case err != nil && m != nil:
		return nil, errors.Join(err, m.Unmap())
	case err != nil:
		return nil, err
	}
	return &injectMapping{Mapping: m, in: f.in, name: f.Name()}, nil
}

func (f *injectFile) Fd() (uintptr, bool) {
	if !f.in.fd {
		return 0, false
	}
	return f.File.Fd()
}

func (f *injectFile) Close() error { return f.in.end(f.op(OpClose, 0), f.File.Close) }

// injectMapping is a mapping of an [Inject]. Bytes are those below.
type injectMapping struct {
	Mapping
	in   *Inject
	name string
}

func (m *injectMapping) Flush() error {
	return m.in.do(Op{Kind: OpFlush, Path: m.name, Len: int64(len(m.Bytes()))}, m.Mapping.Flush)
}

func (m *injectMapping) Unmap() error {
	return m.in.end(Op{Kind: OpUnmap, Path: m.name}, m.Mapping.Unmap)
}
