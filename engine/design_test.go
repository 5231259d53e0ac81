package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// What can take the place of what, in a log that is there.
func TestDesignCanBecome(t *testing.T) {
	for _, c := range []struct {
		from, to string
		says     string // empty: it can
	}{
		{"file+mmap+always+time", "file+mmap+none+keep", ""},
		{"file+mmap", "file+dense", ""},
		{"file+btree", "file+none", ""},
		{"file+mmap", "file+btree", "its index mmap cannot become btree"},
		{"file+none", "file+dense", "its index none cannot become dense"},
		{"file+mmap", "memory+mmap", "its segment file cannot become memory"},
		{"memory+mmap", "file+none", "its segment memory cannot become file, and its index mmap cannot become none"},
	} {
		from, err1 := engine.ParseDesign(c.from)
		to, err2 := engine.ParseDesign(c.to)
		err := errors.Join(err1, err2)
		if err == nil {
			err = from.CanBecome(to)
		}
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s to %s: %v, want %q", c.from, c.to, err, c.says)
		}
	}
}

// A log that is opened with another index design, because the broker's default
// has changed, has everything; what the index before had left is not believed
// when that one comes back after the log was cut.
func TestOpenWithAnotherIndex(t *testing.T) {
	for _, first := range index.Designs {
		for _, second := range index.Designs {
			for _, clean := range []bool{true, false} {
				t.Run(fmt.Sprintf("index=%s/then=%s/clean=%v", first.Name, second.Name, clean), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(1, 2))
					mem := vfs.NewMem()
					c := smallConfig(engine.DefaultDesign)
					c.Design.Index = first.Name
					s := openStore(t, mem, "/data")
					l := create(t, s, "t-0", c)
					want := fill(t, l, rng, nil, 300)
					for i, d := range []index.Design{second, first, second, first} {
						killed := mem.Kill()
						closeStore(t, s, l)
						if !clean {
							mem = killed
						}
						s = openStore(t, mem, "/data")
						c.Design.Index = d.Name
						l = reopen(t, s, "t-0", c)
						checkValues(t, readAll(t, l, 0, int64(len(want)), 500), 0, want)
						if err := l.Truncate(int64(len(want) - 70)); err != nil {
							t.Fatal(err)
						}
						want = fill(t, l, rng, want[:l.Marks().End], 250+100*i)
					}
					checkValues(t, readAll(t, l, 0, int64(len(want)), 500), 0, want)
					closeStore(t, s, l)
				})
			}
		}
	}
}

// A log that is on the disk is not opened as one in memory, nor made anew.
func TestOpenOnDiskAsMemory(t *testing.T) {
	mem := vfs.NewMem()
	c := smallConfig(engine.DefaultDesign)
	s := openStore(t, mem, "/data")
	l := create(t, s, "t-0", c)
	mustAppend(t, l, records(1, "kept", 1))
	closeStore(t, s, l)
	s = openStore(t, mem, "/data")
	c.Design.Segment = "memory"
	if _, err := s.Open("t-0", engine.LogOptions{Config: c}); err == nil || !strings.Contains(err.Error(), "choose one that does") {
		t.Errorf("a log on the disk was opened as one in memory: %v", err)
	}
	c.Design.Segment = "file"
	l = reopen(t, s, "t-0", c)
	checkValues(t, readAll(t, l, 0, 1, 500), 0, []string{"kept/0"})
	closeStore(t, s, l)
}
