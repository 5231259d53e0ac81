package vfs

import "errors"

// injectDirect is a direct file of an [Inject]. Its hooks see WriteSync as a
// write and a sync, and it is done as these two: a crash may come between them.
type injectDirect struct {
	DirectFile
	in *Inject
}

// OpenDirect implements [FS].
func (in *Inject) OpenDirect(name string, via Via) (DirectFile, error) {
	var f DirectFile
	err := in.do(Op{Kind: OpOpenDirect, Path: name}, func() (err error) { f, err = in.below.OpenDirect(name, via); return err })
	switch {
	case err != nil && f != nil:
		return nil, errors.Join(err, f.Close())
	case err != nil:
		return nil, err
	}
	return &injectDirect{DirectFile: f, in: in}, nil
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
