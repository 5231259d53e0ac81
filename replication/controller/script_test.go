package controller

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts in testdata give instead of comparing it")

// TestScripts runs the conversations in testdata: commands, a line «----», and
// what they give: the records that were decided (">") and the replies. A block
// ends with an empty line; «#» begins a comment. Topic ids are numbered by the
// script. After each block the state is held against its own snapshot, and
// against a second machine that applied the same records.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newScript(t).run(string(text))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(text) {
				t.Errorf("%s gives (run with -rewrite to keep it)\n%s", file, got)
			}
		})
	}
}

type script struct {
	t      *testing.T
	c      *Controller
	second *Controller // a follower: applies, and never decides
	ids    byte
	offset int64
}

func newController() *Controller {
	check := func(_, configs map[string]string) error {
		_, err := engine.DefaultConfig().With(configs)
		return err
	}
	list := func(name string) (string, bool) {
		k, ok := engine.FindKey(name)
		return k.Default, ok && k.Type == engine.List
	}
	checkBrokers := func(_ *Image, configs BrokerConfigs) error {
		c := engine.DefaultConfig()
		for _, id := range []int32{AllBrokers, 1} {
			var err error
			if c, err = c.With(engine.TopicDefaults(configs[id])); err != nil {
				return err
			}
		}
		return nil
	}
	listBroker := func(name string) (string, bool) {
		k, ok := engine.FindBrokerKey(name)
		return k.Default, ok && k.Type == engine.List
	}
	return New(Options{
		ControllerID: 1, Partitions: 3, Replication: 1,
		CheckConfigs: check, ListConfig: list, CheckBrokerConfigs: checkBrokers, ListBrokerConfig: listBroker,
	})
}

func newScript(t *testing.T) *script {
	return &script{t: t, c: newController(), second: newController()}
}

func (s *script) run(text string) string {
	var out strings.Builder
	var commands []string
	skip := false
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "----":
			out.WriteString(line)
			for _, c := range commands {
				s.command(&out, strings.Fields(c))
			}
			s.check()
			commands, skip = nil, true
		case trimmed == "":
			out.WriteString(line)
			skip = false
		case skip: // the expectation of before
		default:
			out.WriteString(line)
			if trimmed[0] != '#' {
				commands = append(commands, trimmed)
			}
		}
	}
	return out.String()
}

// command runs one line: a verb, then words and key=value pairs.
func (s *script) command(out *strings.Builder, words []string) {
	verb, args := words[0], words[1:]
	validate := slices.Contains(args, "validate")
	args = slices.DeleteFunc(args, func(a string) bool { return a == "validate" })
	var rs [][]byte
	var results []TopicResult
	var err error
	switch verb {
	case "register":
		rs, err = s.c.RegisterBroker(args[0], Broker{ID: number(args[1]), Rack: args[2], Endpoints: []Endpoint{{"PLAINTEXT", args[3], number(args[4])}}})
	case "create":
		rs, results = s.c.CreateTopics(s.specs(args), validate)
	case "delete":
		rs, results = s.c.DeleteTopics(refs(args))
	case "partitions":
		rs, results = s.c.CreatePartitions(partitionsSpecs(args), validate)
	case "alter", "replace":
		rs, results = s.c.AlterConfigs(changes(args, verb == "replace"), validate)
	case "alter-broker", "replace-broker":
		var errs []error
		changes := brokerChanges(args, verb == "replace-broker")
		rs, errs = s.c.AlterBrokerConfigs(changes, validate)
		for i, err := range errs {
			fmt.Fprintf(out, "broker %d: %v\n", changes[i].Broker, err)
		}
	case "purge":
		rs = s.c.PurgeTopics(s.c.Image().DeletedTopics())
	case "producer-ids":
		var first int64
		rs, first, err = s.c.AllocateProducerIDs()
		fmt.Fprintf(out, "first %d\n", first)
	case "image":
		describe(out, s.c.Image())
	default:
		s.t.Fatalf("no command %q", verb)
	}
	if err != nil {
		fmt.Fprintln(out, "error:", err)
	}
	for _, r := range rs {
		record, err := decodeRecord(r)
		fmt.Fprintf(out, "> %s %s\n", strings.TrimPrefix(fmt.Sprintf("%T", record), "controller."), brief(record))
		if err != nil {
			s.t.Error(err)
		}
	}
	for _, r := range results {
		answer(out, r)
	}
	if len(rs) > 0 {
		s.offset++
		for _, c := range []*Controller{s.c, s.second} {
			if err := c.Apply(s.offset, rs); err != nil {
				s.t.Error(err)
			}
		}
	}
}

// brief prints ids by their last byte.
func brief(r record) string {
	text := fmt.Sprintf("%+v", r)
	for id := range byte(255) {
		long := fmt.Sprint(topicID(id))
		text = strings.ReplaceAll(text, long, fmt.Sprintf("#%d", id))
	}
	return text
}

func topicID(n byte) [16]byte { return [16]byte{0: 7, 15: n} }

func answer(out *strings.Builder, r TopicResult) {
	name := r.Name
	if name == "" {
		name = fmt.Sprintf("#%d", r.ID[15])
	}
	if r.Err != nil {
		fmt.Fprintf(out, "%s: %v\n", name, r.Err)
		return
	}
	fmt.Fprintf(out, "%s: ok #%d", name, r.ID[15])
	if r.Partitions > 0 {
		fmt.Fprintf(out, " partitions=%d", r.Partitions)
	}
	if r.Replication > 0 {
		fmt.Fprintf(out, " replication=%d", r.Replication)
	}
	if len(r.Configs) > 0 {
		fmt.Fprintf(out, " %v", r.Configs)
	}
	out.WriteByte('\n')
}

func describe(out *strings.Builder, m *Image) {
	fmt.Fprintf(out, "offset %d cluster %q next producer id %d\n", m.Offset, m.ClusterID, m.NextProducerID)
	for _, b := range m.Brokers {
		fmt.Fprintf(out, "broker %+v\n", b)
	}
	for _, id := range slices.Sorted(maps.Keys(m.BrokerConfigs)) {
		fmt.Fprintf(out, "configs of broker %d %v\n", id, m.BrokerConfigs[id])
	}
	for t := range m.Topics() {
		fmt.Fprintf(out, "topic %s #%d %v\n", t.Name, t.ID[15], t.Configs)
		for i, p := range t.Partitions {
			fmt.Fprintf(out, "  %d %+v\n", i, p)
		}
	}
	for _, id := range m.DeletedTopics() {
		fmt.Fprintf(out, "deleted #%d\n", id[15])
	}
}

// check holds the state against a restored snapshot and the second machine.
func (s *script) check() {
	var snapshot bytes.Buffer
	if err := s.c.Snapshot(&snapshot); err != nil {
		s.t.Fatal(err)
	}
	restored := newController()
	if err := restored.Restore(&snapshot); err != nil {
		s.t.Fatal(err)
	}
	for what, other := range map[string]*Controller{"restored": restored, "second": s.second} {
		if !same(s.c.Image(), other.Image()) {
			s.t.Errorf("the %s machine has\n%+v\nnot\n%+v", what, other.Image(), s.c.Image())
		}
	}
	s.second = restored // so that a restored machine goes on like the others
}

func number(s string) int32 {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		panic(err)
	}
	return int32(n)
}

// specs reads «name partitions=2 replication=1 assign=0:1,2 key=value … , name …».
func (s *script) specs(words []string) (specs []TopicSpec) {
	for part := range strings.SplitSeq(strings.Join(words, " "), ";") {
		spec := TopicSpec{Partitions: -1, Replication: -1}
		for i, w := range strings.Fields(part) {
			key, value, ok := strings.Cut(w, "=")
			switch {
			case i == 0:
				spec.Name = strings.Trim(w, `"`)
			case key == "partitions":
				spec.Partitions = number(value)
			case key == "replication":
				spec.Replication = int16(number(value))
			case key == "assign":
				p, brokers, _ := strings.Cut(value, ":")
				spec.Assignments = append(spec.Assignments, Assignment{number(p), numbers(brokers)})
			case !ok:
				spec.Configs = append(spec.Configs, Config{Name: w})
			default:
				spec.Configs = append(spec.Configs, Config{key, &value})
			}
		}
		s.ids++
		spec.ID = topicID(s.ids)
		specs = append(specs, spec)
	}
	return specs
}

func numbers(list string) (ns []int32) {
	for n := range strings.SplitSeq(list, ",") {
		if n != "" {
			ns = append(ns, number(n))
		}
	}
	return ns
}

func refs(words []string) (refs []TopicRef) {
	for _, w := range words {
		ref := TopicRef{Name: w}
		if name, id, ok := strings.Cut(w, "#"); ok {
			ref = TopicRef{Name: name}
			if n := byte(number(id)); n > 0 {
				ref.ID = topicID(n)
			}
		}
		refs = append(refs, ref)
	}
	return refs
}

// partitionsSpecs reads «name=count» and «name=count:1;1,2» with brokers.
func partitionsSpecs(words []string) (specs []PartitionsSpec) {
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		count, assign, manual := strings.Cut(value, ":")
		spec := PartitionsSpec{Topic: name, Count: number(count)}
		if manual {
			for brokers := range strings.SplitSeq(assign, ";") {
				spec.Assignments = append(spec.Assignments, numbers(brokers))
			}
		}
		specs = append(specs, spec)
	}
	return specs
}

// brokerChanges reads the same with a broker's id in the place of the topic.
func brokerChanges(words []string, replace bool) []BrokerConfigChange {
	var all []BrokerConfigChange
	for _, c := range changes(words, replace) {
		all = append(all, BrokerConfigChange{Broker: number(c.Topic), Replace: c.Replace, Ops: c.Ops})
	}
	return all
}

// changes reads «topic set:key=value delete:key append:key=value subtract:key=value».
func changes(words []string, replace bool) []ConfigChange {
	ops := map[string]Op{"set": OpSet, "delete": OpDelete, "append": OpAppend, "subtract": OpSubtract, "other": 9}
	var all []ConfigChange
	for _, w := range words {
		verb, rest, isOp := strings.Cut(w, ":")
		if !isOp {
			all = append(all, ConfigChange{Topic: strings.Trim(w, `"`), Replace: replace})
			continue
		}
		key, value, ok := strings.Cut(rest, "=")
		op := ConfigOp{Name: key, Op: ops[verb]}
		if ok {
			op.Value = &value
		}
		c := &all[len(all)-1]
		c.Ops = append(c.Ops, op)
	}
	return all
}
