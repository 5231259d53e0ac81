package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
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
	d := &disk{image: r.path("disk.img"), dir: r.path("disk")}
	f, err := os.Create(d.image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(megabytes<<20), f.Close(), os.MkdirAll(d.dir, 0o777)); err != nil {
		return nil, err
	}
	if err := command("mkfs."+kind, "-q", d.image); err != nil {
		return nil, err
	}
	r.later(func() {
		if err := d.unmount(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	})
	return d, d.mount()
}

func (d *disk) mount() error {
	err := command("mount", "-o", "loop", d.image, d.dir)
	d.mounted = err == nil
	return err
}

func (d *disk) unmount() error {
	if !d.mounted {
		return nil
	}
	err := command("umount", d.dir)
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

// freeze stops the broker and waits until none of its threads runs: a sync that is under way while the file system shuts
// down can succeed without having done anything, which no disk would do.
func (b *broker) freeze() error {
	b.signal(syscall.SIGSTOP)
	tasks := fmt.Sprintf("/proc/%d/task", b.pid())
	for range 2000 {
		entries, err := os.ReadDir(tasks)
		if err != nil {
			return err
		}
		moving := false
		for _, e := range entries {
			stat, err := os.ReadFile(tasks + "/" + e.Name() + "/stat")
			if err != nil {
				continue
			}
			_, rest, _ := strings.Cut(string(stat), ") ")
			moving = moving || !strings.HasPrefix(rest, "T") && !strings.HasPrefix(rest, "D")
		}
		if !moving {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("the broker does not stand still")
}

// powerRun cuts the power under load.
func powerRun(ctx context.Context, r *rig) error {
	d, err := newDisk(r, r.fsType, 400)
	if err != nil {
		return err
	}
	b, err := newBroker(r, d.dir+"/data", "--override", "log.segment.bytes=1048576", "--override", "log.retention.check.interval.ms=700",
		"--override", "log.retention.bytes=16777216")
	if err != nil {
		return err
	}
	if err := b.start(); err != nil {
		return err
	}
	if err := createTopic(ctx, b.address, loadTopic, loadPartitions, map[string]*string{"retention.bytes": new(string("-1"))}); err != nil {
		return err
	}
	l, err := startLoad(ctx, b.address)
	if err != nil {
		return err
	}
	defer l.stop()
	random := rand.New(rand.NewPCG(r.seed, 2))
	end := time.Now().Add(r.duration)
	cuts := 0
	for cuts < r.rounds && time.Now().Before(end) && ctx.Err() == nil {
		time.Sleep(time.Duration(random.Int64N(int64(700 * time.Millisecond))))
		if err := errors.Join(b.freeze(), d.cut()); err != nil {
			return err
		}
		b.kill()
		if err := errors.Join(d.unmount(), d.mount()); err != nil {
			return err
		}
		cuts++
		// With another policy what was not synced is torn until the start cuts it.
		if out, ok := b.verify(); !ok && r.policy == "always" {
			r.check(false, "log verify after cut %d: %s", cuts, out)
		}
		if err := b.start(); err != nil {
			return err
		}
		if cuts%5 != 0 || r.policy != "always" {
			continue
		}
		resume, err := l.quiet(ctx)
		if err != nil {
			return err
		}
		v, err := l.judge(ctx)
		if err != nil {
			return err
		}
		if !v.good() {
			r.check(false, "after cut %d: %v", cuts, v)
		}
		resume()
	}
	return l.conclude(ctx, r, b, fmt.Sprintf("%d power cuts on %s, sync %s", cuts, r.fsType, r.policy), r.policy == "always")
}

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
