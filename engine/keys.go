package engine

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// KeyType is the type of a configuration key, with the numbers that
// DescribeConfigs has for it.
type KeyType int8

// The types that topic keys have.
const (
	Boolean KeyType = 1
	String  KeyType = 2
	Int     KeyType = 3
	Short   KeyType = 4
	Long    KeyType = 5
	Double  KeyType = 6
	List    KeyType = 7
)

// Key is one key of a topic's configuration.
type Key struct {
	Name string
	// Broker is the key of server.properties that sets the default for all
	// topics; empty if there is none.
	Broker  string
	Type    KeyType
	Default string
	Doc     string
	// ReadOnly keys have the broker's default that it was started with, and no other
	// while it runs.
	ReadOnly bool
	// Ignored keys are accepted and shown, and have no effect in this release.
	Ignored bool
	// set checks a value and puts it into the Config; get shows it again.
	set func(*Config, string) error
	get func(Config) string
}

// Value is the key's value in c, as Kafka prints it.
func (k Key) Value(c Config) string {
	if k.get == nil {
		return k.Default
	}
	return k.get(c)
}

// KeyError says what is wrong with a setting.
type KeyError struct{ Key, Value, Why string }

func (e *KeyError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("configuration %s: %s", e.Key, e.Why)
	}
	return fmt.Sprintf("configuration %s=%q: %s", e.Key, e.Value, e.Why)
}

// FindKey looks a topic key up by its name.
func FindKey(name string) (Key, bool) {
	i, ok := slices.BinarySearchFunc(Keys, name, func(k Key, n string) int { return strings.Compare(k.Name, n) })
	if !ok {
		return Key{}, false
	}
	return Keys[i], true
}

// FindBrokerKey looks a topic key up by the broker's key that sets its default.
func FindBrokerKey(name string) (Key, bool) {
	i := slices.IndexFunc(Keys, func(k Key) bool { return k.Broker == name && name != "" })
	if i < 0 {
		return Key{}, false
	}
	return Keys[i], true
}

// TopicDefaults are those of the settings of a running broker that are defaults of
// topics, by the topics' keys: of {message.max.bytes 9, max.connections 5} it is
// {max.message.bytes 9}.
func TopicDefaults(broker map[string]string) map[string]string {
	defaults := map[string]string{}
	for name, value := range broker {
		if k, ok := FindBrokerKey(name); ok && !k.ReadOnly {
			defaults[k.Name] = value
		}
	}
	return defaults
}

// With returns c with the settings, by topic key, in force. Its error is a
// *KeyError.
func (c Config) With(settings map[string]string) (Config, error) {
	for name := range settings {
		if _, ok := FindKey(name); !ok {
			return c, &KeyError{name, "", "is not known" + nearestKey(name)}
		}
	}
	// In the table's order: bobbin.sync changes what bobbin.design said.
	for _, k := range Keys {
		value, ok := settings[k.Name]
		if !ok {
			continue
		}
		if err := k.Check(value); err != nil {
			return c, err
		}
		if k.set != nil {
			if err := k.set(&c, value); err != nil {
				return c, &KeyError{k.Name, value, err.Error()}
			}
		}
	}
	return c, c.contradiction()
}

// contradiction reports, as a *KeyError, settings that cannot hold together.
func (c *Config) contradiction() error {
	if c.MinCompactionLag > c.MaxCompactionLag {
		return &KeyError{"min.compaction.lag.ms", showMillis(c.MinCompactionLag), "is more than max.compaction.lag.ms=" + showMillis(c.MaxCompactionLag)}
	}
	if r, err := c.Design.resolve(); err == nil && r.retention.Cleanup != "" && r.retention.Cleanup != showCleanup(*c) {
		return &KeyError{"cleanup.policy", showCleanup(*c), fmt.Sprintf("contradicts bobbin.design=%s, which stands for cleanup.policy=%s: leave one of them out", c.Design, r.retention.Cleanup)}
	}
	return nil
}

// Check reports, as a *KeyError, a value that the key cannot have.
func (k Key) Check(value string) error {
	var err error
	switch k.Type {
	case Boolean:
		if v := strings.ToLower(value); v != "true" && v != "false" {
			err = fmt.Errorf("is neither true nor false")
		}
	case Int, Short:
		_, err = number(value, math.MinInt32, math.MaxInt32)
	case Long:
		_, err = number(value, math.MinInt64, math.MaxInt64)
	case Double:
		if _, e := strconv.ParseFloat(value, 64); e != nil {
			err = fmt.Errorf("is not a number")
		}
	}
	if err == nil && k.set != nil {
		var c Config
		err = k.set(&c, value)
	}
	if err != nil {
		return &KeyError{k.Name, value, err.Error()}
	}
	return nil
}

func number(s string, low, high int64) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("is not a whole number")
	}
	if n < low || n > high {
		return 0, fmt.Errorf("is not in [%d, %d]", low, high)
	}
	return n, nil
}

// nearestKey asks for the known key that is most like name, if any is.
func nearestKey(name string) string {
	names := make([]string, len(Keys))
	for i, k := range Keys {
		names[i] = k.Name
	}
	if near := Nearest(name, names); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// millis turns Kafka's milliseconds into a Duration; what is too long for one is
// as good as for ever.
func millis(ms int64) time.Duration {
	if ms > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(ms) * time.Millisecond
}

func showMillis(d time.Duration) string {
	if d == math.MaxInt64 {
		return strconv.FormatInt(math.MaxInt64, 10)
	}
	return strconv.FormatInt(d.Milliseconds(), 10)
}

// The shapes of keys: what each builds a Key's set and get from.

func durationKey(k Key, low int64, at func(*Config) *time.Duration) Key {
	k.Type = Long
	k.set = func(c *Config, s string) error {
		n, err := number(s, low, math.MaxInt64)
		if err == nil {
			*at(c) = millis(n)
			if n < 0 {
				*at(c) = -time.Millisecond
			}
		}
		return err
	}
	k.get = func(c Config) string { return showMillis(*at(&c)) }
	return k
}

func microsKey(k Key, low int64, at func(*Config) *time.Duration) Key {
	k.Type = Long
	k.set = func(c *Config, s string) error {
		n, err := number(s, low, math.MaxInt64/int64(time.Microsecond))
		if err == nil {
			*at(c) = time.Duration(n) * time.Microsecond
		}
		return err
	}
	k.get = func(c Config) string { return strconv.FormatInt(at(&c).Microseconds(), 10) }
	return k
}

func sizeKey(k Key, low int64, at func(*Config) *int64) Key {
	high := int64(math.MaxInt64)
	if k.Type == Int {
		high = math.MaxInt32
	}
	k.set = func(c *Config, s string) error {
		n, err := number(s, low, high)
		if err == nil {
			*at(c) = n
		}
		return err
	}
	k.get = func(c Config) string { return strconv.FormatInt(*at(&c), 10) }
	return k
}

func shareKey(k Key, at func(*Config) *float64) Key {
	k.Type = Double
	k.set = func(c *Config, s string) error {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || !(f > 0 && f <= 1) {
			return fmt.Errorf("is not in (0, 1]: 0.85 stands for 85 %%")
		}
		*at(c) = f
		return nil
	}
	k.get = func(c Config) string { return strconv.FormatFloat(*at(&c), 'f', -1, 64) }
	return k
}

func intKey(k Key, low, high int64, at func(*Config) *int) Key {
	k.Type = Int
	k.set = func(c *Config, s string) error {
		n, err := number(s, low, high)
		if err == nil {
			*at(c) = int(n)
		}
		return err
	}
	k.get = func(c Config) string { return strconv.Itoa(*at(&c)) }
	return k
}

func boolKey(k Key, at func(*Config) *bool) Key {
	k.Type = Boolean
	k.set = func(c *Config, s string) error {
		*at(c) = strings.EqualFold(s, "true")
		return nil
	}
	k.get = func(c Config) string { return strconv.FormatBool(*at(&c)) }
	return k
}

func ratioKey(k Key, at func(*Config) *float64) Key {
	k.Type = Double
	k.set = func(c *Config, s string) error {
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil || !(f >= 0 && f <= 1) {
			return fmt.Errorf("is not in [0, 1]")
		}
		*at(c) = f
		return nil
	}
	k.get = func(c Config) string { return strconv.FormatFloat(*at(&c), 'g', -1, 64) }
	return k
}

func setCleanup(c *Config, s string) error {
	c.Delete, c.Compact = false, false
	if strings.TrimSpace(s) == "" {
		return nil // neither: records stay
	}
	for p := range strings.SplitSeq(s, ",") {
		switch strings.TrimSpace(p) {
		case "delete":
			c.Delete = true
		case "compact":
			c.Compact = true
		default:
			return fmt.Errorf("has %q; there are: compact, delete", p)
		}
	}
	return nil
}

func showCleanup(c Config) string {
	var p []string
	if c.Compact {
		p = append(p, "compact")
	}
	if c.Delete {
		p = append(p, "delete")
	}
	return strings.Join(p, ",")
}

func setCompression(c *Config, s string) error {
	if s != "producer" && s != "uncompressed" {
		if codec, err := batch.ParseCodec(s); err != nil || codec == batch.None {
			return fmt.Errorf("is none of producer, uncompressed, gzip, snappy, lz4, zstd")
		}
	}
	c.CompressionType = s
	return nil
}

func setTimestampType(c *Config, s string) error {
	switch s {
	case "CreateTime":
		c.AppendTime = false
	case "LogAppendTime":
		c.AppendTime = true
	default:
		return fmt.Errorf("is neither CreateTime nor LogAppendTime")
	}
	return nil
}

func showTimestampType(c Config) string {
	if c.AppendTime {
		return "LogAppendTime"
	}
	return "CreateTime"
}

func setDesign(c *Config, s string) error {
	d, err := c.chosen().parse(s)
	if err != nil {
		return err
	}
	c.Design = d
	r, err := d.resolve()
	if err == nil && r.retention.Cleanup != "" {
		err = setCleanup(c, r.retention.Cleanup)
	}
	return err
}

func setSync(c *Config, s string) error {
	d := c.chosen()
	d.Sync = s
	err := d.Validate()
	if err == nil {
		c.Design = d
	}
	return err
}

// chosen is the design so far; a value is checked with nothing before it.
func (c *Config) chosen() Design {
	if c.Design == (Design{}) {
		return DefaultDesign
	}
	return c.Design
}

// The shapes of ignored keys: their values are held to Kafka's bounds all the
// same, so that a mistake shows before a release that acts upon them.

func ignored(k Key) Key {
	k.Ignored = true
	return k
}

func ignoredNumber(k Key, low int64) Key {
	k.set = func(_ *Config, s string) error {
		_, err := number(s, low, math.MaxInt64)
		return err
	}
	return ignored(k)
}

// ignoredReplicas is a list of partition:broker, or * for all.
func ignoredReplicas(k Key) Key {
	k.Type = List
	k.set = func(_ *Config, s string) error {
		if s = strings.TrimSpace(s); s == "" || s == "*" {
			return nil
		}
		for p := range strings.SplitSeq(s, ",") {
			partition, broker, ok := strings.Cut(strings.TrimSpace(p), ":")
			_, err1 := strconv.ParseUint(partition, 10, 31)
			_, err2 := strconv.ParseUint(broker, 10, 31)
			if !ok || err1 != nil || err2 != nil {
				return fmt.Errorf("is neither * nor a list of partition:broker")
			}
		}
		return nil
	}
	return ignored(k)
}

func setGzipLevel(c *Config, s string) error {
	n, err := number(s, -1, 9)
	if err != nil || n == 0 {
		return fmt.Errorf("is neither in [1, 9] nor -1")
	}
	c.GzipLevel = int(n)
	return nil
}

// Keys lists the keys of a topic's configuration, sorted by name: Kafka's own,
// and those of Bobbin's.
var Keys = sorted(
	Key{Name: "bobbin.design", Broker: "bobbin.design", ReadOnly: true, Type: String, Default: DefaultDesign.String(), set: setDesign, get: func(c Config) string { return c.Design.String() },
		Doc: "How the log is laid out and kept: " + designForm + ". What is left out at the end, or is called default, is the broker's; segment and index are fixed when a topic is made."},
	shareKey(Key{Name: "bobbin.retention.disk.share", Broker: "bobbin.retention.disk.share", Default: "0.85", Doc: "With retention disk: the oldest segments go while more than this part of the file system is in use, by whatever."}, func(c *Config) *float64 { return &c.DiskShare }),
	Key{Name: "bobbin.sync", Broker: "bobbin.sync", ReadOnly: true, Type: String, Default: DefaultDesign.Sync, set: setSync, get: func(c Config) string { return c.Design.Sync },
		Doc: "When appends are made durable, and so what an acknowledgement means: " + strings.Join(namesOf(SyncPolicies, syncName), ", ") + "."},
	sizeKey(Key{Name: "bobbin.sync.bytes", Broker: "bobbin.sync.bytes", Type: Long, Default: "1048576", Doc: "With bobbin.sync=bytes: a partition is synced when so many bytes have gathered."}, 1, func(c *Config) *int64 { return &c.SyncBytes }),
	microsKey(Key{Name: "bobbin.sync.linger.us", Broker: "bobbin.sync.linger.us", Default: "1000", Doc: "With bobbin.sync=linger: a sync waits at most this long for others to share it, and never longer than a sync takes."}, 0, func(c *Config) *time.Duration { return &c.SyncLinger }),
	Key{Name: "cleanup.policy", Broker: "log.cleanup.policy", Type: List, Default: "delete", set: setCleanup, get: showCleanup,
		Doc: "delete drops old segments; compact keeps the last record of each key."},
	Key{Name: "compression.type", Broker: "compression.type", Type: String, Default: "producer", set: setCompression, get: func(c Config) string { return c.CompressionType },
		Doc: "The codec that batches are stored in; producer keeps what the producer chose."},
	Key{Name: "compression.gzip.level", Broker: "compression.gzip.level", Type: Int, Default: "-1", set: setGzipLevel, get: func(c Config) string { return strconv.Itoa(c.GzipLevel) },
		Doc: "Level for compression.type=gzip."},
	intKey(Key{Name: "compression.lz4.level", Broker: "compression.lz4.level", Default: "9", Doc: "Level for compression.type=lz4."}, 1, 17, func(c *Config) *int { return &c.LZ4Level }),
	intKey(Key{Name: "compression.zstd.level", Broker: "compression.zstd.level", Default: "3", Doc: "Level for compression.type=zstd."}, -131072, 22, func(c *Config) *int { return &c.ZstdLevel }),
	durationKey(Key{Name: "delete.retention.ms", Broker: "log.cleaner.delete.retention.ms", Default: "86400000", Doc: "How long a tombstone stays after the first compaction that met it."}, 0, func(c *Config) *time.Duration { return &c.DeleteRetention }),
	ignored(Key{Name: "errors.deadletterqueue.group.enable", Type: Boolean, Default: "false", Doc: "Share groups are not built."}),
	ignoredNumber(Key{Name: "file.delete.delay.ms", Broker: "log.segment.delete.delay.ms", Type: Long, Default: "60000", Doc: "Not needed: readers hold a deleted file until they are done."}, 0),
	durationKey(Key{Name: "flush.ms", Broker: "log.flush.interval.ms", Default: "1000", Doc: "With bobbin.sync=interval: a record is durable after at most this long."}, 0, func(c *Config) *time.Duration { return &c.FlushAge }),
	sizeKey(Key{Name: "flush.messages", Broker: "log.flush.interval.messages", Type: Long, Default: "9223372036854775807", Doc: "With bobbin.sync=interval: or after so many records."}, 1, func(c *Config) *int64 { return &c.FlushRecords }),
	ignoredReplicas(Key{Name: "follower.replication.throttled.replicas", Default: "", Doc: "Replication is not built yet."}),
	sizeKey(Key{Name: "index.interval.bytes", Broker: "log.index.interval.bytes", Type: Int, Default: "4096", Doc: "Log bytes between two index entries."}, 0, func(c *Config) *int64 { return &c.IndexIntervalBytes }),
	sizeKey(Key{Name: "internal.segment.bytes", Broker: "", Type: Int, Default: "1073741824", Doc: "As segment.bytes, without its lower bound; for tests."}, 14, func(c *Config) *int64 { return &c.SegmentBytes }),
	ignoredReplicas(Key{Name: "leader.replication.throttled.replicas", Default: "", Doc: "Replication is not built yet."}),
	ignoredNumber(Key{Name: "local.retention.bytes", Broker: "log.local.retention.bytes", Type: Long, Default: "-2", Doc: "Remote storage is not built."}, -2),
	ignoredNumber(Key{Name: "local.retention.ms", Broker: "log.local.retention.ms", Type: Long, Default: "-2", Doc: "Remote storage is not built."}, -2),
	durationKey(Key{Name: "max.compaction.lag.ms", Broker: "log.cleaner.max.compaction.lag.ms", Default: "9223372036854775807", Doc: "How long a record may stay uncompacted."}, 1, func(c *Config) *time.Duration { return &c.MaxCompactionLag }),
	ignoredNumber(Key{Name: "max.decompressed.message.bytes", Broker: "max.decompressed.message.bytes", Type: Int, Default: "67108864", Doc: "What one batch may decompress to is 64 MiB in this release."}, 1),
	sizeKey(Key{Name: "max.message.bytes", Broker: "message.max.bytes", Type: Int, Default: "1048588", Doc: "The largest batch that is accepted, as the producer compressed it."}, 0, func(c *Config) *int64 { return &c.MaxMessageBytes }),
	durationKey(Key{Name: "message.timestamp.after.max.ms", Broker: "log.message.timestamp.after.max.ms", Default: "3600000", Doc: "How far in the future a record's timestamp may be."}, 0, func(c *Config) *time.Duration { return &c.TimestampAfterMax }),
	durationKey(Key{Name: "message.timestamp.before.max.ms", Broker: "log.message.timestamp.before.max.ms", Default: "9223372036854775807", Doc: "How far in the past a record's timestamp may be."}, 0, func(c *Config) *time.Duration { return &c.TimestampBeforeMax }),
	Key{Name: "message.timestamp.type", Broker: "log.message.timestamp.type", Type: String, Default: "CreateTime", set: setTimestampType, get: showTimestampType,
		Doc: "CreateTime keeps the producer's timestamps; LogAppendTime stamps the broker's."},
	ratioKey(Key{Name: "min.cleanable.dirty.ratio", Broker: "log.cleaner.min.cleanable.ratio", Default: "0.5", Doc: "The share of a log that must be new before it is compacted again."}, func(c *Config) *float64 { return &c.MinDirtyRatio }),
	durationKey(Key{Name: "min.compaction.lag.ms", Broker: "log.cleaner.min.compaction.lag.ms", Default: "0", Doc: "How long a record is not compacted at least."}, 0, func(c *Config) *time.Duration { return &c.MinCompactionLag }),
	intKey(Key{Name: "min.insync.replicas", Broker: "min.insync.replicas", Default: "1", Doc: "Replicas that must have a record before acks=all is answered."}, 1, math.MaxInt32, func(c *Config) *int { return &c.MinInsyncReplicas }),
	boolKey(Key{Name: "preallocate", Broker: "log.preallocate", Default: "false", Doc: "Reserve a segment's whole size when it is made."}, func(c *Config) *bool { return &c.Preallocate }),
	ignoredNumber(Key{Name: "remote.copy.lag.bytes", Broker: "log.remote.copy.lag.bytes", Type: Long, Default: "-1", Doc: "Remote storage is not built."}, -1),
	ignoredNumber(Key{Name: "remote.copy.lag.ms", Broker: "log.remote.copy.lag.ms", Type: Long, Default: "0", Doc: "Remote storage is not built."}, -1),
	ignored(Key{Name: "remote.log.copy.disable", Type: Boolean, Default: "false", Doc: "Remote storage is not built."}),
	ignored(Key{Name: "remote.log.delete.on.disable", Type: Boolean, Default: "false", Doc: "Remote storage is not built."}),
	Key{Name: "remote.storage.enable", Type: Boolean, Default: "false", Doc: "Remote storage is not built: only false is accepted.", set: func(_ *Config, s string) error {
		if strings.EqualFold(s, "true") {
			return fmt.Errorf("remote storage is not built")
		}
		return nil
	}},
	sizeKey(Key{Name: "retention.bytes", Broker: "log.retention.bytes", Type: Long, Default: "-1", Doc: "The size that a partition is kept at; -1: no bound."}, math.MinInt64, func(c *Config) *int64 { return &c.RetentionBytes }),
	durationKey(Key{Name: "retention.ms", Broker: "log.retention.ms", Default: "604800000", Doc: "How long records are kept; -1: no bound."}, -1, func(c *Config) *time.Duration { return &c.RetentionAge }),
	sizeKey(Key{Name: "segment.bytes", Broker: "log.segment.bytes", Type: Int, Default: "1073741824", Doc: "A segment is sealed before it grows past this."}, 1<<20, func(c *Config) *int64 { return &c.SegmentBytes }),
	sizeKey(Key{Name: "segment.index.bytes", Broker: "log.index.size.max.bytes", Type: Int, Default: "10485760", Doc: "The bound of an index; a segment is sealed when one is full."}, 24, func(c *Config) *int64 { return &c.IndexBytes }),
	durationKey(Key{Name: "segment.jitter.ms", Broker: "log.roll.jitter.ms", Default: "0", Doc: "A segment is sealed earlier by at most this, at random."}, 0, func(c *Config) *time.Duration { return &c.SegmentJitter }),
	durationKey(Key{Name: "segment.ms", Broker: "log.roll.ms", Default: "604800000", Doc: "A segment is sealed when its first record is this old."}, 1, func(c *Config) *time.Duration { return &c.SegmentAge }),
	ignored(Key{Name: "unclean.leader.election.enable", Broker: "unclean.leader.election.enable", Type: Boolean, Default: "false", Doc: "Replication is not built yet."}),
)

func sorted(keys ...Key) []Key {
	sort.Slice(keys, func(i, j int) bool { return keys[i].Name < keys[j].Name })
	return keys
}
