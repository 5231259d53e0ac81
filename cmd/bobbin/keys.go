package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/bobbin-log/bobbin/engine"
)

// keyKind is the type of a key's value.
type keyKind string

const (
	keyBoolean keyKind = "boolean"
	keyInt     keyKind = "int"
	keyLong    keyKind = "long"
	keyDouble  keyKind = "double" // greater than zero
	keyString  keyKind = "string"
	keyList    keyKind = "list" // comma-separated
)

// brokerKey is one key of server.properties that Bobbin acts upon. Names,
// meaning and defaults are Kafka's, except for those that begin with bobbin.
type brokerKey struct {
	name string
	kind keyKind
	def  string // "" is no value
	// least is the smallest number that is allowed, of those that are numbers.
	least int64
	// alias is another name, which counts where it is set by a higher source.
	alias string
	// pinned keys can have no value but their default: a broker that ignored
	// another one would be less safe than it was asked to be.
	pinned bool
	doc    string
}

// brokerKeys lists the keys of the broker itself; the defaults of topics come
// from engine.Keys. Sorted by name.
var brokerKeys = []brokerKey{
	{name: "advertised.listeners", kind: keyList, doc: "what clients are told to connect to, NAME://host:port; empty: as listeners"},
	{name: "authorizer.class.name", kind: keyString, pinned: true, doc: "who may do what; there are no access control lists yet"},
	{name: "auto.create.topics.enable", kind: keyBoolean, def: "true", doc: "make a topic when a client asks for one that is not there"},
	{name: "bobbin.allow.plaintext", kind: keyBoolean, def: "false", doc: "let unencrypted listeners be reached from other machines"},
	{name: "bobbin.cold.read.percent", kind: keyInt, def: "10", least: 1, doc: "share of the disk's time for consumers of what is no longer in memory, while producers wait for syncs; 100: no bound"},
	{name: "bobbin.log.format", kind: keyString, def: "auto", doc: "text, json, or auto: text on a terminal, else json"},
	{name: "bobbin.log.level", kind: keyString, def: "info", doc: "debug, info, warn or error"},
	{name: "bobbin.open.segments.max", kind: keyInt, def: "1024", least: 1, doc: "segments that may be open though nobody uses them; one has up to three descriptors"},
	{name: "bobbin.scrub.bytes.per.second", kind: keyLong, def: "0", doc: "how fast stored data is read, all of it and round after round, to find damage before a client does; 0: not at all"},
	{name: "broker.id", kind: keyInt, doc: "older name of node.id"},
	{name: "broker.rack", kind: keyString, doc: "where this broker stands"},
	{name: "cluster.id", kind: keyString, doc: "a data directory of another cluster is refused; empty: take what is there, or make one (CLUSTER_ID)"},
	{name: "config.providers", kind: keyList, pinned: true, doc: "values that stand elsewhere; not supported"},
	{name: "connections.max.idle.ms", kind: keyLong, def: "600000", least: -1, doc: "close a connection that asks for nothing for so long"},
	{name: "controller.listener.names", kind: keyList, doc: "names of listeners that are for controllers: not opened, as a single node needs none"},
	{name: "controller.quorum.bootstrap.servers", kind: keyList, doc: "controllers to ask; only the node itself is possible yet"},
	{name: "controller.quorum.voters", kind: keyList, doc: "the controllers, id@host:port; only the node itself is possible yet"},
	{name: "default.replication.factor", kind: keyInt, def: "1", least: 1, doc: "copies of each partition of a topic that does not say"},
	{name: "delete.topic.enable", kind: keyBoolean, def: "true", pinned: true, doc: "whether topics can be deleted"},
	{name: "fetch.max.bytes", kind: keyInt, def: "57671680", least: 1024, doc: "bound of one answer to a fetch"},
	{name: "listener.security.protocol.map", kind: keyList, def: "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL", doc: "what the listeners' names stand for"},
	{name: "listeners", kind: keyList, def: "PLAINTEXT://127.0.0.1:9092", doc: "where to listen, NAME://host:port; port 0 is any that is free"},
	{name: "log.cleaner.backoff.ms", kind: keyLong, def: "15000", doc: "how often topics are looked through for what is due for compaction"},
	{name: "log.cleaner.dedupe.buffer.size", kind: keyLong, def: "134217728", least: 4096, doc: "memory in which compaction keeps the keys of a partition; those that do not fit take more passes"},
	{name: "log.cleaner.enable", kind: keyBoolean, def: "true", doc: "compact the topics whose cleanup.policy says so"},
	{name: "log.cleaner.io.max.bytes.per.second", kind: keyDouble, def: "1.7976931348623157E308", doc: "bound of what compaction reads and writes"},
	{name: "log.dir", kind: keyString, doc: "other name of log.dirs"},
	{name: "log.dirs", kind: keyList, def: "data", alias: "log.dir", doc: "the data directory; one only"},
	{name: "log.retention.check.interval.ms", kind: keyLong, def: "300000", least: 1, doc: "how often segments are looked through for those to be rolled or deleted"},
	{name: "log.retention.hours", kind: keyInt, def: "168", least: -1, doc: "retention.ms of topics, if neither log.retention.minutes nor .ms is set; -1: no bound"},
	{name: "log.retention.minutes", kind: keyInt, least: -1, doc: "retention.ms of topics, if log.retention.ms is not set; -1: no bound"},
	{name: "log.roll.hours", kind: keyInt, def: "168", least: 1, doc: "segment.ms of topics, if log.roll.ms is not set"},
	{name: "log.roll.jitter.hours", kind: keyInt, def: "0", doc: "segment.jitter.ms of topics, if log.roll.jitter.ms is not set"},
	{name: "max.connections", kind: keyInt, def: "10000", least: 1, doc: "how many connections are served at a time"},
	{name: "max.incremental.fetch.session.cache.slots", kind: keyInt, def: "1000", doc: "how many fetch sessions are kept"},
	{name: "node.id", kind: keyInt, def: "1", alias: "broker.id", doc: "this broker's number"},
	{name: "num.partitions", kind: keyInt, def: "1", least: 1, doc: "partitions of a topic that does not say"},
	{name: "process.roles", kind: keyList, def: "broker,controller", doc: "a Bobbin node is always both"},
	{name: "queued.max.request.bytes", kind: keyLong, def: "268435456", least: -1, doc: "memory for requests that are being received or handled"},
	{name: "remote.log.storage.system.enable", kind: keyBoolean, def: "false", pinned: true, doc: "tiered storage; there is none"},
	{name: "socket.receive.buffer.bytes", kind: keyInt, def: "-1", least: -1, doc: "SO_RCVBUF of connections; -1: the operating system's"},
	{name: "socket.request.max.bytes", kind: keyInt, def: "104857600", least: 1024, doc: "the largest request"},
	{name: "socket.send.buffer.bytes", kind: keyInt, def: "-1", least: -1, doc: "SO_SNDBUF of connections; -1: the operating system's"},
}

// findKey returns the broker's key of that name.
func findKey(name string) (brokerKey, bool) {
	i, ok := slices.BinarySearchFunc(brokerKeys, name, func(k brokerKey, n string) int { return strings.Compare(k.name, n) })
	if !ok {
		return brokerKey{}, false
	}
	return brokerKeys[i], true
}

// check says what is wrong with a value.
func (k brokerKey) check(value string) error {
	if k.pinned && !strings.EqualFold(value, k.def) {
		return fmt.Errorf("%q is not possible, only %q: %s", value, k.def, k.doc)
	}
	switch k.kind {
	case keyBoolean:
		if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			return fmt.Errorf("%q is not true or false", value)
		}
	case keyDouble:
		if f, err := strconv.ParseFloat(value, 64); err != nil || !(f > 0) {
			return fmt.Errorf("%q is not a number above zero", value)
		}
	case keyInt, keyLong:
		most := int64(math.MaxInt64)
		if k.kind == keyInt {
			most = math.MaxInt32
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n > most || n < k.least {
			return fmt.Errorf("%q is not a whole number from %d to %d", value, k.least, most)
		}
	}
	return nil
}

// ignoredKey tells why a key of Kafka's does nothing here.
func ignoredKey(name string) (why string, ok bool) {
	for _, g := range ignoredKeys {
		if slices.Contains(strings.Fields(g.names), name) {
			return g.why, true
		}
	}
	if k, ok := engine.FindBrokerKey(name); ok && k.Ignored {
		return strings.TrimSuffix(k.Doc, "."), true
	}
	return "", false
}

// knownKeys are the names of all keys that are no mistake.
func knownKeys() []string {
	var names []string
	for _, k := range brokerKeys {
		names = append(names, k.name)
	}
	for _, k := range engine.Keys {
		if k.Broker != "" {
			names = append(names, k.Broker)
		}
	}
	for _, g := range ignoredKeys {
		names = append(names, strings.Fields(g.names)...)
	}
	return names
}
