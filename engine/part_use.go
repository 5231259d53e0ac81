package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/bobbin-log/bobbin/segment"
)

// lockStill locks u at a moment when nobody opens or closes the files.
func (u *partUse) lockStill() {
	u.Lock()
	for u.moving != nil {
		moved := u.moving
		u.Unlock()
		<-moved
		u.Lock()
	}
}

// acquire opens the part's files if they are not open, and keeps them so until
// release. It fails with segment.ErrClosed once the part was closed: it was
// trimmed or cut away, or the log was closed.
func (p *part) acquire() error {
	u := &p.use
	u.lockStill()
	if u.closed {
		u.Unlock()
		return segment.ErrClosed
	}
	if p.media != nil {
		u.users++
		u.recent = true
		u.Unlock()
		return nil
	}
	u.moving = make(chan struct{})
	how := mediaOptions{sealed: u.sealed, size: u.size, spare: u.spare}
	trusted := u.trusted
	u.Unlock()

	m, err := p.open(how, trusted)

	u.Lock()
	close(u.moving)
	u.moving = nil
	if err == nil {
		p.media, u.spare = m, nil
		u.users, u.recent, u.trusted = 1, true, true
	}
	u.Unlock()
	if err != nil {
		return fmt.Errorf("%s: segment %d cannot be opened: %w", p.log.name, p.base, err)
	}
	p.log.store.shelf.add(p)
	return nil
}

// open opens the files of a part that was not, and makes its indexes if they have
// no file or cannot be right: once in a run for a sealed part that was there
// before it.
func (p *part) open(how mediaOptions, trusted bool) (*media, error) {
	o := p.log.partOptions(p.log.config.Load())
	m, rebuild, err := openMedia(o, p.base, how)
	if err != nil {
		return nil, err
	}
	if !rebuild && (trusted || !how.sealed || !o.design.index.Keeps || m.trusted()) {
		return m, nil
	}
	if o.design.index.OnDisk {
		p.log.log.Warn("indexes are missing or wrong, and are rebuilt", "log", p.log.name, "segment", p.base)
	}
	if err := m.close(); err != nil {
		return nil, err
	}
	return p.rebuild(o, how)
}

// rebuild makes the indexes of a part from its segment, durably, and returns its
// files open. It works on a part of its own: p's facts are Log.mu's.
func (p *part) rebuild(o partOptions, how mediaOptions) (_ *media, err error) {
	sealed := how.sealed
	how.sealed = false
	m, _, err := openMedia(o, p.base, how)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	twin := newPart(p.log, p.base, false)
	twin.media = m
	twin.damage.Store(p.damage.Load())
	if err := errors.Join(cutIndexes(twin, p.base), p.log.survey(twin)); err != nil {
		return nil, err
	}
	p.damage.Store(twin.damage.Load())
	if !sealed {
		return m, nil
	}
	if !o.design.index.OnDisk {
		return m, twin.seal()
	}
	if err := errors.Join(twin.seal(), m.offsets.Sync(), m.times.Sync()); err != nil {
		return nil, err
	}
	return m, o.fs.SyncDir(o.dir)
}

// trusted reports whether the indexes of a sealed part can be those of its
// segment: a segment with records has at least the entry that sealing adds to
// the time index, unless its records have no time, and that lies within it.
func (m *media) trusted() bool {
	if m.seg.Size() == 0 {
		return true
	}
	if m.times.Len() == 0 || m.times.Err() != nil || m.offsets.Err() != nil {
		return false
	}
	e, ok := m.offsets.Last()
	return !ok || e.Value < m.seg.Size()
}

// hold is acquire for a part that is kept open; false once it was closed.
func (p *part) hold() bool {
	u := &p.use
	u.Lock()
	defer u.Unlock()
	if u.closed || p.media == nil {
		return false
	}
	u.users++
	return true
}

// release ends what acquire and hold began.
func (p *part) release() {
	u := &p.use
	u.Lock()
	u.users--
	last := u.users == 0 && u.closed
	m := p.media
	u.Unlock()
	if last {
		// The owner is gone, and with it whoever could act on an error.
		_ = m.close()
	}
}

// keep marks an acquired part as one with something that is not durable: it
// stays open until unkeep. Log.mu is held.
func (p *part) keep() {
	if !p.dirty {
		p.dirty = true
		p.setKept(true)
	}
}

// unkeep says that all of the part is durable. Log.mu is held.
func (p *part) unkeep() {
	p.dirty = false
	p.setKept(false)
}

func (p *part) isClosed() bool {
	p.use.Lock()
	defer p.use.Unlock()
	return p.use.closed
}

func (p *part) setKept(kept bool) {
	p.use.Lock()
	defer p.use.Unlock()
	p.use.kept = kept
}

// setSealed says how the part is opened from now on. Log.mu is held.
func (p *part) setSealed(sealed bool) {
	p.sealed = sealed
	p.use.Lock()
	defer p.use.Unlock()
	p.use.sealed = sealed
}

// size is the segment's, in bytes. It asks the file system where the segment was
// not opened yet, and takes a file that cannot be asked for an empty one.
func (p *part) size() int64 {
	size, known := p.knownSize()
	if known {
		return size
	}
	i, err := p.log.fs.Stat(fileName(p.log.dir, p.base, suffixSegment))
	if err != nil {
		return 0
	}
	u := &p.use
	u.Lock()
	defer u.Unlock()
	if u.size < 0 {
		u.size = i.Size()
	}
	return u.size
}

func (p *part) knownSize() (size int64, known bool) {
	u := &p.use
	u.Lock()
	defer u.Unlock()
	if p.media != nil {
		return p.seg.Size(), true
	}
	return u.size, u.size >= 0
}

// modified is when the segment was last written, for records that have no time.
func (p *part) modified() time.Time {
	if i, err := p.log.fs.Stat(fileName(p.log.dir, p.base, suffixSegment)); err == nil {
		return i.ModTime()
	}
	return p.log.now()
}

// finish makes the part durable for good: sealed, with its indexes.
func (p *part) finish() error {
	if err := p.acquire(); err != nil {
		return err
	}
	defer p.release()
	if !p.sealed {
		if err := p.seal(); err != nil {
			return err
		}
	}
	return p.sync(true, false)
}

// syncIndexes makes the indexes durable of a part that may have been closed
// since they were written to, or cut away.
func (p *part) syncIndexes() error {
	err := p.acquire()
	if errors.Is(err, segment.ErrClosed) {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.release()
	return errors.Join(p.offsets.Sync(), p.times.Sync())
}

// close lets go of the part: its files are closed now, or by the last release. That
// one changes nothing any more: by then the files may be another Log's, which has
// them mapped, and so the indexes are cut to their entries here.
func (p *part) close() error {
	u := &p.use
	u.lockStill()
	if u.closed {
		u.Unlock()
		return nil
	}
	u.closed = true
	m := p.media
	used := u.users > 0
	if used {
		u.users++ // or it would be closed on the way
	}
	u.Unlock()
	p.log.store.shelf.remove(p)
	switch {
	case m == nil:
		return nil
	case !used:
		return m.close()
	}
	defer p.release()
	return errors.Join(m.offsets.Seal(), m.times.Seal())
}
