package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
)

// medium is something to put data on, and to take its power.
type medium interface {
	// cut takes the power. The broker stands still, or is dead.
	cut() error
	// restore mounts again what a cut has left.
	restore() error
	// data is where a broker may keep its data.
	data() string
}

// newMedium makes what the -fs flag names.
func newMedium(r *rig, kind string) (medium, error) {
	if kind == "volatile" {
		return newVolatile(r)
	}
	return newDisk(r, kind, 400)
}

// volatile is ext4 on a loop device on a disk of our own, which forgets, tears and reorders what it has not flushed:
// see fusedisk.
type volatile struct {
	*disk
	orders  io.WriteCloser
	answers *bufio.Scanner
	random  *rand.Rand
}

func newVolatile(r *rig) (*volatile, error) {
	place, err := os.MkdirTemp(r.work, "volatile")
	if err != nil {
		return nil, err
	}
	const megabytes = 400
	backing, mounted := filepath.Join(place, "backing"), filepath.Join(place, "fuse")
	d := &volatile{
		disk:   &disk{image: filepath.Join(mounted, "volume"), dir: filepath.Join(place, "mounted")},
		random: rand.New(rand.NewPCG(r.seed, 3)),
	}
	if err := errors.Join(os.Mkdir(mounted, 0o777), os.Mkdir(d.dir, 0o777), newImage("ext4", backing, megabytes)); err != nil {
		return nil, err
	}
	cmd := child(r.fusedisk, "-mount", mounted, "-backing", backing, "-megabytes", fmt.Sprint(megabytes))
	cmd.Stderr = os.Stderr
	if d.orders, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.answers = bufio.NewScanner(out)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("fusedisk: %w (go build ./scripts/faults/fusedisk in its own module, and name it by -fusedisk)", err)
	}
	r.later(func() {
		_ = d.orders.Close() // it ends then
		if err := cmd.Wait(); err != nil {
			fmt.Fprintln(os.Stderr, "fusedisk:", err)
		}
		if r.mu.broken == 0 {
			_ = os.Remove(backing) // goes with the rest, otherwise
		}
	})
	if !d.answers.Scan() || d.answers.Text() != "ready" {
		return nil, errors.New("fusedisk does not start")
	}
	r.later(func() {
		if err := d.unmount(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	})
	return d, d.mount()
}

// order tells the disk what to do.
func (d *volatile) order(format string, args ...any) error {
	line := fmt.Sprintf(format, args...)
	if _, err := fmt.Fprintln(d.orders, line); err != nil {
		return err
	}
	if !d.answers.Scan() || d.answers.Text() != "ok" {
		return fmt.Errorf("fusedisk, told %q, says %q", line, d.answers.Text())
	}
	return nil
}

func (d *volatile) cut() error {
	return d.order("cut %d %d", d.random.Uint32(), d.random.IntN(101))
}

func (d *volatile) restore() error {
	return errors.Join(d.unmount(), d.order("power"), d.mount())
}

// failFlush has flushes fail from now on; zero: they succeed.
func (d *volatile) failFlush(e syscall.Errno) error { return d.order("flush %d", int(e)) }

// failRead does the same with reads.
func (d *volatile) failRead(e syscall.Errno) error { return d.order("read %d", int(e)) }
