package engine

import (
	"context"
	"errors"

	"github.com/bobbin-log/bobbin/segment"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Scrubbed says what a scrub has read, and what it found.
type Scrubbed struct {
	Segments, Batches int
	Bytes             int64
	Found             int // runs of damage that were not known before
}

// Scrub reads the sealed segments that are durable, from the oldest to the newest,
// and holds every batch against its checksum and its neighbours, as recovery
// does. What is damaged is said and quarantined, and the quarantine written down.
//
// It asks pace before it reads so many bytes; pace waits as long as it likes, and
// ends the scrub by an error, which Scrub returns. No lock is held meanwhile.
// What is read for this alone leaves no trace in the page cache: the stretches of
// a segment that were not in it before are dropped from it behind the scrub.
// A segment that is cut or removed on the way is left to the next time.
func (l *Log) Scrub(ctx context.Context, pace func(ctx context.Context, bytes int64) error) (Scrubbed, error) {
	var done Scrubbed
	if !l.config.Load().design.segment.Durable {
		return done, nil
	}
	known := len(l.Damage())
	var err error
	for _, p := range l.durableParts() {
		if err = l.scrubPart(ctx, p, pace, &done); errors.Is(err, segment.ErrClosed) {
			err = nil
			continue
		}
		if err != nil {
			break
		}
		done.Segments++
	}
	done.Found = max(0, len(l.Damage())-known)
	if !l.damageSaved() {
		l.syncing.Lock()
		defer l.syncing.Unlock()
		l.saveDamage()
	}
	return done, err
}

// durableParts are the sealed parts that nothing is left to be done for.
func (l *Log) durableParts() (parts []*part) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return nil
	}
	for _, p := range *l.view.Load() {
		if p.sealed && p.synced {
			parts = append(parts, p)
		}
	}
	return parts
}

// scrubStep is how many bytes are asked for at a time, at least.
const scrubStep = 256 << 10

func (l *Log) scrubPart(ctx context.Context, p *part, pace func(context.Context, int64) error, done *Scrubbed) error {
	if err := p.acquire(); err != nil {
		return err
	}
	defer p.release()
	s := newScanner(l, p)
	defer s.free()
	s.end = p.seg.Size()
	cold := l.coldStretches(p, s.end)
	defer cold.close()
	var buf []byte
	for pos, paid := int64(0), int64(0); pos < s.end; {
		if to, ok := s.skip(pos); ok {
			pos = to
			continue
		}
		h, err := s.next(pos)
		if err == nil {
			size := h.Size()
			if need := pos + size - paid; need > 0 {
				need = min(max(need, scrubStep), s.end-paid)
				if err := pace(ctx, need); err != nil {
					return err
				}
				paid += need
			}
			if buf, err = s.checked(buf, pos, size); err == nil {
				pos += size
				done.Batches++
				done.Bytes += size
			}
		}
		if err != nil && l.generation.Load() != s.generation {
			return segment.ErrClosed // it was cut under the scrub
		}
		if err != nil {
			if pos, err = s.around(err); err != nil {
				return err
			}
		}
		cold.evict(pos)
	}
	return nil
}

// coldStretches are the parts of a file that were not in the page cache.
type coldStretches struct {
	file    vfs.File
	cold    []bool // of each stretch
	evicted int
}

const stretchBytes = 1 << 20

// coldStretches looks before anything is read: what the kernel reads ahead would
// look like what others need. Where it cannot look, nothing is evicted.
func (l *Log) coldStretches(p *part, end int64) *coldStretches {
	c := &coldStretches{}
	f, err := l.fs.OpenRead(fileName(l.dir, p.base, suffixSegment))
	if err != nil {
		return c
	}
	c.file = f
	for at := int64(0); at < end; at += stretchBytes {
		c.cold = append(c.cold, f.Cached(at, min(stretchBytes, end-at)) == 0)
	}
	return c
}

// evict drops the cold stretches that end before pos.
func (c *coldStretches) evict(pos int64) {
	for ; c.evicted < len(c.cold) && int64(c.evicted+1)*stretchBytes <= pos; c.evicted++ {
		c.drop()
	}
}

func (c *coldStretches) drop() {
	if c.cold[c.evicted] {
		c.file.Evict(int64(c.evicted)*stretchBytes, stretchBytes)
	}
}

// close drops the rest.
func (c *coldStretches) close() {
	for ; c.evicted < len(c.cold); c.evicted++ {
		c.drop()
	}
	if c.file != nil {
		_ = c.file.Close() // it was read, if that
	}
}
