package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startLimit is how long a broker may take until it listens and serves.
const startLimit = 30 * time.Second

// broker is one data directory and the processes that ran on it.
type broker struct {
	rig     *rig
	address string
	dir     string
	args    []string // of serve, beside directory and address
	prefix  []string // a command in front, which the broker replaces
	cmd     *exec.Cmd
	logName string
	done    chan struct{} // closed when the process has ended
	slowest time.Duration // of all starts
}

func newBroker(r *rig, dir string, args ...string) (*broker, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	b := &broker{rig: r, address: l.Addr().String(), dir: dir, args: args, logName: r.path("broker.log")}
	r.later(func() {
		if b.running() {
			b.kill()
		}
	})
	return b, nil
}

// launch starts the process and does not wait for it.
func (b *broker) launch() error {
	args := append([]string{}, b.prefix...)
	args = append(args, b.rig.binary, "serve", "-d", b.dir, "-l", b.address, "--override", "bobbin.design="+b.rig.design.String(), "--log-format", "text")
	args = append(args, b.args...)
	out, err := os.OpenFile(b.logName, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer out.Close()
	b.cmd = child(args[0], args[1:]...)
	b.cmd.Stdout, b.cmd.Stderr = out, out
	if err := b.cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	b.done = done
	cmd := b.cmd
	go func() {
		_ = cmd.Wait() // its code is asked for later
		close(done)
	}()
	return nil
}

// child is a command of a process group of its own: an interrupt at the terminal is for this program, which then takes
// down in order what it has built up.
func child(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return c
}

// start starts the process and waits until it is ready.
func (b *broker) start() error {
	before := b.logSize()
	begun := time.Now()
	if err := b.launch(); err != nil {
		return err
	}
	for time.Since(begun) < startLimit {
		if strings.Contains(b.logFrom(before), "msg=ready") {
			b.slowest = max(b.slowest, time.Since(begun))
			return nil
		}
		if !b.running() {
			return fmt.Errorf("the broker ended with code %d at its start: %s", b.exitCode(), b.lastLine())
		}
		time.Sleep(2 * time.Millisecond)
	}
	return errors.New("the broker is not ready after " + startLimit.String())
}

func (b *broker) running() bool {
	if b.done == nil {
		return false
	}
	select {
	case <-b.done:
		return false
	default:
		return true
	}
}

// wait reports whether the process ended in time.
func (b *broker) wait(limit time.Duration) bool {
	select {
	case <-b.done:
		return true
	case <-time.After(limit):
		return false
	}
}

func (b *broker) exitCode() int { return b.cmd.ProcessState.ExitCode() }

func (b *broker) pid() int { return b.cmd.Process.Pid }

func (b *broker) signal(s syscall.Signal) { _ = syscall.Kill(b.pid(), s) }

func (b *broker) kill() {
	b.signal(syscall.SIGKILL)
	<-b.done
}

// terminate is a clean stop; it reports whether that took less than the limit.
func (b *broker) terminate(limit time.Duration) bool {
	b.signal(syscall.SIGTERM)
	if b.wait(limit) {
		return true
	}
	b.kill()
	return false
}

func (b *broker) log() string { return b.logFrom(0) }

func (b *broker) logSize() int64 {
	info, err := os.Stat(b.logName)
	if err != nil {
		return 0
	}
	return info.Size()
}

func (b *broker) logFrom(offset int64) string {
	text, _ := os.ReadFile(b.logName)
	return string(text[min(int(offset), len(text)):])
}

func (b *broker) lastLine() string {
	lines := strings.Split(strings.TrimSpace(b.log()), "\n")
	return lines[len(lines)-1]
}

// sane reports whether the log has no panic and no runtime error, and prints the line if it does.
func (b *broker) sane() bool {
	for line := range strings.Lines(b.log()) {
		if strings.Contains(line, "panic") || strings.HasPrefix(line, "goroutine ") || strings.HasPrefix(line, "fatal error") {
			fmt.Println("        the broker says:", line)
			return false
		}
	}
	return true
}

// status reads a figure such as VmHWM or VmRSS from /proc, in KiB.
func (b *broker) status(field string) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.pid()))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}

func (b *broker) descriptors() int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.pid()))
	return len(entries)
}

// cleanMarker reports whether the last stop left its marker.
func (b *broker) cleanMarker() bool {
	_, err := os.Stat(filepath.Join(b.dir, ".kafka_cleanshutdown"))
	return err == nil
}

// verify runs `bobbin log verify` on the stopped broker's directory.
func (b *broker) verify() (string, bool) {
	out, err := exec.Command(b.rig.binary, "log", "verify", b.dir).CombinedOutput()
	return string(bytes.TrimSpace(out)), err == nil
}
