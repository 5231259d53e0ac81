package main

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// root is the directory.
type root struct {
	fs.Inode
	disk *disk
}

// OnAdd makes the one file.
func (r *root) OnAdd(ctx context.Context) {
	r.AddChild("volume", r.NewPersistentInode(ctx, &volume{disk: r.disk}, fs.StableAttr{}), false)
}

// volume is the file. The kernel caches none of it: after a loss of power it would go on to show what is gone.
type volume struct {
	fs.Inode
	disk *disk
}

var (
	_ fs.NodeOnAdder   = (*root)(nil)
	_ fs.NodeOpener    = (*volume)(nil)
	_ fs.NodeGetattrer = (*volume)(nil)
	_ fs.NodeSetattrer = (*volume)(nil)
	_ fs.NodeReader    = (*volume)(nil)
	_ fs.NodeWriter    = (*volume)(nil)
	_ fs.NodeFsyncer   = (*volume)(nil)
)

func mount(dir string, d *disk) (*fuse.Server, error) {
	return fs.Mount(dir, &root{disk: d}, &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "fusedisk", MaxWrite: 1 << 20}})
}

// Open implements [fs.NodeOpener].
func (v *volume) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

// Getattr implements [fs.NodeGetattrer].
func (v *volume) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size, out.Blksize = syscall.S_IFREG|0o600, uint64(v.disk.size), 4096
	return 0
}

// Setattr implements [fs.NodeSetattrer]: a disk keeps its size.
func (v *volume) Setattr(ctx context.Context, f fs.FileHandle, _ *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return v.Getattr(ctx, f, out)
}

// Read implements [fs.NodeReader].
func (v *volume) Read(_ context.Context, _ fs.FileHandle, p []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n, e := v.disk.read(p, off)
	return fuse.ReadResultData(p[:n]), e
}

// Write implements [fs.NodeWriter].
func (v *volume) Write(_ context.Context, _ fs.FileHandle, p []byte, off int64) (uint32, syscall.Errno) {
	if e := v.disk.write(p, off); e != 0 {
		return 0, e
	}
	return uint32(len(p)), 0
}

// Fsync implements [fs.NodeFsyncer]: the loop device's flush.
func (v *volume) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno { return v.disk.flush() }
