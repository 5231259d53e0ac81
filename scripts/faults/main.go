// Faults breaks a real broker process on purpose and checks what it promised:
//
//	faults kill     kill -9 at random moments under load, and start again
//	faults write    kill -9 in the K-th system call that writes or syncs, and start again (needs strace)
//	faults power    cut the power of real file systems on a loop device under load, design by design (needs root)
//	faults eio      a sync of a partition's log, then of the metadata's, that fails (needs strace)
//	faults short    writes that are short, and a disk that is full only sometimes (needs strace)
//	faults full     a small disk that is really full, and has room again (needs root)
//	faults flush    a disk of our own that fails its flushes, or takes its time for them (needs root and /dev/fuse)
//	faults frames   garbage, slow and silent peers, floods, and clients that never read
//	faults conns    thousands of idle connections, connection storms, too few descriptors
//	faults stop     SIGTERM under load, twice, and directories that are not ours to start on
//	faults damage   damaged, missing and empty files, then a start
//	faults compact  a million keys, updated and deleted at random while the broker compacts and is killed
//	faults many     thousands of partitions: to create, to start, to stop
//
// Every run prints lines of figures and ends with code 1 if a promise was broken. It ends only processes that it
// started, listens on 127.0.0.1 only, and unmounts what it mounted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// rig is what all faults share.
type rig struct {
	binary   string
	work     string // scratch, removed when all is well
	seed     uint64
	duration time.Duration
	rounds   int
	policy   string
	fsType   string
	fusedisk string

	mu struct {
		sync.Mutex
		broken int
		undo   []func()
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

func run(name string, args []string) error {
	r := &rig{}
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	flags.StringVar(&r.binary, "bobbin", "", "the broker's binary, linked statically")
	flags.Uint64Var(&r.seed, "seed", uint64(time.Now().UnixNano()), "chooses the moments")
	flags.DurationVar(&r.duration, "duration", time.Minute, "for how long faults go on")
	flags.IntVar(&r.rounds, "rounds", 10, "how many faults at most")
	flags.StringVar(&r.policy, "sync", "always", "the broker's sync policy")
	flags.StringVar(&r.fsType, "fs", "ext4", "what power is cut of: ext4, xfs, volatile (ext4 on a disk of our own), or some with commas between")
	flags.StringVar(&r.fusedisk, "fusedisk", "", "the binary of our own disk")
	if err := flags.Parse(args); err != nil {
		return err
	}
	faults := map[string]func(context.Context, *rig) error{
		"kill": killRun, "power": powerRun, "eio": eioRun, "short": shortRun, "full": fullRun, "frames": framesRun,
		"conns": connsRun, "stop": stopRun, "damage": damageRun, "many": manyRun, "compact": compactRun, "flush": flushRun, "write": writeRun,
	}
	fault := faults[name]
	if fault == nil || r.binary == "" {
		return errors.New("unknown fault, or no -bobbin")
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	var err error
	if r.work, err = os.MkdirTemp("", "bobbin-faults."); err != nil {
		return err
	}
	fmt.Printf("== %s  seed %d\n", name, r.seed)
	err = fault(ctx, r)
	r.undoTo(0)
	if err == nil && r.mu.broken > 0 {
		err = fmt.Errorf("%d promises broken", r.mu.broken)
	}
	if err != nil {
		return fmt.Errorf("%w (data and logs are kept in %s)", err, r.work)
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
