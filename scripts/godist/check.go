package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
)

// errDiffers says that the partitions do not hold what went in.
var errDiffers = errors.New("what came out is not what went in")

// comparison is the state of comparing an input with partitions.
type comparison struct {
	seed  maphash.Seed
	owner map[string]int // key → the partition that holds it
	// balance counts, by the hash of a record, how often it went in minus how often it came out.
	balance  map[uint64]int
	in, out  int // records
	split    int // keys found in more than one partition
	shuffled int // places where a partition's next record is not the input's next record for it
	first    string
}

// check compares an input with what each partition held and writes one line of figures.
func check(w io.Writer, path string, partitions []string) error {
	c := comparison{seed: maphash.MakeSeed(), owner: map[string]int{}, balance: map[uint64]int{}}
	for i, p := range partitions {
		if err := eachLine(p, func(line []byte) error { c.came(line, i); return nil }); err != nil {
			return err
		}
	}
	files, readers := make([]*os.File, len(partitions)), make([]*bufio.Reader, len(partitions))
	defer func() {
		for _, f := range files {
			_ = f.Close() // only read; and nil is refused without harm
		}
	}()
	for i, p := range partitions {
		var err error
		if files[i], err = os.Open(p); err != nil {
			return err
		}
		readers[i] = bufio.NewReaderSize(files[i], 4<<20)
	}
	if err := eachLine(path, func(line []byte) error { return c.went(line, readers) }); err != nil {
		return err
	}
	lost, extra := 0, 0
	for _, n := range c.balance {
		lost += max(n, 0)
		extra += max(-n, 0)
	}
	fmt.Fprintf(w, "in=%d out=%d keys=%d lost=%d duplicated_or_changed=%d out_of_order=%d keys_in_two_partitions=%d\n",
		c.in, c.out, len(c.owner), lost, extra, c.shuffled, c.split)
	if c.first != "" {
		fmt.Fprintln(w, c.first)
	}
	if c.in != c.out || lost+extra+c.shuffled+c.split > 0 {
		return errDiffers
	}
	return nil
}

// came takes note of a record that a partition held.
func (c *comparison) came(line []byte, partition int) {
	c.out++
	c.balance[maphash.Bytes(c.seed, line)]--
	key, _, _ := bytes.Cut(line, []byte("\t"))
	if owner, ok := c.owner[string(key)]; !ok {
		c.owner[string(key)] = partition
	} else if owner != partition {
		c.split++
	}
}

// went takes note of a record of the input and holds it against the next one of the partition that holds its key. A
// difference is counted once and the partition's order is not looked at further.
func (c *comparison) went(line []byte, readers []*bufio.Reader) error {
	c.in++
	c.balance[maphash.Bytes(c.seed, line)]++
	key, _, _ := bytes.Cut(line, []byte("\t"))
	p, ok := c.owner[string(key)]
	if !ok || readers[p] == nil {
		return nil // a key that never came is counted as lost
	}
	got, err := readers[p].ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.Equal(got, line) {
		c.shuffled++
		readers[p] = nil
		if c.first == "" {
			c.first = fmt.Sprintf("first difference: partition %d has %.120q where record %d of the input, %.120q, was due", p, got, c.in-1, line)
		}
	}
	return nil
}
