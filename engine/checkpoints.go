package engine

import (
	"errors"
	"sync"
)

// checkpoints is what a store's checkpoint files say of its logs: up to where each
// is known to be durable, where it starts, and up to where it was compacted.
//
// A recovery believes them, so they must never say more of a log than is true of
// the bytes that are there by now. A checkpoint gathers from one log after the
// other and then writes; what becomes less meanwhile, because a log is cut,
// reset or deleted, is noted in caps, and counts instead of what was gathered.
// Whoever makes a log less lowers the files first.
//
// Lock order: gathering → Log.syncing → Log.mu; mu comes after all of these and
// is held while the files are written.
type checkpoints struct {
	gathering sync.Mutex // one checkpoint at a time
	mu        struct {
		sync.Mutex
		recovery, starts, cleaned checkpointFile
		// caps are bounds for what is being gathered; nil if nothing is.
		caps map[string]recoveryPoints
	}
}

// checkpointFile is one of the files.
type checkpointFile struct {
	name string
	now  Checkpoint // what it is to say; changed by put
	// says is what it says of the logs of which it does not say that: -1 for
	// nothing. It is kept instead of a copy, for there may be very many logs of
	// which few change.
	says Checkpoint
	// unsure is set when a write failed, and the file may say anything between
	// what it did and what it should.
	unsure bool
}

// forgotten is the cap of a log that is gone.
var forgotten = recoveryPoints{durable: -1, start: -1}

func (c *checkpoints) read(s *Store) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.recovery.name, c.mu.starts.name, c.mu.cleaned.name = nameRecovery, nameLogStarts, nameCleaned
	for _, f := range []*checkpointFile{&c.mu.recovery, &c.mu.starts, &c.mu.cleaned} {
		if f.now, err = s.readCheckpoint(f.name); err != nil {
			return err
		}
		f.says = Checkpoint{}
	}
	return nil
}

// readCheckpoint treats a damaged file like a missing one: more of the logs is
// checked then.
func (s *Store) readCheckpoint(name string) (Checkpoint, error) {
	c, err := ReadCheckpoint(s.fs, s.dir, name)
	var damaged *CorruptError
	if errors.As(err, &damaged) {
		s.log.Warn("checkpoint is not usable", "path", damaged.Path, "why", damaged.Why)
		return Checkpoint{}, nil
	}
	if err == nil && c == nil {
		c = Checkpoint{}
	}
	return c, err
}

// of returns what is known of a log.
func (c *checkpoints) of(name string) recoveryPoints {
	c.mu.Lock()
	defer c.mu.Unlock()
	return recoveryPoints{durable: c.mu.recovery.now[name], start: c.mu.starts.now[name]}
}

// drop lets nothing be known of a log. The files follow with the next
// checkpoint, or with forget.
func (c *checkpoints) drop(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.recovery.put(name, -1)
	c.mu.starts.put(name, -1)
	c.mu.cleaned.put(name, -1)
	c.cap(name, forgotten)
}

// set notes what is known of a log. The files follow with the next checkpoint.
func (c *checkpoints) set(name string, to recoveryPoints) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.recovery.put(name, to.durable)
	c.mu.starts.put(name, to.start)
}

// forget makes sure that the files say nothing of a log.
func (c *checkpoints) forget(s *Store, name string) error {
	c.drop(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.recovery.tells(name, -1) || c.mu.starts.tells(name, -1) || c.mu.cleaned.tells(name, -1) {
		return c.write(s)
	}
	return nil
}

// lower makes sure that the files say no more of a log than this. It is called
// before the log becomes less, with Log.syncing held until it has.
func (c *checkpoints) lower(s *Store, name string, to recoveryPoints) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cap(name, to)
	c.mu.recovery.lower(name, to.durable)
	c.mu.starts.lower(name, to.start)
	// What is appended in place of what goes was not compacted.
	if !bugCleanedKept.made() {
		c.mu.cleaned.lower(name, to.durable)
	}
	if c.mu.recovery.tells(name, to.durable) || c.mu.starts.tells(name, to.start) || c.mu.cleaned.tells(name, to.durable) {
		return c.write(s)
	}
	return nil
}

// cap bounds what the checkpoint under way may have gathered already.
func (c *checkpoints) cap(name string, to recoveryPoints) {
	if c.mu.caps == nil {
		return
	}
	if old, ok := c.mu.caps[name]; ok {
		to = recoveryPoints{durable: min(to.durable, old.durable), start: min(to.start, old.start)}
	}
	c.mu.caps[name] = to
}

// write brings the files up to date. c.mu is held.
func (c *checkpoints) write(s *Store) error {
	return errors.Join(c.mu.recovery.write(s), c.mu.starts.write(s), c.mu.cleaned.write(s))
}

// cleanedTo is up to where a log was compacted, -1 if it was not.
func (c *checkpoints) cleanedTo(name string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if offset, ok := c.mu.cleaned.now[name]; ok {
		return offset
	}
	return -1
}

// cleaned writes down that a log was compacted up to an offset.
func (c *checkpoints) cleaned(s *Store, name string, offset int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.cleaned.put(name, offset)
	return c.mu.cleaned.write(s)
}

// tells reports whether the file says more of a log than to, or may do so.
func (f *checkpointFile) tells(name string, to int64) bool {
	offset, ok := f.says[name]
	if !ok {
		offset = f.get(name)
	}
	return f.unsure || offset > to
}

// get is what the file is to say of a log, -1: nothing.
func (f *checkpointFile) get(name string) int64 {
	if offset, ok := f.now[name]; ok {
		return offset
	}
	return -1
}

// put changes that.
func (f *checkpointFile) put(name string, to int64) {
	old := f.get(name)
	if old == to {
		return
	}
	if to < 0 {
		delete(f.now, name)
	} else {
		f.now[name] = to
	}
	if says, ok := f.says[name]; !ok {
		f.says[name] = old
	} else if says == to {
		delete(f.says, name)
	}
}

func (f *checkpointFile) lower(name string, to int64) {
	if f.now[name] > to {
		f.put(name, to)
	}
}

func (f *checkpointFile) write(s *Store) error {
	if !f.unsure && len(f.says) == 0 {
		return nil
	}
	f.unsure = true
	if err := WriteCheckpoint(s.fs, s.dir, f.name, f.now); err != nil {
		return err
	}
	f.unsure = false
	clear(f.says)
	return nil
}

// Checkpoint writes down how far each log is durable, and where it starts.
func (s *Store) Checkpoint() error {
	c := &s.checkpoints
	c.gathering.Lock()
	defer c.gathering.Unlock()
	c.mu.Lock()
	c.mu.caps = map[string]recoveryPoints{}
	c.mu.Unlock()
	gathered := map[string]recoveryPoints{}
	for _, l := range s.openLogs() {
		durable, start := l.checkpoint()
		gathered[l.name] = recoveryPoints{durable: durable, start: start}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// A log that was not opened in this run keeps what was known of it.
	for name, g := range gathered {
		if limit, ok := c.mu.caps[name]; ok {
			g = recoveryPoints{durable: min(g.durable, limit.durable), start: min(g.start, limit.start)}
		}
		if g.durable >= 0 {
			c.mu.recovery.put(name, g.durable)
			c.mu.starts.put(name, g.start)
		}
	}
	c.mu.caps = nil
	return c.write(s)
}
