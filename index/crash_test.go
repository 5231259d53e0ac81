package index_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/bobbin-log/bobbin/index"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// TestCrash cuts the power after every operation on the disk of a random run,
// and between them. An index may lose entries then, or be found corrupt, but
// never have an entry that is wrong, nor lose what was synced without a word.
func TestCrash(t *testing.T) {
	for _, d := range index.Designs {
		for _, k := range []index.Kind{index.Offsets, index.Times} {
			if !d.OnDisk {
				continue
			}
			t.Run(fmt.Sprintf("design=%s/kind=%s", d.Name, kindName(k)), func(t *testing.T) {
				t.Parallel()
				opened, corrupt := 0, 0
				for seed := range uint64(30) {
					c := newCrasher(t, d, k, seed)
					c.run()
					opened += c.opened
					corrupt += c.corrupt
				}
				t.Logf("%d indexes opened after a crash, %d were corrupt", opened, corrupt)
				if opened < 1000 || corrupt < 10 {
					t.Error("the crashes hit too little")
				}
			})
		}
	}
}

// crasher does what a log does to an index, and knows what a crash may leave.
type crasher struct {
	t   *testing.T
	rng *rand.Rand
	mem *vfs.Mem
	s   subject
	x   index.Index

	added []index.Entry // in the index now
	// limbo are entries that a truncation under way may have dropped or not.
	limbo []index.Entry
	// synced is how many of added were there at the last sync.
	synced int
	next   int64

	opened, corrupt int
}

func newCrasher(t *testing.T, d index.Design, k index.Kind, seed uint64) *crasher {
	c := &crasher{t: t, rng: rand.New(rand.NewPCG(seed, uint64(k))), mem: vfs.NewMem(), next: 1}
	inject := vfs.NewInject(c.mem, nil)
	inject.After = func(op vfs.Op, err error) error {
		if op.Kind.Changes() {
			c.crash()
		}
		return err
	}
	c.s = subject{d, k, inject, "/"}
	return c
}

func (c *crasher) run() {
	c.reopen(false)
	if err := c.mem.SyncDir("/"); err != nil {
		c.t.Fatal(err)
	}
	for range 15 {
		var err error
		switch c.rng.IntN(7) {
		case 0:
			err = c.x.Sync()
			c.synced = len(c.added)
		case 1:
			err = c.truncate()
		case 2:
			err = c.x.Seal()
			if err == nil && c.rng.IntN(2) == 0 && len(c.added) > 0 {
				err = c.truncate() // and goes on
				break
			}
			if err == nil && c.rng.IntN(2) == 0 {
				err = c.x.Sync()
				c.synced = len(c.added)
			}
			c.reopen(false)
		case 3:
			c.reopen(c.rng.IntN(4) == 0)
		default:
			for range c.rng.IntN(600) {
				// Never twice the same: what was dropped and comes back is seen.
				c.next += 1 + c.rng.Int64N(3)
				c.added = append(c.added, c.s.entry(c.next))
				if err = c.x.Add(c.s.entry(c.next)); err != nil {
					break
				}
			}
		}
		if err != nil {
			c.t.Fatal(err)
		}
		c.crash()
	}
	if err := c.x.Close(); err != nil {
		c.t.Error(err)
	}
}

func (c *crasher) truncate() error {
	if len(c.added) == 0 {
		return nil
	}
	i := c.rng.IntN(len(c.added))
	key := c.added[i].Key
	c.limbo, c.added = c.added[i:], c.added[:i:i]
	c.synced = min(c.synced, i)
	err := c.x.Truncate(key)
	c.limbo = nil
	return err
}

// reopen closes the index and opens it again, to add to it.
func (c *crasher) reopen(reset bool) {
	if c.x != nil {
		if err := c.x.Close(); err != nil {
			c.t.Fatal(err)
		}
	}
	o := c.s.options()
	o.MaxBytes, o.Reset = 1<<20, reset
	if reset {
		c.limbo, c.added, c.synced = c.added, nil, 0
	}
	x, err := c.s.Open(c.s.fs, c.s.path(), o)
	if err != nil {
		c.t.Fatal(err)
	}
	c.x, c.limbo = x, nil
}

// crash opens what a loss of power would leave now, and checks it.
func (c *crasher) crash() {
	for _, keepPercent := range []int{0, 30, 90, 100} {
		after := c.s
		after.fs = c.mem.Crash(c.rng, keepPercent)
		x, err := after.Open(after.fs, after.path(), after.options())
		c.opened++
		if errors.Is(err, index.ErrCorrupt) {
			c.corrupt++
			continue
		}
		if err != nil {
			c.t.Fatal(err)
		}
		got := slices.Collect(x.All)
		if err := x.Close(); err != nil {
			c.t.Fatal(err)
		}
		c.check(got)
	}
}

func (c *crasher) check(got []index.Entry) {
	c.t.Helper()
	may := slices.Concat(c.added, c.limbo)
	if len(got) > len(may) || !slices.Equal(got, may[:len(got)]) {
		c.t.Fatalf("after a crash: %d entries that are not a part of the %d added", len(got), len(may))
	}
	if len(got) < c.synced {
		c.t.Fatalf("after a crash: %d entries of %d that were synced", len(got), c.synced)
	}
}
