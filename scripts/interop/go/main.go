// Interop drives a broker with two Go clients, franz-go and sarama, for the suite in scripts/interop:
//
//	interop manifest FILE          write the records that every client writes, one per line (see manifest.go)
//	interop create TOPIC…          create topics for a client that cannot
//	interop CLIENT cases           the client's own table of cases
//	interop CLIENT write FILE      write the file's records with each compression to $RUN-CLIENT-CODEC
//	interop CLIENT read DIR TOPIC… read whole topics into DIR/TOPIC.tsv
//
// CLIENT is franz or sarama; BOOTSTRAP=host:port and RUN (a prefix for topics) come from the environment. Each case
// prints one line, PASS or FAIL; the exit code is 1 when one failed.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// codecs are the compressions that each client writes with.
var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// manifestPartitions is how many partitions the manifest's records are spread over.
const manifestPartitions = 3

// client is what the suite asks of a client library.
type client interface {
	cases() []testCase
	// write creates the topic and appends the records with one compression, each to its own partition, in order.
	write(topic, codec string, records []record) error
	// read returns what the topic's partitions hold from their first to their last offset, partition by partition.
	read(topic string) ([]record, error)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "manifest" {
		return writeRecords(args[1], manifest())
	}
	if len(args) < 2 || os.Getenv("BOOTSTRAP") == "" || os.Getenv("RUN") == "" {
		return errors.New("usage: BOOTSTRAP=host:port RUN=prefix interop manifest FILE | create TOPIC… | CLIENT cases | CLIENT write FILE | CLIENT read DIR TOPIC…")
	}
	b, prefix := os.Getenv("BOOTSTRAP"), os.Getenv("RUN")
	if args[0] == "create" {
		return franz{b, prefix}.createForManifest(args[1:])
	}
	var c client
	switch args[0] {
	case "franz":
		c = franz{b, prefix}
	case "sarama":
		c = newSarama(b, prefix)
	default:
		return fmt.Errorf("no client named %q: it is franz or sarama", args[0])
	}
	r := reporter{client: args[0]}
	switch {
	case args[1] == "cases":
		for _, tc := range c.cases() {
			r.run(tc)
		}
	case args[1] == "write" && len(args) == 3:
		records, err := readRecords(args[2])
		if err != nil {
			return err
		}
		for _, codec := range codecs {
			topic := fmt.Sprintf("%s-%s-%s", prefix, args[0], codec)
			r.run(testCase{"writes " + codec, func() error { return c.write(topic, codec, records) }})
		}
	case args[1] == "read" && len(args) > 3:
		for _, topic := range args[3:] {
			records, err := c.read(topic)
			if err == nil {
				err = writeRecords(filepath.Join(args[2], topic+".tsv"), records)
			}
			if err != nil { // the runner misses the file and says so
				fmt.Fprintf(os.Stderr, "%s reads %s: %v\n", args[0], topic, err)
			}
		}
	default:
		return fmt.Errorf("%q: not cases, write FILE or read DIR TOPIC…", args[1:])
	}
	if r.failed > 0 {
		return fmt.Errorf("%d failed", r.failed)
	}
	return nil
}

// testCase is one thing that a client must be able to do.
type testCase struct {
	name string
	run  func() error
}

// reporter runs cases and prints a line for each.
type reporter struct {
	client string
	failed int
}

func (r *reporter) run(c testCase) {
	if err := c.run(); err != nil {
		r.failed++
		fmt.Printf("FAIL %s: %s: %v\n", r.client, c.name, err)
		return
	}
	fmt.Printf("PASS %s: %s\n", r.client, c.name)
}
