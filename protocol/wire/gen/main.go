// Gen writes the message structs of package wire from Kafka's own definitions,
// the JSON files in the kafka-clients jar. It runs in the package's folder:
//
//	go generate ./protocol/wire
//
// The jar is the one given by -jar, else the one in the local Maven repository,
// else Maven fetches it. Only structure is taken over: names, types, versions,
// tags and defaults, not the texts.
//
// To add a message, add its API to the table in messages.go and run it again. The
// package has methods for the primitives that its messages are made of and for no
// others: the first message that has bytes or a float64 wants them written, in
// reader.go and writer.go.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// generatedSuffix ends the names of the files that this program owns: those not
// written anew are removed.
const generatedSuffix = "_gen.go"

func main() {
	jar := flag.String("jar", "", "kafka-clients jar to read (default: Maven's)")
	kafka := flag.String("kafka", "4.4.0", "Kafka release, to find the jar by")
	out := flag.String("out", ".", "folder to write to")
	flag.Parse()
	if err := run(*jar, *kafka, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(jar, kafka, out string) error {
	specs, err := readSpecs(jar, kafka)
	if err != nil {
		return err
	}
	files := make(map[string][]byte)
	for _, name := range wanted() {
		spec := specs[name]
		if spec == nil {
			return fmt.Errorf("kafka-clients has no message %s", name)
		}
		m, err := newMessage(spec)
		if err != nil {
			return err
		}
		src, err := emitMessage(m, kafka)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		files[snake(name)+generatedSuffix] = src
	}
	if files["api"+generatedSuffix], err = emitAPIs(specs, kafka); err != nil {
		return err
	}
	return replace(out, files)
}

// wanted lists the messages to generate, headers first.
func wanted() []string {
	names := []string{"RequestHeader", "ResponseHeader"}
	for _, api := range generated {
		names = append(names, api+"Request", api+"Response")
	}
	return names
}

// replace makes files the only generated ones in dir.
func replace(dir string, files map[string][]byte) error {
	old, err := filepath.Glob(filepath.Join(dir, "*"+generatedSuffix))
	if err != nil {
		return err
	}
	for _, name := range old {
		if files[filepath.Base(name)] == nil {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	for name, src := range files {
		if err := os.WriteFile(filepath.Join(dir, name), src, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// requests returns the request specs by ascending key, without those that
// Kafka has dropped: they are left with no version.
func requests(specs map[string]*messageSpec) []*messageSpec {
	var list []*messageSpec
	for _, s := range specs {
		if s.Type == "request" && s.ValidVersions != "none" {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *messageSpec) int { return cmp.Compare(*a.APIKey, *b.APIKey) })
	return list
}

// snake turns ProduceRequest into produce_request.
func snake(name string) string {
	var b strings.Builder
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}
