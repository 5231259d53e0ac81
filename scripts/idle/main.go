// Idle measures what partitions cost that nobody uses: for each number of them a
// broker is made, filled with a record a partition, killed, stopped and started
// again, and every time the first record is waited for.
//
//	go run ./scripts/idle -bobbin ./bobbin -partitions 1000,10000,100000
//
// One line a number of partitions:
//
//	create          of all of them, by requests of one topic each
//	fill            a record to each, which also makes its log
//	start           from the start of the process to the first acknowledged record,
//	                after kill -9 and after a clean stop
//	MiB, fds        resident memory and descriptors then; "rested" after the
//	                recovery in the background
//	stop            from SIGTERM to the end of the process
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	binary := flag.String("bobbin", "", "the bobbin to measure")
	counts := flag.String("partitions", "1000,10000,100000", "numbers of partitions")
	each := flag.Int("each", 1000, "partitions of a topic")
	sync := flag.String("sync", "always", "sync policy")
	records := flag.Int("records", 1<<30, "give a record to so many partitions at most")
	wait := flag.Bool("rest", true, "wait for the recovery in the background once")
	turns := flag.Int("turns", 3, "starts of each kind; the median counts")
	flag.Parse()
	dir, err := os.MkdirTemp("", "bobbin-idle.")
	if err != nil {
		fail(err)
	}
	defer os.RemoveAll(dir)
	fmt.Printf("%10s %9s %9s │ %12s %5s %5s %9s %5s │ %12s %5s %5s │ %9s %9s\n", "partitions", "create", "fill",
		"kill: start", "MiB", "fds", "rested", "MiB", "clean: start", "MiB", "fds", "stop used", "stop idle")
	for _, text := range strings.Split(*counts, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			fail(err)
		}
		r := &run{binary: *binary, sync: *sync, dir: filepath.Join(dir, text), partitions: n, each: min(*each, n), turns: *turns, records: *records, wait: *wait}
		if err := r.measure(context.Background()); err != nil {
			r.kill()
			_ = os.RemoveAll(dir)
			fail(err)
		}
		if err := os.RemoveAll(r.dir); err != nil {
			fail(err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "idle:", err)
	os.Exit(1)
}

// run is one number of partitions.
type run struct {
	binary, sync, dir       string
	partitions, each, turns int
	records                 int
	wait                    bool
	address                 string
	broker                  *exec.Cmd
	begun                   time.Time
}

// state is a broker after a start.
type state struct {
	start      time.Duration
	mib, files int
}

func (r *run) measure(ctx context.Context) error {
	if err := r.start(); err != nil {
		return err
	}
	create, fill, err := r.fill(ctx)
	if err != nil {
		return err
	}
	var killed, clean []state
	var rested, used, idle time.Duration
	restedMiB := 0
	for i := range r.turns {
		r.kill()
		s, err := r.startToFirst()
		if err != nil {
			return err
		}
		killed = append(killed, s)
		if i == r.turns-1 && r.wait {
			if err := r.awaitLog("logs recovered"); err != nil {
				return err
			}
			rested, restedMiB = time.Since(r.begun), r.status("VmRSS")/1024
		}
	}
	if used, err = r.stop(); err != nil {
		return err
	}
	for range r.turns {
		s, err := r.startToFirst()
		if err != nil {
			return err
		}
		clean = append(clean, s)
		if idle, err = r.stop(); err != nil {
			return err
		}
	}
	k, c := median(killed), median(clean)
	ms := func(d time.Duration) string { return strconv.Itoa(int(d.Milliseconds())) + " ms" }
	fmt.Printf("%10d %9s %9s │ %12s %5d %5d %9s %5d │ %12s %5d %5d │ %9s %9s\n", r.partitions, ms(create), ms(fill),
		ms(k.start), k.mib, k.files, ms(rested), restedMiB, ms(c.start), c.mib, c.files, ms(used), ms(idle))
	return nil
}

// start starts the broker's process.
func (r *run) start() error {
	if r.address == "" {
		r.address = freeAddress()
	}
	if err := os.MkdirAll(r.dir, 0o777); err != nil {
		return err
	}
	log, err := os.Create(r.dir + ".log")
	if err != nil {
		return err
	}
	defer log.Close()
	r.broker = exec.Command(r.binary, "serve", "-d", r.dir, "-l", r.address, "--sync", r.sync, "--log-format", "text")
	r.broker.Stdout, r.broker.Stderr = log, log
	r.begun = time.Now()
	return r.broker.Start()
}

// startToFirst starts the broker and waits for a record to be acknowledged.
func (r *run) startToFirst() (state, error) {
	if err := r.start(); err != nil {
		return state{}, err
	}
	if err := r.first(topicName(0), int32(r.each-1)); err != nil {
		return state{}, err
	}
	return state{start: time.Since(r.begun), mib: r.status("VmRSS") / 1024, files: r.descriptors()}, nil
}

func (r *run) kill() {
	if r.broker != nil {
		_ = r.broker.Process.Kill()
		_ = r.broker.Wait() // says that it was killed
		r.broker = nil
	}
}

func (r *run) stop() (time.Duration, error) {
	begun := time.Now()
	if err := r.broker.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	err := r.broker.Wait()
	r.broker = nil
	return time.Since(begun), err
}

// awaitLog waits for a line of the broker's log.
func (r *run) awaitLog(says string) error {
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); {
		b, err := os.ReadFile(r.dir + ".log")
		if err != nil {
			return err
		}
		if strings.Contains(string(b), says) {
			return nil
		}
		<-time.After(20 * time.Millisecond)
	}
	return fmt.Errorf("the broker never said %q", says)
}

// status is a figure of the process in /proc, in KiB.
func (r *run) status(key string) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.broker.Process.Pid)) // a process that has ended shows as zeros
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}

func (r *run) descriptors() int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.broker.Process.Pid))
	return len(entries)
}
