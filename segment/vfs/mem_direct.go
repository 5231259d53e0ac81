package vfs

// memDirect is a [DirectFile] of a [Mem]. Memory has no way around itself: what
// is kept of the real thing is its alignment, and that a write is no sync.
type memDirect struct{ file *memFile }

// Direct implements [File]. Both ways are the same here.
func (f *memFile) Direct(Via) (DirectFile, error) {
	if err := f.check(true); err != nil {
		return nil, opError(OpDirect, f.name, err)
	}
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	return &memDirect{f.mem.open(f.inode, f.name, true)}, nil
}

func (d *memDirect) Buffer(n int) []byte { return Aligned(n) }

func (d *memDirect) WriteAt(bufs [][]byte, off int64) (int64, error) {
	if err := checkDirect(bufs, off); err != nil {
		return 0, opError(OpWrite, d.file.name, err)
	}
	return d.file.WriteAt(bufs, off)
}

func (d *memDirect) WriteSync(bufs [][]byte, off int64) (int64, error) {
	n, err := d.WriteAt(bufs, off)
	if err == nil {
		err = d.file.Sync()
	}
	return n, err
}

func (d *memDirect) Close() error { return d.file.Close() }
func (d *memDirect) Name() string { return d.file.name }
