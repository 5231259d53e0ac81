package engine

import (
	"cmp"
	"errors"
	"sync"
	"time"
)

// cleaner compacts the logs of a store whose topics want it: of the records with
// the same key only the last one stays. Offsets never change.
//
// It works on one log at a time, in one goroutine, which is there only while
// there is something to do; the memory that it takes is bounded by that, and given
// back after. It begins with the logs that have waited longer than they may, and
// with the dirtiest of them; see [dirt].
//
// How one log is compacted is told by [round], what stays of a batch by
// [thinner], and how the result takes its place by [round.swap].
//
// Ways not taken: compaction in the background of every log, which would bound
// neither memory nor disk traffic; and in place of reading a log from its start
// each time, levels of segments as in an LSM tree: offsets must stay in order,
// so nothing could be merged but neighbours, which is what a group is.
//
// Lock order: turn comes before all others, and is held across I/O; mu after all.
type cleaner struct {
	memory    int64 // bytes for keys
	perSecond int64 // bytes read and written; 0: no bound

	turn chan struct{} // holds a token while nobody cleans
	quit chan struct{} // closed by stop
	done sync.WaitGroup

	mu struct {
		sync.Mutex
		asked   bool // StartCompacting was called once: it will be again
		running bool // the goroutine
		stopped bool
		log     *Log       // that is being compacted
		left    *sync.Cond // log has changed
	}
}

// cleanerBytesDefault is Kafka's log.cleaner.dedupe.buffer.size.
const cleanerBytesDefault = 128 << 20

func newCleaner(o StoreOptions) *cleaner {
	c := &cleaner{
		memory:    cmp.Or(max(o.CleanerBytes, 0), cleanerBytesDefault),
		perSecond: max(o.CleanerBytesPerSecond, 0),
		turn:      make(chan struct{}, 1),
		quit:      make(chan struct{}),
	}
	c.turn <- struct{}{}
	c.mu.left = sync.NewCond(&c.mu.Mutex)
	return c
}

// StartCompacting has the logs compacted that are due for it, if that is not under
// way, and waits for nothing. The owner calls it about as often as Kafka's
// log.cleaner.backoff.ms says.
func (s *Store) StartCompacting() {
	compacts := s.anyCompacts()
	c := s.cleaner
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.asked = true
	if !compacts || c.mu.running || c.mu.stopped {
		return
	}
	c.mu.running = true
	c.done.Go(func() {
		s.Compact()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.mu.running = false
	})
}

// anyCompacts reports whether there is a log that may have to be compacted.
func (s *Store) anyCompacts() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.mu.logs {
		if l != nil && l.config.Load().compacts() {
			return true
		}
	}
	return false
}

// Compact compacts the logs that are due for it, one after the other, and returns
// when none is left. A log in which something is found to be damaged is compacted
// up to there, and left alone from then on.
func (s *Store) Compact() {
	c := s.cleaner
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-c.quit:
		return
	}
	p := pacer{perSecond: c.perSecond, quit: c.quit, begun: time.Now()}
	w := &workshop{memory: c.memory, pace: p.wait}
	tried := map[*Log]bool{}
	for {
		l, d := s.dirtiest(tried)
		if l == nil {
			return
		}
		tried[l] = true
		if c.enter(l) {
			tried[l] = !s.compactOne(l, d, w)
			c.exit()
		}
	}
}

// dirtiest chooses the log to be compacted next; nil if none is due.
func (s *Store) dirtiest(tried map[*Log]bool) (found *Log, most dirt) {
	for _, l := range s.openLogs() {
		c := l.config.Load()
		if !c.compacts() || !c.design.segment.Keeps || tried[l] || l.uncleanable.Load() {
			continue
		}
		d, err := l.dirt(s.now(), s.checkpoints.cleanedTo(l.name))
		if err != nil {
			l.giveUp(err)
			continue
		}
		if d.due(&c.Config) && (found == nil || d.before(most)) {
			found, most = l, d
		}
	}
	return found, most
}

// toCompact reports whether a log will be compacted the next time that the owner
// asks for it.
func (s *Store) toCompact(l *Log) bool {
	c := s.cleaner
	c.mu.Lock()
	asked := c.mu.asked
	c.mu.Unlock()
	config := l.config.Load()
	if !asked || !config.compacts() || l.uncleanable.Load() {
		return false
	}
	d, err := l.dirt(s.now(), s.checkpoints.cleanedTo(l.name))
	return err == nil && d.due(&config.Config)
}

// compactOne compacts one log once, and reports whether it may be looked at again.
func (s *Store) compactOne(l *Log, d dirt, w *workshop) (again bool) {
	upTo, err := l.compact(d, w, s.now())
	if upTo > d.from {
		err = errors.Join(err, l.noteCleaned(upTo))
	}
	if err == nil {
		return upTo > d.from
	}
	if errors.Is(err, errOvertaken) {
		return false // it is looked at the next time
	}
	l.giveUp(err)
	return false
}

// noteCleaned writes down up to where the log was compacted, unless it was cut
// since.
func (l *Log) noteCleaned(upTo int64) error {
	l.cutting.Lock()
	defer l.cutting.Unlock()
	if upTo > l.end.Load() || l.leaving.Load() {
		return errOvertaken
	}
	return l.store.checkpoints.cleaned(l.store, l.name, upTo)
}

// giveUp tells of an error, and leaves the log alone if it would come again.
func (l *Log) giveUp(err error) {
	if !lasting(err) {
		if !errors.Is(err, ErrClosed) {
			l.log.Warn("log not compacted, it is tried again", "log", l.name, "err", err)
		}
		return
	}
	l.log.Error("log is not compacted any more until it is opened again: it grows", "log", l.name, "err", err)
	l.uncleanable.Store(true)
}

// enter says which log is being compacted; false if it is about to be closed.
func (c *cleaner) enter(l *Log) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.stopped || l.leaving.Load() {
		return false
	}
	c.mu.log = l
	return true
}

func (c *cleaner) exit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.log = nil
	c.mu.left.Broadcast()
}

// leave has a log that is about to be closed left, and waits for that: nothing is
// written in its directory after.
func (c *cleaner) leave(l *Log) {
	l.leaving.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.mu.log == l {
		c.mu.left.Wait()
	}
}

// keepOut sees to it that a log is not compacted any more, unless it is just now.
func (c *cleaner) keepOut(l *Log) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.log == l {
		return false
	}
	l.leaving.Store(true)
	return true
}

// stop ends what is under way, and waits for it.
func (c *cleaner) stop() {
	c.mu.Lock()
	if !c.mu.stopped {
		c.mu.stopped = true
		close(c.quit)
	}
	c.mu.Unlock()
	c.done.Wait()
}
