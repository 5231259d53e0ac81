package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/bobbin-log/bobbin/engine"
)

// rank orders the places that a setting may come from; a higher one wins.
type rank int

const (
	rankDefault rank = iota
	rankFile
	rankEnv
	rankFlag
)

// setting is the value of one key, and where it stands.
type setting struct {
	value  string
	origin string // "default", "server.properties:12", "env KAFKA_LISTENERS", "flag --listen"
	rank   rank
}

// settings are the keys that something sets. Keys that are not known are kept
// as well, to be told about.
type settings struct {
	set   map[string]setting
	notes []string // what was odd about the sources
}

// settingsSources are the places to look at, from the weakest on.
type settingsSources struct {
	file      string            // a properties file; "": none
	environ   []string          // KEY=value
	overrides []string          // --override key=value
	flags     map[string]string // key → value, of flags that stand for one key
	flagNames map[string]string // key → the flag's name
}

func loadSettings(from settingsSources) (*settings, error) {
	s := &settings{set: map[string]setting{}}
	if from.file != "" {
		if err := s.loadFile(from.file); err != nil {
			return nil, err
		}
	}
	s.loadEnv(from.environ)
	for _, kv := range from.overrides {
		k, v, ok := strings.Cut(kv, "=")
		if !ok || strings.TrimSpace(k) == "" {
			return nil, usagef("--override %q is not of the form key=value", kv)
		}
		s.put(strings.TrimSpace(k), setting{strings.TrimSpace(v), "flag --override", rankFlag})
	}
	for k, v := range from.flags {
		s.put(k, setting{v, "flag --" + from.flagNames[k], rankFlag})
	}
	return s, s.check()
}

// put keeps the setting unless there is one of a higher rank.
func (s *settings) put(key string, v setting) {
	if old, ok := s.set[key]; !ok || old.rank <= v.rank {
		s.set[key] = v
	}
}

func (s *settings) loadFile(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return &usageError{err}
	}
	list, err := parseProperties(string(text))
	if err != nil {
		return usagef("%s: %w", name, err)
	}
	seen := map[string]int{}
	for _, p := range list {
		if line, ok := seen[p.key]; ok {
			s.notes = append(s.notes, fmt.Sprintf("%s: %s is set in line %d and again in line %d, which counts", name, p.key, line, p.line))
		}
		seen[p.key] = p.line
		s.put(p.key, setting{strings.TrimSpace(p.value), name + ":" + strconv.Itoa(p.line), rankFile})
	}
	return nil
}

// notKeys are variables that begin with KAFKA_ in Kafka's own scripts and
// images and name no key.
var notKeys = []string{
	"KAFKA_VERSION", "KAFKA_OPTS", "KAFKA_HEAP_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_GC_LOG_OPTS",
	"KAFKA_JMX_OPTS", "KAFKA_JMX_PORT", "KAFKA_JMX_HOSTNAME", "KAFKA_LOG4J_OPTS", "KAFKA_LOG4J_ROOT_LOGLEVEL",
	"KAFKA_LOG4J_LOGGERS", "KAFKA_TOOLS_LOG4J_LOGLEVEL", "KAFKA_DEBUG", "KAFKA_HOME", "KAFKA_BROKERS",
}

// loadEnv reads KAFKA_LOG_RETENTION_MS and the like, KAFKA_CFG_… as other
// images spell it, and CLUSTER_ID.
func (s *settings) loadEnv(environ []string) {
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if name == "CLUSTER_ID" {
			s.put("cluster.id", setting{value, "env " + name, rankEnv})
		}
		if key, ok := envKey(name); ok {
			s.put(key, setting{value, "env " + name, rankEnv})
		}
	}
	advertised, ok := s.set["advertised.listeners"]
	if l, set := s.set["listeners"]; ok && advertised.rank == rankEnv && (!set || l.rank < rankEnv) {
		s.put("listeners", setting{everywhere(advertised.value), advertised.origin, rankEnv})
	}
}

// envKey is the key that an environment variable names: after the prefix, _ is
// a dot, __ an underscore and ___ a dash. KAFKA_LOG_RETENTION_MS is
// log.retention.ms.
func envKey(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, "KAFKA_CFG_")
	if !ok {
		if rest, ok = strings.CutPrefix(name, "KAFKA_"); !ok || slices.Contains(notKeys, name) {
			return "", false
		}
	}
	if rest == "" {
		return "", false
	}
	return strings.NewReplacer("___", "-", "__", "_", "_", ".").Replace(strings.ToLower(rest)), true
}

// everywhere makes listeners of advertised ones: the same names and ports on
// every address.
func everywhere(advertised string) string {
	list := strings.Split(advertised, ",")
	for i, l := range list {
		name, rest, ok := strings.Cut(strings.TrimSpace(l), "://")
		colon := strings.LastIndexByte(rest, ':')
		if ok && colon >= 0 {
			list[i] = name + "://0.0.0.0" + rest[colon:]
		}
	}
	return strings.Join(list, ",")
}

// check finds every value that a known key cannot have.
func (s *settings) check() error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(s.set)) {
		v := s.set[key]
		var err error
		if k, ok := findKey(key); ok {
			if v.value != "" || k.def != "" {
				err = k.check(v.value)
			}
		} else if k, ok := engine.FindBrokerKey(key); ok {
			var wrong *engine.KeyError
			if err = k.Check(v.value); errors.As(err, &wrong) {
				err = fmt.Errorf("%q: %s", v.value, wrong.Why) // without the topic's name for the key
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s (%s): %w", key, v.origin, err))
		}
	}
	if len(errs) > 0 {
		return &usageError{errors.Join(errs...)}
	}
	return nil
}

// get returns the setting of one of the broker's keys, or of its alias if that
// one is of a higher rank, or the default.
func (s *settings) get(key string) setting {
	k, _ := findKey(key)
	best := setting{value: k.def, origin: "default"}
	for _, name := range []string{key, k.alias} {
		if v, ok := s.set[name]; ok && v.rank > best.rank {
			best = v
		}
	}
	return best
}

// number returns a key's value; check has found it to be one.
func (s *settings) number(key string) int64 {
	n, err := strconv.ParseInt(s.get(key).value, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func (s *settings) boolean(key string) bool { return strings.EqualFold(s.get(key).value, "true") }

func (s *settings) list(key string) []string {
	var list []string
	for item := range strings.SplitSeq(s.get(key).value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// remarks says, in a sentence each, what was set and does nothing: what is
// likely a mistake, and what only is Kafka's business.
func (s *settings) remarks() (mistakes, ignored []string) {
	mistakes = slices.Clone(s.notes)
	idle := map[string][]string{}
	known := knownKeys()
	for _, key := range slices.Sorted(maps.Keys(s.set)) {
		if why, ok := ignoredKey(key); ok {
			idle[why] = append(idle[why], key)
			continue
		}
		if slices.Contains(known, key) {
			continue
		}
		text := fmt.Sprintf("%s (%s) is no key that Kafka or Bobbin knows", key, s.set[key].origin)
		if near := engine.Nearest(key, known); near != "" {
			text += "; did you mean " + near + "?"
		}
		mistakes = append(mistakes, text)
	}
	for _, why := range slices.Sorted(maps.Keys(idle)) {
		ignored = append(ignored, "accepted and ignored, as "+why+": "+strings.Join(idle[why], ", "))
	}
	return mistakes, ignored
}
