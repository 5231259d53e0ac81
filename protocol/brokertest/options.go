package brokertest

import (
	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/protocol"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Option changes the broker that Start starts.
type Option func(*options)

type options struct {
	memory, piped, autoCreate bool
	faulty, log               bool
	nodeID, partitions        int32
	rack                      string
	defaults                  engine.Config
	limits                    protocol.Limits
	wrapFS                    func(vfs.FS) vfs.FS
}

// InMemory keeps the broker's files in memory: nothing touches the disk, and
// the broker can be killed.
func InMemory() Option { return func(o *options) { o.memory = true } }

// Piped serves in-memory connections instead of TCP: see [Broker.Dial]. With
// [InMemory] the whole broker runs inside a testing/synctest bubble.
func Piped() Option { return func(o *options) { o.piped = true } }

// AutoCreate lets clients create topics by asking for them.
func AutoCreate() Option { return func(o *options) { o.autoCreate = true } }

// Partitions is the number of partitions of topics that don't say.
func Partitions(n int32) Option { return func(o *options) { o.partitions = n } }

// Rack is the broker's rack.
func Rack(rack string) Option { return func(o *options) { o.rack = rack } }

// Sync sets the topics' default sync policy, such as "none" or "always".
func Sync(policy string) Option { return func(o *options) { o.defaults.Design.Sync = policy } }

// Defaults changes the topics' default configuration.
func Defaults(change func(*engine.Config)) Option { return func(o *options) { change(&o.defaults) } }

// Limits sets the bounds of connections.
func Limits(l protocol.Limits) Option { return func(o *options) { o.limits = l } }

// WrapFS puts something between the broker and its files: faults, for instance.
// The broker then isn't looked over at the end, since it may have failed.
func WrapFS(wrap func(vfs.FS) vfs.FS) Option {
	return func(o *options) { o.wrapFS, o.faulty = wrap, true }
}

// Logged writes the broker's log to the test's.
func Logged() Option { return func(o *options) { o.log = true } }
