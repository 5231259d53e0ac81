package engine

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// submit asks for a group that has the log's tail, and reports whether the caller
// is to lead it: then it calls lead.
func (j *journal) submit(l *Log) (lead bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !l.inGroup {
		l.inGroup = true
		j.mu.queue = append(j.mu.queue, l)
	}
	if j.mu.leading < j.depth && !j.mu.closing {
		j.mu.leading++
		return true
	}
	return false
}

// commit is submit for callers that do not wait.
func (j *journal) commit(l *Log) {
	if j.submit(l) {
		go j.lead()
	}
}

// lead makes one group durable. If more has gathered meanwhile another goroutine
// goes on.
func (j *journal) lead() {
	if g := j.gather(); g != nil {
		j.write(g)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.mu.queue) > 0 {
		go j.lead()
		return
	}
	j.mu.leading--
	j.mu.idle.Broadcast()
}

// gather takes the logs that wait and copies their tails into a group. It returns
// nil if there is nothing to write.
func (j *journal) gather() *group {
	j.gathering.Lock()
	defer j.gathering.Unlock()
	g, logs, room := j.beginGroup()
	n := 0
	for n < len(logs) && logs[n].stage(g, room) {
		n++
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	// Those that found no place any more are the first of the next one.
	for _, l := range logs[n:] {
		l.inGroup = true
	}
	j.mu.queue = slices.Insert(j.mu.queue, 0, logs[n:]...)
	if g.entries == 0 {
		j.mu.spare = append(j.mu.spare, g)
		return nil
	}
	j.place(g)
	return g
}

// beginGroup returns an empty group, the logs that wait, and how many bytes the
// group may have.
func (j *journal) beginGroup() (g *group, logs []*Log, room int64) {
	room = j.room()
	j.mu.Lock()
	defer j.mu.Unlock()
	logs = j.mu.queue
	j.mu.queue, j.mu.taken = j.mu.taken[:0], logs
	for _, l := range logs {
		l.inGroup = false
	}
	return j.newGroup(), logs, room
}

// newGroup returns an empty group. j.mu is held.
func (j *journal) newGroup() *group {
	var g *group
	if n := len(j.mu.spare); n > 0 {
		g, j.mu.spare = j.mu.spare[n-1], j.mu.spare[:n-1]
	} else {
		g = &group{buf: vfs.Aligned(16 * journalBlock)}
	}
	clear(g.logs)
	*g = group{buf: g.buf[:groupHeader], logs: g.logs[:0]}
	return g
}

// place gives a group its number and its place in the file, and notes who needs
// the file now. j.mu is held.
func (j *journal) place(g *group) {
	f := j.mu.files[len(j.mu.files)-1]
	g.number, g.file, g.pos = j.mu.next, f, f.used
	j.mu.next++
	g.buf = sealGroup(g.buf, g.entries, groupStamp{file: f.seq, number: g.number, durable: j.mu.durable})
	f.used += int64(len(g.buf))
	f.last = g.number
	for _, s := range g.logs {
		f.logs[s.name] = s.upTo
	}
	j.mu.flight = append(j.mu.flight, g)
}

// write makes a group durable and acknowledges it, with those before and after it
// whose turn has come.
func (j *journal) write(g *group) {
	j.store.cold.syncBegins()
	err := g.write()
	j.store.cold.syncEnded()
	for ready := j.written(g, err); ready != nil; ready = j.nextWritten(ready) {
		ready.publish()
	}
}

// write puts the group into its place, and syncs.
func (g *group) write() error {
	g.iov[0] = g.buf
	if g.file.lanes == nil {
		if _, err := g.file.f.WriteAt(g.iov[:], g.pos); err != nil {
			return err
		}
		return g.file.f.Sync()
	}
	lane := <-g.file.lanes
	defer func() { g.file.lanes <- lane }()
	_, err := lane.WriteSync(g.iov[:], g.pos)
	return err
}

// reserve makes room for n bytes, padded, in memory that can be written from
// around the page cache.
func (g *group) reserve(n int64) {
	if n = wholeBlocks(n); n <= int64(cap(g.buf)) {
		return
	}
	larger := vfs.Aligned(int(max(n, 2*int64(cap(g.buf)))))
	g.buf = larger[:copy(larger, g.buf)]
}

// written notes the outcome of a group, and returns the first one if its turn has
// come.
func (j *journal) written(g *group, err error) *group {
	j.mu.Lock()
	defer j.mu.Unlock()
	g.done = true
	if err != nil {
		g.err = j.fail(fmt.Errorf("group %d: %w", g.number, err))
	}
	return j.inTurn()
}

// nextWritten gives back a group that was published and returns the next one whose
// turn has come.
func (j *journal) nextWritten(published *group) *group {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.spare = append(j.mu.spare, published)
	return j.inTurn()
}

// inTurn takes the oldest group out of flight if it is written. j.mu is held.
func (j *journal) inTurn() *group {
	if len(j.mu.flight) == 0 || !j.mu.flight[0].done {
		return nil
	}
	g := j.mu.flight[0]
	j.mu.flight = slices.Delete(j.mu.flight, 0, 1)
	if g.err == nil && j.mu.durable+1 == g.number {
		j.mu.durable = g.number
	} else {
		g.err = j.mu.failed // its own, or that of one before it
	}
	return g
}

// fail ends the journal for good. j.mu is held.
func (j *journal) fail(err error) error {
	if j.mu.failed != nil {
		return j.mu.failed
	}
	j.mu.failed = fmt.Errorf("the journal: %w", err)
	j.store.log.Error("journal failed: logs that need it refuse writes until they are opened again", "path", j.dir, "err", err)
	return j.mu.failed
}

// publish tells the logs of a group that it is durable, or that it never will be.
func (g *group) publish() {
	if g.barrier != nil {
		close(g.barrier)
	}
	for _, s := range g.logs {
		s.committed(s.upTo, s.generation, g.err)
	}
}

// committed moves Durable, unless the log was cut since the bytes were taken.
func (l *Log) committed(upTo int64, generation uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		_ = l.fail(fmt.Errorf("up to offset %d: %w", upTo, err))
	case l.generation.Load() == generation && l.mu.failed == nil && upTo > l.durable.Load():
		l.durable.Store(upTo)
		l.acked.published(l.ackedOffset())
	}
}

// stage copies the part of the log's tail into the group that is in none yet. It
// reports false if the log is to be in the next group instead.
func (l *Log) stage(g *group, room int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed || l.mu.failed != nil || l.mu.journal.left {
		return true // who waits will be told, or asks again
	}
	if failed := l.store.journal.failure(); failed != nil {
		_ = l.fail(failed)
		return true
	}
	parts, from := l.unstaged()
	need := int64(len(g.buf))
	for i, p := range parts {
		need += entrySize(l.name, p.size())
		if i == 0 {
			need -= from.pos
		}
	}
	switch {
	case from.offset >= l.end.Load():
		return true
	case wholeBlocks(need) <= room:
	case g.entries > 0 && wholeBlocks(need-int64(len(g.buf))+groupHeader) <= room:
		return false
	default:
		l.mu.journal.alone = true
		l.store.committer.enqueue(l)
		return true
	}
	g.reserve(need)
	for _, p := range parts {
		if err := l.stagePart(g, p, from); err != nil {
			_ = l.fail(fmt.Errorf("read offset %d for the journal: %w", from.offset, err))
			return true
		}
		from = mark{offset: p.next, base: p.base, pos: p.size()}
		if p != parts[len(parts)-1] {
			from.base, from.pos = p.next, 0
		}
	}
	l.mu.journal.next, l.mu.journal.entered = from, true
	g.logs = append(g.logs, stagedLog{l, l.end.Load(), l.generation.Load()})
	return true
}

// unstaged returns the parts that have something past what was staged, and where
// that begins. Parts that retention has dropped meanwhile need nothing any more.
func (l *Log) unstaged() ([]*part, mark) {
	parts, from := *l.view.Load(), l.mu.journal.next
	for i, p := range parts {
		if p.base == from.base {
			return parts[i:], from
		}
	}
	return parts, mark{offset: parts[0].base, base: parts[0].base}
}

// stagePart copies what the part has from pos on.
func (l *Log) stagePart(g *group, p *part, from mark) error {
	size := p.size() - from.pos
	if size == 0 {
		return nil
	}
	if err := p.acquire(); err != nil {
		return err
	}
	defer p.release()
	longer, batches := appendEntry(g.buf, journalEntry{name: l.name, topic: l.topicID, from: from.offset, next: p.next, size: size})
	if _, err := p.seg.ReadAt(batches, from.pos); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	g.buf = longer
	g.entries++
	return nil
}

func (j *journal) failure() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.failed
}

// leaveJournal makes the journal say nothing of the log, durably, and keeps the
// log out of it until rejoinJournal: its end is about to be taken back. Log.syncing
// is held.
func (l *Log) leaveJournal() error {
	l.mu.Lock()
	l.mu.journal.left = true
	entered := l.mu.journal.entered
	l.mu.Unlock()
	if !entered {
		return nil
	}
	// What only the journal has is needed: not all of it is taken back.
	l.syncParts(true)
	if err := l.healthy(); err != nil {
		return err
	}
	if err := l.store.journal.forget(l.name); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.journal.entered = false
	return nil
}

func (l *Log) rejoinJournal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.journal.left = false
	if l.config.Load().design.sync.Journal && !l.mu.closed && l.end.Load() > l.durable.Load() {
		l.store.journal.commit(l)
	}
}

// forget leaves a barrier for the log of that name. It returns once it is durable.
func (j *journal) forget(name string) error {
	if bugJournalGhost.made() {
		return nil
	}
	g, err := j.stageBarrier(name)
	if err != nil {
		return err
	}
	done := g.barrier
	j.write(g)
	<-done
	return j.failure()
}

func (j *journal) stageBarrier(name string) (*group, error) {
	j.gathering.Lock()
	defer j.gathering.Unlock()
	if err := j.makeRoom(wholeBlocks(groupHeader + entrySize(name, 0))); err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.mu.failed != nil {
		return nil, j.mu.failed
	}
	g := j.newGroup()
	g.buf, _ = appendEntry(g.buf, journalEntry{name: name, barrier: true})
	g.entries, g.barrier = 1, make(chan struct{})
	for _, f := range slices.Concat(j.mu.files, j.mu.free) {
		delete(f.logs, name)
	}
	delete(j.mu.replay, name)
	j.place(g)
	return g, nil
}

// mentions reports whether the files have batches of a log of that name which no
// barrier bars.
func (j *journal) mentions(name string) bool {
	// A group that is being gathered has not said yet whom it mentions.
	j.gathering.Lock()
	defer j.gathering.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, f := range slices.Concat(j.mu.files, j.mu.free) {
		if _, ok := f.logs[name]; ok {
			return true
		}
	}
	return false
}
