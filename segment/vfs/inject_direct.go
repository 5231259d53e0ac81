package vfs

import "errors"

// injectDirect is a direct file of an [Inject]. Its hooks see WriteSync as a
// write and a sync, and it is done as these two: a crash may come between them.
type injectDirect struct {
	DirectFile
	in *Inject
}

func (f *injectFile) Direct(via Via) (DirectFile, error) {
	var d DirectFile
	err := f.in.do(f.op(OpDirect, 0), func() (err error) { d, err = f.File.Direct(via); return err })
	switch {
	case err != nil && d != nil:
		return nil, errors.Join(err, d.Close())
	case err != nil:
		return nil, err
	}
	return &injectDirect{DirectFile: d, in: f.in}, nil
}

func (f *injectDirect) WriteAt(bufs [][]byte, off int64) (int64, error) {
	return f.in.write(f.Name(), bufs, off, DirectAlign, f.DirectFile.WriteAt)
}

func (f *injectDirect) WriteSync(bufs [][]byte, off int64) (written int64, err error) {
	if len(bufs) > 0 {
		if written, err = f.WriteAt(bufs, off); err != nil {
			return written, err
		}
	}
	return written, f.in.do(Op{Kind: OpSync, Path: f.Name()}, func() error {
		_, err := f.DirectFile.WriteSync(nil, 0)
		return err
	})
}

func (f *injectDirect) Close() error {
	return f.in.end(Op{Kind: OpClose, Path: f.Name()}, f.DirectFile.Close)
}
