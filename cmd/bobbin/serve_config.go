package main

import (
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/protocol"
)

// serveConfig is what the settings mean.
type serveConfig struct {
	endpoints
	dir                string
	nodeID             int32
	clusterID          string
	rack               string
	numPartitions      int32
	defaultReplication int16
	autoCreate         bool
	topics             engine.Config // defaults of topics
	retentionCheck     time.Duration
	coldShare          float64
	openSegments       int
	cleanerBackoff     time.Duration // negative: no compaction
	cleanerBytes       int64
	cleanerRate        int64 // bytes in a second; 0: no bound
	scrubBytes         int64 // a second; 0: no scrub
	limits             protocol.Limits
	sendBufferBytes    int // -1: the operating system's
	receiveBufferBytes int
	logFormat          string
	logLevel           slog.Level
}

// resolveConfig finds out what the settings mean; its errors are for whoever
// wrote them.
func resolveConfig(s *settings) (*serveConfig, error) {
	c := &serveConfig{
		nodeID:             int32(s.number("node.id")),
		clusterID:          s.get("cluster.id").value,
		rack:               s.get("broker.rack").value,
		numPartitions:      int32(s.number("num.partitions")),
		autoCreate:         s.boolean("auto.create.topics.enable"),
		retentionCheck:     milliseconds(s.number("log.retention.check.interval.ms")),
		scrubBytes:         s.number("bobbin.scrub.bytes.per.second"),
		openSegments:       int(s.number("bobbin.open.segments.max")),
		sendBufferBytes:    int(s.number("socket.send.buffer.bytes")),
		receiveBufferBytes: int(s.number("socket.receive.buffer.bytes")),
		logFormat:          s.get("bobbin.log.format").value,
		limits: protocol.Limits{
			FrameBytes:    int(s.number("socket.request.max.bytes")),
			InFlightBytes: max(s.number("queued.max.request.bytes"), 0),
			Connections:   int(s.number("max.connections")),
			IdleTime:      milliseconds(s.number("connections.max.idle.ms")),
			FetchBytes:    int(s.number("fetch.max.bytes")),
			FetchSessions: int(s.number("max.incremental.fetch.session.cache.slots")),
		},
	}
	c.coldShare = float64(s.number("bobbin.cold.read.percent")) / 100
	c.resolveCleaner(s)
	if !slices.Contains([]string{"auto", "text", "json"}, c.logFormat) {
		return nil, usagef("bobbin.log.format (%s): %q is not text, json or auto", s.get("bobbin.log.format").origin, c.logFormat)
	}
	if err := c.logLevel.UnmarshalText([]byte(s.get("bobbin.log.level").value)); err != nil {
		return nil, usagef("bobbin.log.level (%s): %q is not debug, info, warn or error", s.get("bobbin.log.level").origin, s.get("bobbin.log.level").value)
	}
	replication := s.number("default.replication.factor")
	if replication > 1 {
		return nil, usagef("default.replication.factor (%s): %d copies need as many brokers, and this release runs on one", s.get("default.replication.factor").origin, replication)
	}
	c.defaultReplication = int16(replication)
	for _, resolve := range []func(*settings) error{c.resolveDir, c.resolveRoles, c.resolveTopics} {
		if err := resolve(s); err != nil {
			return nil, err
		}
	}
	var err error
	c.endpoints, err = resolveEndpoints(s)
	return c, err
}

// milliseconds is n ms; a negative n is no bound.
func milliseconds(n int64) time.Duration {
	if n < 0 || n > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(n) * time.Millisecond
}

func (c *serveConfig) resolveCleaner(s *settings) {
	c.cleanerBackoff = max(milliseconds(s.number("log.cleaner.backoff.ms")), time.Millisecond)
	if !s.boolean("log.cleaner.enable") {
		c.cleanerBackoff = -1
	}
	c.cleanerBytes = s.number("log.cleaner.dedupe.buffer.size")
	// Kafka's default is the greatest number that its type has: no bound.
	if f, err := strconv.ParseFloat(s.get("log.cleaner.io.max.bytes.per.second").value, 64); err == nil && f < 1<<62 {
		c.cleanerRate = max(int64(f), 1)
	}
}

func (c *serveConfig) resolveDir(s *settings) error {
	dirs := s.list("log.dirs")
	origin := s.get("log.dirs").origin
	switch len(dirs) {
	case 1:
		c.dir = dirs[0]
		return nil
	case 0:
		return usagef("log.dirs (%s): say where the data is to be", origin)
	default:
		return usagef("log.dirs (%s): %d directories, and a broker has one: join the disks below it, or run one broker for each", origin, len(dirs))
	}
}

// resolveRoles refuses what describes a cluster: nodes that were meant to be
// one would each be one of their own.
func (c *serveConfig) resolveRoles(s *settings) error {
	roles := s.list("process.roles")
	if len(roles) > 0 && !slices.Contains(roles, "broker") {
		return usagef("process.roles (%s): a Bobbin node is always broker and controller", s.get("process.roles").origin)
	}
	for _, key := range []string{"controller.quorum.voters", "controller.quorum.bootstrap.servers"} {
		if voters := s.list(key); len(voters) > 1 {
			return usagef("%s (%s): %d controllers, and this release runs on a single node", key, s.get(key).origin, len(voters))
		}
	}
	for _, voter := range s.list("controller.quorum.voters") {
		id, _, _ := strings.Cut(voter, "@")
		if id != strconv.Itoa(int(c.nodeID)) {
			return usagef("controller.quorum.voters (%s): %s is not this node, whose node.id is %d, and this release runs on a single node", s.get("controller.quorum.voters").origin, voter, c.nodeID)
		}
	}
	return nil
}

// topicSettings are the topic keys that the settings change.
func topicSettings(s *settings) map[string]setting {
	changed := map[string]setting{}
	for _, k := range engine.Keys {
		if v, ok := s.set[k.Broker]; ok && k.Broker != "" {
			changed[k.Name] = v
		}
	}
	coarse := func(name, key string, unit time.Duration) {
		v, ok := s.set[key]
		if _, finer := changed[name]; !ok || finer {
			return
		}
		if n, err := strconv.ParseInt(v.value, 10, 64); err == nil && n >= 0 {
			v.value = strconv.FormatInt(n*unit.Milliseconds(), 10)
		}
		changed[name] = v
	}
	coarse("retention.ms", "log.retention.minutes", time.Minute)
	coarse("retention.ms", "log.retention.hours", time.Hour)
	coarse("segment.ms", "log.roll.hours", time.Hour)
	coarse("segment.jitter.ms", "log.roll.jitter.hours", time.Hour)
	return changed
}

func (c *serveConfig) resolveTopics(s *settings) error {
	changed := topicSettings(s)
	c.topics = engine.DefaultConfig()
	var err error
	// One by one, so that an error can say where the value stands; bobbin.sync
	// last, as it changes a part of bobbin.design.
	names := slices.Sorted(maps.Keys(changed))
	for _, name := range names {
		if c.topics, err = c.topics.With(map[string]string{name: changed[name].value}); err != nil {
			return &usageError{fmt.Errorf("%s: %w", changed[name].origin, err)}
		}
	}
	return nil
}
