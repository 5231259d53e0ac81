package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopRun stops the broker under load, and starts it where it should not.
func stopRun(ctx context.Context, r *rig) error {
	b, l, err := underLoad(ctx, r, r.path("data"))
	if err != nil {
		return err
	}
	defer l.stop()
	var slowest time.Duration
	for range min(r.rounds, 10) {
		time.Sleep(300 * time.Millisecond)
		begun := time.Now()
		ended := b.terminate(15 * time.Second)
		slowest = max(slowest, time.Since(begun))
		if !ended || b.exitCode() != 0 || !b.cleanMarker() {
			r.check(false, "SIGTERM under load: ended %v, code %d, clean marker %v", ended, b.exitCode(), b.cleanMarker())
		}
		if err := b.start(); err != nil {
			return err
		}
	}
	r.check(slowest < 5*time.Second, "SIGTERM under load: the slowest of %d stops took %v", min(r.rounds, 10), slowest.Round(time.Millisecond))
	b.signal(syscall.SIGTERM)
	b.signal(syscall.SIGTERM)
	ended := b.wait(time.Second)
	r.check(ended, "two SIGTERM at once end it at once")
	if err := b.start(); err != nil {
		return err
	}
	if _, err := l.conclude(ctx, r, b, "stops under load", true); err != nil {
		return err
	}
	return r.wrongDirectories()
}

// wrongDirectories starts on directories that are not for this broker.
func (r *rig) wrongDirectories() error {
	for _, c := range []struct {
		name    string
		prepare func(dir string) error
		args    []string
		starts  bool
	}{
		{"of another cluster", meta("version=1\nnode.id=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\n"), []string{"--override", "cluster.id=BBBBBBBBBBBBBBBBBBBBBB"}, false},
		{"of another node", meta("version=1\nnode.id=2\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\n"), nil, false},
		{"with a newer meta.properties", meta("version=7\nnode.id=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\n"), nil, false},
		{"with an empty meta.properties", meta(""), nil, false},
		{"with a meta.properties of garbage", meta("\x00\xff\x17garbage"), nil, false},
		{"that is a file", func(dir string) error { return os.WriteFile(dir, []byte("x"), 0o666) }, nil, false},
		{"with foreign files", func(dir string) error {
			err := os.MkdirAll(filepath.Join(dir, "photos-2024"), 0o777)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "README"), []byte("mine"), 0o666)
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "photos-2024", "a.jpg"), []byte("mine"), 0o666)
			}
			return err
		}, nil, true},
		{"of Kafka whose metadata cannot be read", func(dir string) error {
			err := meta("#\n#Sat Nov 21 10:00:00 UTC 2026\ncluster.id=MkU3OEVBNTcwNTJENDM2Qk\ndirectory.id=Yl0kVqHzTuW8x1eBxVv0bg\nnode.id=1\nversion=1\n")(dir)
			for _, d := range []string{"__cluster_metadata-0", "orders-0"} {
				if err == nil {
					err = os.MkdirAll(filepath.Join(dir, d), 0o777)
				}
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, d, "00000000000000000000.log"), recordBatch(3), 0o666)
				}
			}
			return err
		}, nil, false},
	} {
		dir := r.path("wrong-" + strings.ReplaceAll(c.name, " ", "-"))
		if err := c.prepare(dir); err != nil {
			return err
		}
		if err := r.judgeStart(c.name, dir, c.starts, c.args...); err != nil {
			return err
		}
	}
	return r.readOnlyDirectory()
}

func meta(text string) func(dir string) error {
	return func(dir string) error {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "meta.properties"), []byte(text), 0o666)
	}
}

// judgeStart starts a broker on a directory and says how that went. What was there must stay.
func (r *rig) judgeStart(name, dir string, starts bool, args ...string) error {
	b, err := newBroker(r, dir, args...)
	if err != nil {
		return err
	}
	b.logName = r.path(filepath.Base(dir) + ".brokerlog")
	_ = os.Remove(b.logName) // an earlier run's
	before := listing(dir)
	if err := b.launch(); err != nil {
		return err
	}
	for end := time.Now().Add(startLimit); b.running() && !strings.Contains(b.log(), "msg=ready") && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	ended := b.wait(100 * time.Millisecond)
	ready := strings.Contains(b.log(), "msg=ready")
	if !ended && !b.terminate(10*time.Second) {
		r.check(false, "on a directory %s: it does not stop", name)
	}
	warnings := ""
	for line := range strings.Lines(b.log()) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
			warnings += "\n            " + strings.TrimSpace(line)
		}
	}
	what := b.lastLine()
	if ready {
		what = "it starts;" + warnings
	}
	right := b.exitCode() != 0
	if starts {
		right = b.exitCode() == 0 && b.cleanMarker()
	}
	r.check(ready == starts && right && b.sane(), "on a directory %s: code %d: %s", name, b.exitCode(), what)
	for path, size := range before {
		if now, ok := listing(dir)[path]; !starts && (!ok || now != size) || !ok {
			r.check(false, "on a directory %s: %s is gone or changed", name, path)
		}
	}
	return nil
}

// listing is the files below a directory and their sizes.
func listing(dir string) map[string]int64 {
	files := map[string]int64{}
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			files[path] = info.Size()
		}
		return nil
	})
	return files
}

// readOnlyDirectory is a data directory on a file system that is mounted read-only.
func (r *rig) readOnlyDirectory() error {
	if os.Geteuid() != 0 {
		fmt.Println("        skipped: a read-only file system (needs root)")
		return nil
	}
	d, err := newDisk(r, "ext4", 16)
	if err != nil {
		return err
	}
	dir := filepath.Join(d.dir, "data")
	if err := r.judgeStart("that is new", dir, true); err != nil {
		return err
	}
	if err := command("mount", "-o", "remount,ro", d.dir); err != nil {
		return err
	}
	if err := r.judgeStart("that is read-only", dir, false); err != nil {
		return err
	}
	return r.judgeStart("that is read-only and new", filepath.Join(d.dir, "new"), false)
}
