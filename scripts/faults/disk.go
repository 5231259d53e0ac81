package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// disk is a file system in a file.
type disk struct {
	image, dir string
	mounted    bool
}

// newDisk makes and mounts a file system.
func newDisk(r *rig, kind string, megabytes int64) (*disk, error) {
	place, err := os.MkdirTemp(r.work, kind)
	if err != nil {
		return nil, err
	}
	d := &disk{image: filepath.Join(place, "image"), dir: filepath.Join(place, "mounted")}
	if err := errors.Join(os.Mkdir(d.dir, 0o777), newImage(kind, d.image, megabytes)); err != nil {
		return nil, err
	}
	r.later(func() {
		if err := d.unmount(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		if r.mu.broken == 0 {
			_ = os.Remove(d.image) // goes with the rest, otherwise
		}
	})
	return d, d.mount()
}

// newImage makes a file system in a file.
func newImage(kind, image string, megabytes int64) error {
	f, err := os.Create(image)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(megabytes<<20), f.Close()); err != nil {
		return err
	}
	return command("mkfs."+kind, "-q", image)
}

func (d *disk) data() string { return filepath.Join(d.dir, "data") }

func (d *disk) restore() error { return errors.Join(d.unmount(), d.mount()) }

func (d *disk) mount() error {
	err := command("mount", "-o", "loop", d.image, d.dir)
	d.mounted = err == nil
	return err
}

func (d *disk) unmount() error {
	if !d.mounted {
		return nil
	}
	// A ring of a process that was killed is taken apart by the kernel after the
	// process is gone, and holds its files until then.
	err := command("umount", d.dir)
	for end := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(end); err = command("umount", d.dir) {
		time.Sleep(50 * time.Millisecond)
	}
	d.mounted = err != nil
	return err
}

// cut is a loss of power: what was not made durable is gone. Nobody may be in a system call on the file system.
func (d *disk) cut() error {
	const ioctlShutdown, withoutLogFlush = 0x8004587d, uint32(2)
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	how := withoutLogFlush
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), ioctlShutdown, uintptr(unsafe.Pointer(&how))); e != 0 {
		return fmt.Errorf("FS_IOC_SHUTDOWN: %w", e)
	}
	return nil
}

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
