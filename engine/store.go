package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// StoreOptions say how a data directory is opened.
type StoreOptions struct {
	FS  vfs.FS
	Dir string // made if absent
	// ClusterID and NodeID are whose directory it is. An empty ClusterID takes
	// what the directory says, or makes a new one.
	ClusterID string
	NodeID    int32
	// Now is the clock; nil: time.Now.
	Now    func() time.Time
	Logger *slog.Logger // nil: says nothing
	// SyncWorkers bounds the syncs under way at once; 0: 16.
	SyncWorkers int
	// ColdShare is the share of the disk's time that reads of what is not in memory
	// may take while others wait for syncs; 0: a tenth, 1 or more: all of it.
	ColdShare float64
	// OpenSegments bounds the segments whose files are open though nobody uses
	// them; 0: 1,024.
	OpenSegments int
	// CleanerBytes bounds the memory in which compaction keeps the keys of a log;
	// 0: 128 MiB. What does not fit takes more rounds.
	CleanerBytes int64
	// CleanerBytesPerSecond bounds what compaction reads and writes; 0: no bound.
	CleanerBytesPerSecond int64
	// JournalBytes bounds the room that the journal takes on the disk; 0: 256 MiB.
	// It takes none until a log has the sync policy "journal".
	JournalBytes int64
	// JournalDepth is how many groups are written to the journal at once; 0: 1.
	// More keep a fast disk busier, and make smaller groups.
	JournalDepth int
}

// Store is a directory of logs. One process at a time has it open.
type Store struct {
	fs        vfs.FS
	dir       string
	log       *slog.Logger
	now       func() time.Time
	lock      io.Closer
	committer *committer
	cold      *coldReads
	journal   *journal
	waiters   *sync.Pool // see newWaiterChannels
	shelf     shelf
	configs   configs
	cleaner   *cleaner
	clusterID string

	// clean is whether the last stop was: then nothing needs to be recovered.
	clean       bool
	checkpoints checkpoints
	deletes     sync.WaitGroup // bytes of deleted logs that are being given back
	underWay    sync.WaitGroup // logs that are being opened, made or deleted

	mu struct {
		sync.Mutex
		logs map[string]*Log // open, or nil while being opened
		// recovered are the logs on disk that need no recovery any more: they
		// were opened or made in this run.
		recovered map[string]bool
		closed    bool
	}
}

// The files of a data directory beside the logs.
const (
	nameLock  = ".lock"
	nameClean = ".kafka_cleanshutdown"
)

// OpenStore locks and checks the directory. Errors: vfs.ErrLocked when another
// broker has it, ErrFormat when it belongs to another cluster or node or was
// written by a newer release.
func OpenStore(o StoreOptions) (_ *Store, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SyncWorkers <= 0 {
		o.SyncWorkers = 16
	}
	s := &Store{
		fs: o.FS, dir: o.Dir, log: o.Logger, now: o.Now,
		committer: newCommitter(o.SyncWorkers), cold: newColdReads(o.ColdShare), waiters: newWaiterChannels(),
	}
	s.cleaner = newCleaner(o)
	s.shelf.max = cmp.Or(max(o.OpenSegments, 0), shelfDefault)
	s.journal = newJournal(s, o)
	s.mu.logs, s.mu.recovered = map[string]*Log{}, map[string]bool{}
	if err := s.fs.MkdirAll(s.dir); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if s.lock, err = s.fs.Lock(path.Join(s.dir, nameLock)); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", s.dir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.journal.closeFiles(), s.lock.Close())
		}
	}()
	if s.clusterID, err = s.checkMeta(o.ClusterID, o.NodeID); err != nil {
		return nil, err
	}
	if err := s.checkpoints.read(s); err != nil {
		return nil, err
	}
	if err := s.consumeMarker(); err != nil {
		return nil, err
	}
	if err := s.readJournal(); err != nil {
		return nil, err
	}
	return s, s.finishDeletes()
}

// readJournal finds what a crash left in the journal, for the logs that are there.
func (s *Store) readJournal() error {
	if err := s.journal.read(); err != nil {
		return err
	}
	names, err := s.Names()
	s.journal.absent(names)
	return err
}

// consumeMarker learns whether the last stop was clean, and makes sure that the
// next start does not think so if this run ends otherwise. The names that a
// killed process had left to the page cache are durable from here on, too.
func (s *Store) consumeMarker() error {
	marker := path.Join(s.dir, nameClean)
	err := s.fs.Remove(marker)
	if bugMarkerKept.made() && err == nil {
		err = vfs.WriteFile(s.fs, marker, nil)
	}
	s.clean = err == nil
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, s.fs.SyncDir(s.dir))
}

// ClusterID is the id of the cluster that the directory belongs to.
func (s *Store) ClusterID() string { return s.clusterID }

// Clean reports whether the last stop was clean.
func (s *Store) Clean() bool { return s.clean }

// Names lists the logs on disk, sorted.
func (s *Store) Names() ([]string, error) {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, _, ok := splitName(e.Name()); ok && mayBeDir(e) && e.Name() != nameKafkaMetadata {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// mayBeDir takes a link for a directory: a log may be on another disk.
func mayBeDir(e fs.DirEntry) bool { return e.IsDir() || e.Type()&fs.ModeSymlink != 0 }

// LogOptions say how a log is opened.
type LogOptions struct {
	Config Config
	// TopicID is written to partition.metadata of a new log.
	TopicID [16]byte
	// First is the offset of a new log's first record.
	First int64
}

// Create makes a new, empty log, durably. Its name is «topic-partition». It fails with
// ErrExists if the directory has segments already.
func (s *Store) Create(name string, o LogOptions) (*Log, error) {
	return s.openLog(name, o, func(l *Log) error {
		if err := s.fs.MkdirAll(l.dir); err != nil {
			return err
		}
		files, err := l.list()
		if err == nil && len(files.bases) > 0 {
			err = ErrExists
		}
		if err == nil && slices.Contains(files.names, nameEpochs) {
			err = s.fs.Remove(path.Join(l.dir, nameEpochs)) // of an earlier log
		}
		if err == nil {
			// What a checkpoint says of an earlier log of this name is not about
			// this one: it would hide records, or pass torn ones.
			err = s.checkpoints.forget(s, name)
		}
		if err == nil && s.journal.mentions(name) {
			err = s.journal.forget(name) // nor is what the journal has
		}
		if err != nil {
			return err
		}
		return l.create(o)
	})
}

// Open opens a log that exists and recovers it. It fails with ErrNotFound if
// there are no segments, and with a *CorruptError if bytes are damaged that were
// durable.
func (s *Store) Open(name string, o LogOptions) (*Log, error) {
	return s.openLog(name, o, func(l *Log) error {
		r := s.checkpoints.of(name)
		l.recovered.Store(r.durable)
		s.mu.Lock()
		r.clean = s.clean || s.mu.recovered[name] // by CloseIdle
		s.mu.Unlock()
		err := l.load(r)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		if err != nil {
			return err
		}
		if l.topicID, err = readTopicID(s.fs, l.dir); err != nil {
			return err
		}
		if r.durable > l.end.Load() || s.checkpoints.cleanedTo(name) > l.end.Load() {
			// It must not vouch for what is appended now, nor for the entries that
			// the recovery has given to the last part's indexes.
			parts := *l.view.Load()
			to := min(r.durable, parts[len(parts)-1].base)
			if err := s.checkpoints.lower(s, name, recoveryPoints{durable: to, start: r.start}); err != nil {
				return err
			}
			l.recovered.Store(to)
		}
		if err := s.journal.restore(l, r.start); err != nil {
			return err
		}
		if err := l.skip(r.start); err != nil {
			return err
		}
		if l.start.Load() < r.start {
			if err := l.Trim(r.start); err != nil { // the end was below it before
				return err
			}
		}
		// Recovered data is made durable before it is served. A worker may be at
		// it already, for skip rolls: then this waits for it.
		if !bugServeEarly.made() {
			l.syncTail(true)
		}
		if err := l.healthy(); err != nil {
			return err
		}
		s.journal.restored(l)
		return nil
	})
}

func (s *Store) openLog(name string, o LogOptions, load func(*Log) error) (*Log, error) {
	if _, _, ok := splitName(name); !ok || strings.ContainsAny(name, "/\x00") {
		return nil, fmt.Errorf("%q is not the name of a log: it must be «topic-partition»", name)
	}
	r, err := o.Config.Design.resolve()
	if err != nil {
		return nil, fmt.Errorf("log %s: %w", name, err)
	}
	s.mu.Lock()
	_, open := s.mu.logs[name]
	closed := s.mu.closed
	if !open && !closed {
		s.mu.logs[name] = nil
		s.underWay.Add(1)
		defer s.underWay.Done()
	}
	s.mu.Unlock()
	switch {
	case closed:
		return nil, ErrClosed
	case open:
		return nil, fmt.Errorf("log %s is open already: %w", name, ErrExists)
	}
	l := &Log{name: name, dir: path.Join(s.dir, name), fs: s.fs, log: s.log, now: s.now, store: s, topicID: o.TopicID, handing: make(chan struct{}, 1)}
	l.acked.channels = s.waiters
	l.config.Store(s.configs.of(o.Config, r))
	l.mu.snapshotAt = -1
	l.undecided.Store(math.MaxInt64)
	l.mu.jitter = randomJitter(o.Config.SegmentJitter)
	err = load(l)
	if err != nil && l.view.Load() != nil {
		err = errors.Join(err, l.closeParts())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		delete(s.mu.logs, name)
		if errors.Is(err, ErrNotFound) {
			s.mu.recovered[name] = true // there is nothing to recover
		}
		return nil, fmt.Errorf("log %s: %w", name, err)
	}
	s.mu.logs[name], s.mu.recovered[name] = l, true
	return l, nil
}

// begin has Close wait for something that is under way until its Done, if it is
// not too late for that.
func (s *Store) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return false
	}
	s.underWay.Add(1)
	return true
}

// openLogs lists the logs that are open.
func (s *Store) openLogs() []*Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	logs := make([]*Log, 0, len(s.mu.logs))
	for _, l := range s.mu.logs {
		if l != nil {
			logs = append(logs, l)
		}
	}
	return logs
}

// Tick does the housekeeping that is due: retention, syncing what only the journal
// has, the checkpoints that keep the next recovery short, and closing the segments
// that nobody has used since the tick before. The owner calls it about as often as Kafka's
// log.retention.check.interval.ms and flush.offset.checkpoint.interval.ms say.
func (s *Store) Tick(now time.Time) {
	for _, l := range s.openLogs() {
		if err := l.retain(now); err != nil {
			s.log.Warn("retention did not run", "log", l.name, "err", err)
		}
		l.leaveBehind()
	}
	if err := s.evict(); err != nil {
		s.log.Warn("retention by the share of the disk did not run", "err", err)
	}
	if err := s.Checkpoint(); err != nil {
		s.log.Warn("checkpoint not written: a recovery would read more", "err", err)
	}
	s.shelf.sweep()
}

// Close makes everything durable and closes the logs. If all went well, and no
// log is left that a crash before this run may have torn, it leaves the marker
// that spares the next start its recovery.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.mu.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.mu.closed = true
	s.mu.Unlock()
	s.cleaner.stop()
	s.underWay.Wait()
	err := s.closeLogs()
	s.committer.stop()
	err = errors.Join(err, s.journal.close())
	s.deletes.Wait()
	if err == nil {
		err = s.Checkpoint()
	}
	if err == nil {
		err = s.leaveMarker()
	}
	return errors.Join(err, s.lock.Close())
}

// closeLogs closes the logs, as many at once as there may be syncs: a log takes
// some of them, and a disk serves many together about as fast as one.
func (s *Store) closeLogs() error {
	g := new(errgroup.Group)
	g.SetLimit(s.committer.workersMax)
	logs := s.openLogs()
	errs := make([]error, len(logs))
	for i, l := range logs {
		g.Go(func() error {
			errs[i] = l.close()
			return nil
		})
	}
	_ = g.Wait() // they are in errs, all of them
	return errors.Join(errs...)
}

func (s *Store) leaveMarker() error {
	names, err := s.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		s.mu.Lock()
		recovered := s.clean || s.mu.recovered[name] || bugMarkerEarly.made()
		s.mu.Unlock()
		if recovered {
			continue
		}
		if begun, err := s.begun(name); begun || err != nil { // there is nothing to recover without a segment
			s.log.Warn("a log was not opened since the last crash: the next start will check all again", "log", name)
			return nil
		}
	}
	return vfs.ReplaceFile(s.fs, s.dir, nameClean, []byte(`{"version":0,"brokerEpoch":-1}`))
}
