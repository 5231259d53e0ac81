// Package replication is one broker's part in the cluster: its [Node] keeps the
// metadata, a [Partition] for each replica that it holds, and the directory of
// their logs in step with each other.
//
// # Lock order
//
// There is no lock across packages. Changes to the set of topics happen one at a
// time (Node.changes, a token in a channel); readers take immutable snapshots.
package replication

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication/controller"
	"github.com/bobbin-log/bobbin/replication/quorum"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Options say what a Node is.
type Options struct {
	FS  vfs.FS
	Dir string // the data directory, made if absent
	// ClusterID may be empty: then it is what the directory says, or new.
	ClusterID string
	NodeID    int32
	Rack      string
	// Listeners are the addresses that clients are told. They are part of the
	// metadata; see also [Node.SetListeners].
	Listeners []Endpoint
	// Defaults are the topics' configuration where nothing else is set, for them or
	// for brokers while they run. The zero Config stands for engine.DefaultConfig.
	Defaults engine.Config
	// NumPartitions and DefaultReplication are for topics that ask for the
	// default; 0: 1.
	NumPartitions      int32
	DefaultReplication int16
	// OpenSegments bounds the segments whose files are open though nobody uses
	// them; 0: the engine's default.
	OpenSegments int
	// RetentionCheck is the time between two rounds of housekeeping; 0: 5 min.
	RetentionCheck time.Duration
	// CleanerBackoff is the time between two looks for logs that are due for
	// compaction; 0: 15 s, negative: none is compacted.
	CleanerBackoff time.Duration
	// CleanerBytes and CleanerBytesPerSecond bound compaction: the memory that it
	// keeps keys in, and what it reads and writes; see engine.StoreOptions.
	CleanerBytes, CleanerBytesPerSecond int64
	// ScrubBytesPerSecond is how fast stored data is read to find what is damaged,
	// all of it, round after round; 0: not at all.
	ScrubBytesPerSecond int64
	// SyncWorkers bounds the syncs under way at once; 0: the engine's default.
	SyncWorkers int
	// ColdShare is how much of the disk's time reads of what is not in memory may
	// take beside syncs; see engine.StoreOptions.
	ColdShare float64
	Logger    *slog.Logger     // nil: says nothing
	Now       func() time.Time // nil: time.Now
	Random    io.Reader        // nil: crypto/rand; source of topic ids
	// Fatal is told, once, that the metadata can no longer be kept. The process
	// must end: this node has left the cluster already.
	Fatal func(error)
}

func (o *Options) fill() {
	if o.Defaults == (engine.Config{}) {
		o.Defaults = engine.DefaultConfig()
	}
	o.NumPartitions = max(o.NumPartitions, 1)
	o.DefaultReplication = max(o.DefaultReplication, 1)
	if o.RetentionCheck <= 0 {
		o.RetentionCheck = 5 * time.Minute
	}
	if o.CleanerBackoff == 0 {
		o.CleanerBackoff = 15 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
}

// Node is one broker without its network. All methods may be called
// concurrently.
type Node struct {
	o          Options
	log        *slog.Logger
	store      *engine.Store
	controller *controller.Controller
	raft       *quorum.Raft

	// changes has one token: who holds it changes the set of topics, and thereby
	// table. It is a channel, for waiting on a mutex would stop virtual time.
	changes chan struct{}
	table   atomic.Pointer[table]
	warm    warm
	// marksChanged says that the file of the high watermarks is behind.
	marksChanged atomic.Bool
	// roomless says that a log could not be opened on a full disk.
	roomless atomic.Bool

	producerIDs producerIDs
	reserve     reserve

	// background ends with Close, which waits for running.
	background context.Context
	stop       context.CancelFunc
	running    sync.WaitGroup
	closeOnce  sync.Once
}

// metadataLog is the log that the controller's records are in.
const metadataLog = "__bobbin_metadata-0"

// metadataConfig is the configuration of that log: never lost, never expired.
func metadataConfig() engine.Config {
	c := engine.DefaultConfig()
	c.Design = engine.Design{Segment: "file", Index: "mmap", Sync: "always", Retention: "keep"}
	c.SegmentBytes = 64 << 20
	c.SegmentAge = 1<<63 - 1
	c.IndexBytes = 256 << 10
	c.RetentionAge, c.RetentionBytes = -1, -1
	return c
}

// Open opens a data directory, or makes a new one. When it returns the node leads
// the cluster of one, and all partitions can be used: their logs are opened by
// their first use, see [Partition]. Errors: vfs.ErrLocked,
// engine.ErrFormat, *engine.CorruptError for metadata that is damaged. A
// partition whose log is damaged does not keep the node from opening: it is
// [ErrOffline].
func Open(ctx context.Context, o Options) (*Node, error) {
	o.fill()
	n := &Node{o: o, log: o.Logger, changes: make(chan struct{}, 1)}
	n.producerIDs.turn = make(chan struct{}, 1)
	n.producerIDs.turn <- struct{}{}
	n.table.Store(newTable())
	n.reserve = reserve{fs: o.FS, dir: o.Dir, log: o.Logger}
	err := o.checkIdentity()
	if err != nil {
		return nil, err
	}
	n.store, err = engine.OpenStore(engine.StoreOptions{
		FS: o.FS, Dir: o.Dir, ClusterID: o.ClusterID, NodeID: o.NodeID,
		Now: o.Now, Logger: o.Logger, SyncWorkers: o.SyncWorkers, OpenSegments: o.OpenSegments, ColdShare: o.ColdShare,
		CleanerBytes: o.CleanerBytes, CleanerBytesPerSecond: o.CleanerBytesPerSecond,
	})
	if err != nil {
		return nil, err
	}
	kept := n.reserve.release()
	if err := n.openMetadata(ctx); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	if err = n.checkCluster(); err == nil {
		err = n.adopt(ctx)
	}
	if err == nil {
		err = n.register(ctx, o.Listeners)
	}
	if kept {
		n.reserve.take() // before the logs do
	} else {
		n.reserve.refill()
	}
	if err == nil {
		err = n.openTopics(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, n.raft.Close(), n.store.Close())
	}
	n.changes <- struct{}{}
	n.background, n.stop = context.WithCancel(context.Background())
	n.running.Go(func() { n.keepHouse(n.background) })
	if rate := n.o.ScrubBytesPerSecond; rate > 0 {
		n.running.Go(func() { n.scrub(n.background, rate) })
	}
	if !n.store.Clean() {
		n.running.Go(func() { n.recoverAll(n.background) })
	}
	return n, nil
}

// checkIdentity refuses a directory that has metadata and has lost the file that
// says whose they are: the store would make up a new cluster.
func (o *Options) checkIdentity() error {
	const identity = "meta.properties"
	if o.ClusterID != "" {
		return nil
	}
	if _, err := o.FS.Stat(path.Join(o.Dir, identity)); !errors.Is(err, fs.ErrNotExist) {
		return nil // the store will tell
	}
	if _, err := o.FS.Stat(path.Join(o.Dir, metadataLog)); err == nil {
		return fmt.Errorf("%s has a cluster's metadata, but no %s: put that file back, or say which cluster it is with cluster.id: %w", o.Dir, identity, engine.ErrFormat)
	}
	return nil
}

func (n *Node) openMetadata(ctx context.Context) error {
	n.controller = controller.New(controller.Options{
		ControllerID: n.o.NodeID, Partitions: n.o.NumPartitions, Replication: n.o.DefaultReplication,
		CheckConfigs: n.checkConfigs, ListConfig: n.listConfig,
		CheckBrokerConfigs: n.checkBrokerConfigs, ListBrokerConfig: listBrokerConfig,
	})
	options := engine.LogOptions{Config: metadataConfig(), TopicID: [16]byte{15: 1}, First: 1}
	l, err := n.store.Open(metadataLog, options)
	if errors.Is(err, engine.ErrNotFound) {
		l, err = n.store.Create(metadataLog, options)
	}
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	n.raft, err = quorum.OpenRaft(ctx, quorum.RaftOptions{
		ID: strconv.Itoa(int(n.o.NodeID)), Log: l, FS: n.o.FS, Dir: path.Join(n.o.Dir, metadataLog),
		Machine: n.controller, MakeRoom: n.reserve.spend, Fatal: n.o.Fatal, Logger: n.o.Logger,
	})
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	return nil
}

// checkCluster compares the directory's cluster with that of the metadata in it.
func (n *Node) checkCluster() error {
	is, says := n.Image().ClusterID, n.store.ClusterID()
	if is == "" || is == says {
		return nil
	}
	return fmt.Errorf("%s says cluster %s, but the metadata beside it is that of cluster %s: mend the file if the directory is the right one: %w",
		path.Join(n.o.Dir, "meta.properties"), says, is, engine.ErrFormat)
}

// register makes this broker, as it is now, part of the metadata.
func (n *Node) register(ctx context.Context, endpoints []Endpoint) error {
	b := Broker{ID: n.o.NodeID, Rack: n.o.Rack, Endpoints: endpoints}
	err := n.raft.Propose(ctx, func() ([][]byte, error) {
		return n.controller.RegisterBroker(n.store.ClusterID(), b)
	})
	if err != nil {
		return fmt.Errorf("register broker %d: %w", b.ID, err)
	}
	return nil
}

// SetListeners changes the addresses that clients are told.
func (n *Node) SetListeners(ctx context.Context, endpoints []Endpoint) error {
	return n.register(ctx, endpoints)
}

// ID is the node's id.
func (n *Node) ID() int32 { return n.o.NodeID }

// ClusterID is the id of the cluster.
func (n *Node) ClusterID() string { return n.store.ClusterID() }

// Image is the metadata as of now. It costs one atomic load.
func (n *Node) Image() *Image { return n.controller.Image() }

// Store is the directory of the logs.
func (n *Node) Store() *engine.Store { return n.store }

// Dir is the data directory.
func (n *Node) Dir() string { return n.o.Dir }

// Usage is the room on the data directory's file system.
func (n *Node) Usage() (vfs.Usage, error) { return n.o.FS.Usage(n.o.Dir) }

// Close stops housekeeping and the metadata, makes every log durable and leaves
// the marker of a clean stop. Only the first call does anything.
func (n *Node) Close() error {
	var err error
	n.closeOnce.Do(func() {
		n.stop()
		n.running.Wait()
		<-n.changes       // and nobody changes anything any more
		n.reserve.halve() // for the files of a clean stop
		err = errors.Join(n.raft.Close(), n.writeHighWatermarks(), n.store.Close())
	})
	return err
}
