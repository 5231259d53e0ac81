package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// damage is something that happens to one file.
type damage struct {
	name string
	do   func(name string) error
}

func damages() []damage {
	return []damage{
		{"missing", os.Remove},
		{"empty", func(name string) error { return os.Truncate(name, 0) }},
		{"half", func(name string) error {
			info, err := os.Stat(name)
			if err != nil {
				return err
			}
			return os.Truncate(name, info.Size()/2)
		}},
		{"less a byte", func(name string) error {
			info, err := os.Stat(name)
			if err != nil || info.Size() == 0 {
				return err
			}
			return os.Truncate(name, info.Size()-1)
		}},
		{"garbage", rewrite(func(b []byte) []byte {
			for i := range b {
				b[i] = byte(i*37 + 11)
			}
			return append(b, "garbage"...)
		})},
		{"zeros", rewrite(func(b []byte) []byte { clear(b); return b })},
		{"a flipped bit", rewrite(func(b []byte) []byte {
			if len(b) > 0 {
				b[len(b)/2] ^= 4
			}
			return b
		})},
		{"garbage behind", rewrite(func(b []byte) []byte { return append(b, "some garbage behind the end of it, 53 bytes in all ..."...) })},
	}
}

func rewrite(change func([]byte) []byte) func(name string) error {
	return func(name string) error {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(name, change(b), 0o666)
	}
}

// damageRun damages every kind of file of a stopped and of a killed broker, one at a time, and starts on it.
func damageRun(ctx context.Context, r *rig) error {
	if err := coldRun(ctx, r); err != nil {
		return err
	}
	for _, clean := range []bool{true, false} {
		b, t, err := begun(ctx, r, r.path(fmt.Sprintf("clean-%v", clean)), "--override", "log.retention.check.interval.ms=300")
		if err != nil {
			return err
		}
		t.close()
		time.Sleep(time.Second) // a round of housekeeping
		if clean {
			b.terminate(10 * time.Second)
		} else {
			b.kill()
		}
		names, err := kinds(b.dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			for _, d := range damages() {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := r.damaged(ctx, b, clean, name, d); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// kinds lists a file of each kind: the first and the last of a log's, and those beside the logs.
func kinds(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".lock") {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if strings.HasPrefix(rel, "t-1/") {
			return err
		}
		// Of each suffix in each directory the first, and the newest one.
		key := func(s string) string { return filepath.Dir(s) + filepath.Ext(s) }
		if n := len(names); strings.HasSuffix(rel, "g") || strings.Contains(rel, "index") || strings.HasSuffix(rel, ".snapshot") {
			same := 0
			last := -1
			for i, other := range names {
				if key(other) == key(rel) {
					same, last = same+1, i
				}
			}
			if same == 2 && n > 0 {
				names[last] = rel
				return err
			}
		}
		names = append(names, rel)
		return err
	})
	return names, err
}

// damaged starts on a copy with one damaged file.
func (r *rig) damaged(ctx context.Context, from *broker, clean bool, name string, d damage) error {
	dir := r.path("copy")
	if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(from.dir)), d.do(filepath.Join(dir, name))); err != nil {
		return err
	}
	b, err := newBroker(r, dir, from.args...)
	if err != nil {
		return err
	}
	b.logName = r.path("copy.log")
	_ = os.Remove(b.logName) // may not be there
	what := fmt.Sprintf("%s, %s (clean stop: %v)", name, d.name, clean)
	allowed := mayTake(name)
	if err := b.start(); err != nil {
		refused := !b.running() && b.exitCode() == 3
		if b.running() {
			b.kill()
		}
		r.check(refused && allowed == theStart && b.sane(), "%s: %v", what, err)
		return nil
	}
	verdict, whole := r.afterDamage(ctx, b)
	stopped := b.terminate(10 * time.Second)
	if !stopped || b.exitCode() != 0 || !b.sane() {
		whole, allowed, verdict = false, nothing, fmt.Sprintf("%s; a stop within 10 s: %v, code %d: %s", verdict, stopped, b.exitCode(), b.lastLine())
	}
	r.check(whole || allowed == theRecords && !strings.Contains(verdict, wrong), "%s: %s", what, verdict)
	return nil
}

// loss is what the damage of a file may cost at most. Whatever it is, the other partition is whole, and the stop clean.
type loss int

const (
	nothing    loss = iota // the file can be made anew
	theRecords             // of that partition, but what is read is right
	theStart               // refused with code 3: the file cannot be made anew, and a guess could do harm
)

func mayTake(name string) loss {
	switch dir, file := filepath.Split(name); {
	case file == "meta.properties", file == "raft-state", dir == "__bobbin_metadata-0/" && (file == "partition.metadata" || filepath.Ext(file) == ".log"):
		return theStart
	case file == "partition.metadata", filepath.Ext(file) == ".log", filepath.Ext(file) == ".journal":
		return theRecords
	}
	return nothing
}

// wrong is in the verdict on a broker that serves something else than what was acknowledged.
const wrong = "WRONG"

// afterDamage says what a broker that started makes of the topic, and whether nothing at all is missing.
func (r *rig) afterDamage(ctx context.Context, b *broker) (verdict string, whole bool) {
	for p := range int32(2) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		values, err := read(ctx, b.address, "t", p, 50)
		cancel()
		for i, v := range values {
			if m, ok := markOf(v); !ok || m.sequence != uint64(i) {
				return fmt.Sprintf("%s value of record %d", wrong, i), false
			}
		}
		if err == nil {
			continue
		}
		if p == 1 && verdict == "" {
			verdict = wrong + ": of the partition that was not damaged "
		}
		verdict += fmt.Sprintf("%d of 50 records: %v; ", len(values), err)
	}
	if verdict != "" {
		return verdict, false
	}
	t, err := newTeller(b.address)
	if err != nil {
		return err.Error(), false
	}
	defer t.close()
	for p := range int32(2) {
		if o, err := t.produce(ctx, "t", p, []byte("new")); err != nil || o != 50 {
			return fmt.Sprintf("a new record of partition %d gets offset %d: %v", p, o, err), false
		}
	}
	return "healed", true
}
