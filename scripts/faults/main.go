// Faults breaks a real broker process on purpose and checks what it promised:
//
//	faults kill     kill -9 at random moments under load, and start again
//	faults write    kill -9 in the K-th system call that writes, syncs, makes, renames or removes a file (needs strace)
//	faults power    cut the power of real file systems on a loop device under load, design by design (needs root)
//	faults eio      a sync of a partition's log, then of the metadata's, that fails (needs strace)
//	faults short    writes that are short, and a disk that is full only sometimes (needs strace)
//	faults full     a small disk that is really full, and has room again (needs root)
//	faults flush    a disk of our own that fails its flushes or reads, or takes its time (needs root and /dev/fuse)
//	faults frames   garbage, slow and silent peers, floods, and clients that never read
//	faults conns    thousands of idle connections, connection storms, too few descriptors
//	faults stop     SIGTERM under load, twice, and directories that are not ours to start on
//	faults damage   damaged, missing and empty files, then a start
//	faults compact  a million keys, updated and deleted at random while the broker compacts and is killed
//	faults many     thousands of partitions: to create, to start, to stop
//
// Each breaks one broker after the other, of several designs. It prints lines of figures and ends with code 1 if a
// promise was broken. It ends only processes that it started, listens on 127.0.0.1 only, and unmounts what it mounted,
// also when it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/bobbin-log/bobbin/engine"
)

// rig is what all faults share. Each design has its turn, with a directory of its own.
type rig struct {
	binary   string
	work     string // scratch of the design whose turn it is, removed when all is well
	seed     uint64
	duration time.Duration // of each design's turn
	rounds   int
	design   engine.Design
	kinds    []string // of file systems
	fusedisk string
	table    []report // what is printed at the end

	mu struct {
		sync.Mutex
		broken int
		undo   []func()
	}
}

// fault is a way to break a broker.
type fault struct {
	name    string
	run     func(context.Context, *rig) error
	designs string // which have a turn if no others are asked for: see designsOf
}

// faults lists them all.
func faults() []fault {
	const usual, each = "file", "*+mmap+always"
	return []fault{
		{"kill", killRun, each + ",file+mmap+journal"},
		{"write", writeRun, each + ",file+mmap+journal"},
		{"power", powerRun, each + ",*+mmap+journal,file+mmap+*"},
		{"eio", eioRun, "file,mmap,direct,file+mmap+linger,file+mmap+dsync,file+mmap+journal"},
		{"short", shortRun, "file,direct"},
		{"full", fullRun, each + ",*+mmap+journal"},
		{"flush", flushRun, each + ",file+mmap+linger,file+mmap+dsync,file+mmap+journal"},
		{"frames", framesRun, usual},
		{"conns", connsRun, usual},
		{"stop", stopRun, usual},
		{"damage", damageRun, "file,file+mmap+journal"},
		{"compact", compactRun, usual},
		{"many", manyRun, usual},
	}
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: faults FAULT [flags]; see the head of main.go")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "faults %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func run(name string, args []string) (err error) {
	r := &rig{}
	all := faults()
	i := slices.IndexFunc(all, func(f fault) bool { return f.name == name })
	if i < 0 {
		return errors.New("there is no such fault; see the head of main.go")
	}
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	flags.StringVar(&r.binary, "bobbin", "", "the broker's binary, linked statically")
	flags.Uint64Var(&r.seed, "seed", uint64(time.Now().UnixNano()), "chooses the moments")
	flags.DurationVar(&r.duration, "duration", time.Minute, "for how long faults go on, all designs together")
	flags.IntVar(&r.rounds, "rounds", 10, "how many faults at most, of each design")
	patterns := flags.String("designs", all[i].designs, "the brokers' designs, such as file+mmap+always or *+mmap+always, with commas between")
	kinds := flags.String("fs", "ext4", "what power is cut of: ext4, xfs, volatile (ext4 on a disk of our own), or some with commas between")
	flags.StringVar(&r.fusedisk, "fusedisk", "", "the binary of our own disk")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r.kinds = strings.Split(*kinds, ",")
	designs, err := designsOf(*patterns)
	if err == nil && r.binary == "" {
		err = errors.New("-bobbin is missing")
	}
	if err != nil {
		return err
	}
	r.duration /= time.Duration(len(designs))
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	base, err := os.MkdirTemp("", "bobbin-faults.")
	if err != nil {
		return err
	}
	for _, r.design = range designs {
		if err = errors.Join(err, ctx.Err()); err != nil {
			break
		}
		r.work = filepath.Join(base, r.design.String())
		fmt.Printf("== %s  %s  seed %d\n", name, r.design, r.seed)
		err = errors.Join(os.Mkdir(r.work, 0o777), r.turn(ctx, all[i]))
	}
	printTable(r.table)
	if err == nil && r.mu.broken > 0 {
		err = fmt.Errorf("%d promises broken", r.mu.broken)
	}
	if err != nil {
		return fmt.Errorf("%w (data and logs are kept in %s)", err, base)
	}
	return os.RemoveAll(base)
}

// turn breaks brokers of one design. Whatever becomes of it, and of this program if that is not killed, nothing stays
// mounted and no broker runs on.
func (r *rig) turn(ctx context.Context, f fault) error {
	broken := r.mu.broken
	defer r.undoTo(0)
	if err := f.run(ctx, r); err != nil {
		return err
	}
	r.undoTo(0)
	if r.mu.broken > broken {
		return nil
	}
	return os.RemoveAll(r.work)
}

// later has f called at the end, last one first.
func (r *rig) later(f func()) { r.mu.undo = append(r.mu.undo, f) }

// undoTo does what later has put off, but for the first n.
func (r *rig) undoTo(n int) {
	for len(r.mu.undo) > n {
		last := len(r.mu.undo) - 1
		undo := r.mu.undo[last]
		r.mu.undo = r.mu.undo[:last]
		undo()
	}
}

// report is one line of a table.
type report []string

// printTable writes lines as a table, in Markdown.
func printTable(lines []report) {
	for i, line := range lines {
		fmt.Printf("| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			fmt.Println(strings.Repeat("|---", len(line)) + "|")
		}
	}
}

// check prints a line of the report.
func (r *rig) check(ok bool, format string, args ...any) bool {
	word := "ok     "
	if !ok {
		word = "BROKEN "
		r.mu.Lock()
		r.mu.broken++
		r.mu.Unlock()
	}
	fmt.Printf("%s%s\n", word, fmt.Sprintf(format, args...))
	return ok
}

func (r *rig) path(names ...string) string {
	return filepath.Join(append([]string{r.work}, names...)...)
}
