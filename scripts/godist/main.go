// Godist is the helper of scripts/godist.sh, which sends the source of the Go distribution through a broker and
// compares what comes out:
//
//	godist input DIR [LINES]           write every line of every .go file below DIR as «file TAB line», at most LINES
//	godist feed FILE KILLS SEED        copy FILE to stdout, and at KILLS random lines of it write a line to descriptor 3
//	godist check FILE PARTITION…       compare FILE with what each partition held, one file of «key TAB value» lines each
//
// All lines of a file have its name as their key and so go to one partition, whose records must then be exactly those
// lines of the input, in its order, byte for byte. Check prints the figures of a comparison and exits with 1 unless
// nothing is lost, duplicated, changed or out of order.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "godist:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	var err error
	switch {
	case len(args) == 2 && args[0] == "input":
		err = input(out, args[1], -1)
	case len(args) == 3 && args[0] == "input":
		var n int
		if n, err = strconv.Atoi(args[2]); err == nil {
			err = input(out, args[1], n)
		}
	case len(args) == 4 && args[0] == "feed":
		kills, err1 := strconv.Atoi(args[2])
		seed, err2 := strconv.ParseUint(args[3], 10, 64)
		if err = errors.Join(err1, err2); err == nil {
			err = feed(out, os.NewFile(3, "kills"), args[1], kills, rand.New(rand.NewPCG(seed, 0)))
		}
	case len(args) > 2 && args[0] == "check":
		err = check(out, args[1], args[2:])
	default:
		err = errors.New("usage: godist input DIR [LINES] | feed FILE KILLS SEED | check FILE PARTITION…")
	}
	return errors.Join(err, out.Flush())
}

// input writes the lines of the .go files below dir, in the order of their names; at most limit unless it is negative.
func input(w *bufio.Writer, dir string, limit int) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.HasSuffix(path, ".go") {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			if limit == 0 {
				return fs.SkipAll
			}
			limit--
			fmt.Fprintf(w, "%s\t%s\n", filepath.ToSlash(name), bytes.TrimSuffix(line, []byte("\n")))
		}
		return nil
	})
}

// feed copies a file and writes a line to marks when it comes to each of n lines chosen at random.
func feed(w *bufio.Writer, marks io.Writer, path string, n int, rng *rand.Rand) error {
	total := 0
	if err := eachLine(path, func([]byte) error { total++; return nil }); err != nil {
		return err
	}
	at := make([]int, n)
	for i := range at {
		at[i] = rng.IntN(max(total*9/10, 1)) // the last tenth is left, so that something is still to come after each
	}
	slices.Sort(at)
	line := 0
	return eachLine(path, func(text []byte) error {
		for len(at) > 0 && at[0] == line {
			if _, err := fmt.Fprintln(marks, line); err != nil {
				return err
			}
			at = at[1:]
		}
		line++
		_, err := w.Write(text)
		return err
	})
}

// eachLine calls do for each line of a file, with its line feed; the bytes are only valid until do returns.
func eachLine(path string, do func(line []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 4<<20)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			if err := do(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
}
