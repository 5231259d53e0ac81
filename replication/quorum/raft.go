package quorum

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// RaftOptions say what a [Raft] runs on.
type RaftOptions struct {
	// ID names this node within the group, for ever.
	ID string
	// Log holds the entries. It was created with First: 1, its sync policy is
	// "always" and its retention "keep". Its owner closes it, after the Raft.
	Log *engine.Log
	// FS and Dir are where the vote and the snapshots go, beside the log's files.
	FS  vfs.FS
	Dir string
	// Machine is what the group agrees on. Only the Raft calls its methods.
	Machine Machine
	// SnapshotEntries is how many entries there are between two snapshots; 0 is
	// 4,096. As many again stay in the log behind a snapshot.
	SnapshotEntries int
	// MakeRoom, if any, is called when the disk is full. It returns whether there
	// may be room now, and false at the latest when it has nothing more to give.
	MakeRoom func() bool
	// Fatal is told, once and from a goroutine of its own, that the log, the
	// vote, a snapshot or the machine failed. By then this node takes no part in
	// the group any more, and it must not until its process was started again:
	// what reached the disk is not known.
	Fatal  func(error)
	Logger *slog.Logger
}

// Raft runs a Machine over a log on which a group of nodes agrees. The group has
// one voter so far, this node.
//
// A command goes: decide, against the state that all earlier ones left → one
// entry with its records → log and sync → apply. One command at a time is on its
// way, which keeps decide simple; metadata changes are rare and an entry takes
// one sync.
//
// All methods may be called concurrently.
type Raft struct {
	raft      *raft.Raft
	fsm       *fsm
	transport raft.LoopbackTransport
	fatal     func(error)

	// turn has one token: who holds it decides. It is a channel, for waiting on
	// a mutex would stop virtual time in tests.
	turn chan struct{}
	// caughtUp is the term in which this node has seen everything that earlier
	// leaders committed; guarded by turn.
	caughtUp uint64

	closeOnce sync.Once
	closing   chan struct{} // closed when Close begins
	started   atomic.Bool
	failOnce  sync.Once
	failed    chan struct{} // closed after failure was set
	failure   error
}

// The group's timing. A node that starts does not wait for a leader that cannot
// be (see lead), so these only matter to an idle leader's wake-ups.
const (
	heartbeat = 2 * time.Second
	lease     = time.Second
	// campaignHeartbeat replaces heartbeat once, and must be smaller.
	campaignHeartbeat = heartbeat - time.Millisecond

	snapshotEntriesDefault = 4096
	snapshotCheck          = 30 * time.Second
)

// OpenRaft opens the group's state in o.Dir, or founds a group of one in an
// empty directory. When it returns, this node leads and the machine has applied
// every entry. Damage is a *engine.CorruptError.
func OpenRaft(ctx context.Context, o RaftOptions) (*Raft, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Raft{
		turn: make(chan struct{}, 1), closing: make(chan struct{}), failed: make(chan struct{}), fatal: o.Fatal,
	}
	r.fsm = &fsm{machine: o.Machine, fail: r.fail}
	if o.MakeRoom == nil {
		o.MakeRoom = func() bool { return false }
	}
	logs := &logStore{log: o.Log, says: o.Logger, makeRoom: o.MakeRoom, fail: r.fail, stop: r.stop}
	stable := &stableStore{fs: o.FS, dir: o.Dir, log: o.Logger, makeRoom: o.MakeRoom, closing: r.closing, fail: r.fail, stop: r.stop}
	if err := stable.open(); err != nil {
		return nil, err
	}
	snapshots := &snapshotStore{fs: o.FS, dir: o.Dir, fail: r.fail}
	address := raft.ServerAddress(o.ID)
	_, r.transport = raft.NewInmemTransport(address)
	config := raftConfig(o)
	founding, err := checkStores(logs, stable, snapshots)
	if err == nil && founding {
		group := raft.Configuration{Servers: []raft.Server{{ID: config.LocalID, Address: address}}}
		err = raft.BootstrapCluster(config, logs, stable, snapshots, r.transport, group)
	}
	if err != nil {
		return nil, err
	}
	if err := r.start(config, logs, stable, snapshots); err != nil {
		return nil, err
	}
	err = r.lead(ctx)
	r.turn <- struct{}{}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func raftConfig(o RaftOptions) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(o.ID)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = heartbeat, heartbeat, lease
	c.SnapshotInterval = snapshotCheck
	c.SnapshotThreshold = uint64(o.SnapshotEntries)
	if c.SnapshotThreshold == 0 {
		c.SnapshotThreshold = snapshotEntriesDefault
	}
	c.TrailingLogs = c.SnapshotThreshold
	c.NoLegacyTelemetry = true
	c.LogLevel = "OFF"
	if o.Logger.Enabled(context.Background(), slog.LevelDebug) {
		c.LogLevel, c.LogOutput = "DEBUG", lineLogger{o.Logger}
	}
	return c
}

// lineLogger writes what raft says to a Logger at debug. What an operator has to
// know reaches him by RaftOptions.Fatal.
type lineLogger struct{ to *slog.Logger }

func (w lineLogger) Write(p []byte) (int, error) {
	w.to.Debug("raft: " + string(bytes.TrimSpace(p)))
	return len(p), nil
}

// checkStores tells whether the directory is new, and refuses one in which a
// part is missing: without its vote a node might vote twice, and without the
// entries behind a snapshot the state has a hole.
func checkStores(logs *logStore, stable *stableStore, snapshots *snapshotStore) (founding bool, err error) {
	metas, err := snapshots.List()
	if err != nil {
		return false, err
	}
	first, _ := logs.FirstIndex()
	if first == 0 && len(metas) == 0 {
		// A term without an entry is what a crash while founding leaves.
		term, err := stable.GetUint64([]byte(keyTerm))
		if err == nil && term <= 1 {
			stable.forget()
			return true, nil
		}
		return false, errors.Join(err, &engine.CorruptError{Path: stable.path(), Why: fmt.Sprintf("it is at term %d, but there are no entries and no snapshot", term)})
	}
	if stable.empty() {
		return false, &engine.CorruptError{Path: stable.path(), Why: "it is missing, but there are entries; it holds the node's vote and must be restored from a copy"}
	}
	switch {
	case len(metas) == 0 && first > 1:
		return false, &engine.CorruptError{Path: stable.dir, Why: fmt.Sprintf("the entries before %d are gone, and there is no snapshot of them", first)}
	case len(metas) > 0 && first > metas[0].Index+1:
		return false, &engine.CorruptError{Path: stable.dir, Why: fmt.Sprintf("the newest snapshot that can be read ends at entry %d, but the log begins at %d", metas[0].Index, first)}
	}
	return false, nil
}

// start turns a panic of raft, which is how it reports an entry that it cannot
// read, into an error.
func (r *Raft) start(c *raft.Config, logs *logStore, stable *stableStore, snapshots *snapshotStore) (err error) {
	defer func() {
		p := recover()
		select {
		case <-r.failed: // says more than raft does
			err = r.failure
		default:
			if p != nil {
				err = fmt.Errorf("raft: %v", p)
			}
		}
	}()
	stable.patient = true
	r.raft, err = raft.NewRaft(c, r.fsm, logs, stable, snapshots, r.transport)
	if err != nil {
		return fmt.Errorf("raft: %w", err)
	}
	r.started.Store(true)
	select {
	case <-r.failed: // before anybody could shut raft down
		return r.raft.Shutdown().Error()
	default:
		return nil
	}
}

// lead waits until this node leads and has applied all that was there.
func (r *Raft) lead(ctx context.Context) error {
	// A node of a group of one needs not wait for the heartbeat of a leader that
	// cannot be. A shorter heartbeat makes raft look at once for the last one it
	// had, and there was none: it campaigns.
	reload := r.raft.ReloadableConfig()
	reload.HeartbeatTimeout = campaignHeartbeat
	if err := r.raft.ReloadConfig(reload); err != nil {
		return fmt.Errorf("raft: %w", err)
	}
	for {
		select {
		case <-r.raft.LeaderCh():
		case <-r.failed:
			return r.failure
		case <-ctx.Done():
			return fmt.Errorf("no leader: %w", context.Cause(ctx))
		}
		err := r.await(ctx, r.catchUp)
		// On a full disk an office is lost as soon as it is won.
		lost := errors.Is(err, ErrNotLeader) || errors.Is(err, ErrTimeout)
		if !lost || ctx.Err() != nil {
			return err
		}
	}
}

// catchUp makes sure that the machine has applied what earlier leaders left.
func (r *Raft) catchUp() error {
	if r.raft.State() != raft.Leader {
		return r.reason(ErrNotLeader)
	}
	term := r.raft.CurrentTerm()
	if r.caughtUp == term {
		return nil
	}
	if err := r.raft.Barrier(0).Error(); err != nil {
		return r.reason(err)
	}
	r.caughtUp = term
	return nil
}

// Propose has one command decided and, if that gives records, agreed on and
// applied. decide runs on the leader, one at a time, against a machine that has
// applied all earlier commands; an error of its own is returned as it is and
// nothing is written. Errors: ErrNotLeader, ErrTimeout, ErrTooLarge, ErrStopped,
// and engine.ErrNoSpace, after which it can be tried again.
func (r *Raft) Propose(ctx context.Context, decide func() ([][]byte, error)) error {
	select {
	case <-r.turn:
	case <-r.closing:
		return ErrStopped
	case <-r.failed:
		return fmt.Errorf("%w: %w", ErrStopped, r.failure)
	case <-ctx.Done():
		// Nothing was begun, but the caller gave up all the same.
		return fmt.Errorf("%w: %w", ErrTimeout, context.Cause(ctx))
	}
	return r.await(ctx, func() error {
		defer func() { r.turn <- struct{}{} }()
		if err := r.catchUp(); err != nil {
			return err
		}
		records, err := decide()
		if err != nil || len(records) == 0 {
			return err
		}
		command := encodeCommand(r.caughtUp, records)
		if len(command) > commandBytesMax {
			return fmt.Errorf("%w: %d bytes, %d at most", ErrTooLarge, len(command), commandBytesMax)
		}
		f := r.raft.Apply(command, 0)
		if err := f.Error(); err != nil {
			return r.reason(err)
		}
		if err, failed := f.Response().(error); failed {
			return err
		}
		return nil
	})
}

// await runs a step to its end, and waits for it no longer than the context:
// raft's futures know no context.
func (r *Raft) await(ctx context.Context, step func() error) error {
	done := make(chan error, 1)
	go func() { done <- step() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrTimeout, context.Cause(ctx))
	}
}

// reason turns raft's errors into ours.
func (r *Raft) reason(err error) error {
	select {
	case <-r.failed:
		return fmt.Errorf("%w: %w", ErrStopped, r.failure)
	default:
	}
	switch {
	case errors.Is(err, raft.ErrRaftShutdown):
		return ErrStopped
	case errors.Is(err, ErrNotLeader), errors.Is(err, raft.ErrNotLeader):
		return ErrNotLeader
	case errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrAbortedByRestore):
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	return err
}

// fail takes the node out of the group for good.
func (r *Raft) fail(err error) {
	r.failOnce.Do(func() {
		r.failure = err
		close(r.failed)
		if !r.started.Load() {
			return // OpenRaft returns the error
		}
		// Not here: this is a goroutine of raft, which Shutdown may wait for.
		go func() {
			r.raft.Shutdown()
			if r.fatal != nil {
				r.fatal(err)
			}
		}()
	})
}

// stop ends the goroutine of raft that calls it, with its deferred clean-up: on
// some errors of its stores raft would panic, or go on.
func (r *Raft) stop() {
	if r.started.Load() {
		runtime.Goexit()
	}
}

// Snapshot stores a snapshot of the machine now and drops entries that lie far
// enough behind it.
func (r *Raft) Snapshot() error {
	err := r.raft.Snapshot().Error()
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil
	}
	return err
}

// Close waits for the command that is on its way, leaves the group, and waits
// for everything that runs.
func (r *Raft) Close() error {
	var err error
	r.closeOnce.Do(func() {
		close(r.closing)
		// Raft forgets to answer commands that are in its queues when it is shut
		// down, so none may be there.
		select {
		case <-r.turn:
		case <-r.failed:
		}
		err = errors.Join(r.raft.Shutdown().Error(), r.transport.Close())
	})
	return err
}
