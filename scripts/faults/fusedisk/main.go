// Fusedisk is a disk that can be told how to fail: a directory with one file, volume, on which a loop device and a file
// system sit. What is written is in the disk's volatile cache until a flush, as in a real one; and a loss of power takes
// from the cache what a seed says, sector by sector, so that what is left is torn and out of order.
//
//	fusedisk -mount DIR -backing FILE -megabytes N
//
// It needs root and /dev/fuse. It says "ready" once it is mounted, then does what each line on its standard input says,
// and answers "ok" or what is wrong:
//
//	cut SEED KEEP     the power goes: of each sector in the cache KEEP percent survive; all that is asked for fails
//	power             the power is back
//	flush ERRNO       flushes fail with the number, such as 5 for EIO; 0: they succeed
//	read ERRNO        and so do reads
//	delay DURATION    a flush takes so long
//	status            bytes in the cache, and how many flushes there were
//
// It ends, and unmounts, when its standard input does.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	dir := flag.String("mount", "", "directory to mount on")
	backing := flag.String("backing", "", "file that has what is durable")
	megabytes := flag.Int64("megabytes", 400, "size of the disk")
	flag.Parse()
	if err := run(*dir, *backing, *megabytes<<20); err != nil {
		fmt.Fprintln(os.Stderr, "fusedisk:", err)
		os.Exit(1)
	}
}

func run(dir, backing string, size int64) error {
	f, err := os.OpenFile(backing, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return err
	}
	d := newDisk(f, size)
	server, err := mount(dir, d)
	if err != nil {
		return fmt.Errorf("mount on %s: %w (it needs root and /dev/fuse)", dir, err)
	}
	fmt.Println("ready")
	err = d.obey(os.Stdin, os.Stdout)
	if e := server.Unmount(); err == nil {
		err = e
	}
	return err
}

// obey does what each line says, until there are no more.
func (d *disk) obey(from io.Reader, to io.Writer) error {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		answer, err := d.do(strings.Fields(lines.Text()))
		if err != nil {
			answer = err.Error()
		}
		if _, err := fmt.Fprintln(to, answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (d *disk) do(words []string) (answer string, err error) {
	number := func(i int) int64 {
		if i >= len(words) {
			err = fmt.Errorf("%q wants more words", words)
			return 0
		}
		n, e := strconv.ParseInt(words[i], 10, 64)
		if e != nil {
			err = e
		}
		return n
	}
	if len(words) == 0 {
		return "", fmt.Errorf("an empty line says nothing")
	}
	switch words[0] {
	case "cut":
		seed, keep := number(1), number(2)
		if err == nil {
			err = d.cut(uint64(seed), int(keep))
		}
	case "power":
		d.power()
	case "flush":
		d.failFlush(syscall.Errno(number(1)))
	case "read":
		d.failRead(syscall.Errno(number(1)))
	case "delay":
		var t time.Duration
		if len(words) < 2 {
			return "", fmt.Errorf("how long?")
		}
		if t, err = time.ParseDuration(words[1]); err == nil {
			d.slow(t)
		}
	case "status":
		return d.status(), nil
	default:
		return "", fmt.Errorf("no such order: %q", words[0])
	}
	return "ok", err
}
