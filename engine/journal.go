package engine

import (
	"path"
	"sync"
	"time"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// journal is one log for all logs of a store whose sync policy is "journal": what
// they append becomes durable together, by one sync for all of them. Their own
// files are synced behind it, at leisure.
//
//	append ──► own segment (page cache: it can be read)
//	wait   ──► a group: the tails of all logs that wait ─► one write, one sync ─► publish Durable
//	                │
//	                └► a file is full ─► its logs sync their own files ─► the file is used again
//	crash  ──► each log recovers, and gets from the journal what it lacks
//
// A group. Who waits first leads, as in committer: takes all logs that wait, copies
// what of each is neither durable nor in a group yet out of its segment, and writes
// it with one checksum at the journal's end. While depth groups are being written
// those who come wait for the next, and the more wait, the more share a sync. With a
// depth of two the copying of one group overlaps with the writing of another; groups
// become durable in any order then, and are acknowledged in theirs. One is the
// default: with 64 writers on two processors that had much else to do, groups of
// half the size cost 12 % more of their time than the overlap saved.
//
// A group is written around the page cache, where that can be done, from the memory
// that it was gathered in: nobody reads it from there before a crash, and the copy
// and the pages would be paid for by everybody's appends.
//
// Files. They are filled with zeros before they are used: a sync of blocks that are
// there and were written before changes no metadata, and takes half as long as one
// that makes a file grow. A full file is used again, under the next sequence
// number, when each log that has something in it has synced its own files past
// that; see crowded for when that begins. The oldest file comes first, so the
// journal is at any time an unbroken run of groups, the newest ones. While no file
// is free, or a tail is large, logs sync their own files as with the policy
// "always": a journal that does not keep up costs time, not memory, not room
// without bound, and no acknowledgement. A full disk is no more than that either.
//
// Cuts. What is in the journal must not come back after Truncate, Reset, or the
// making of a log under the name of one that was deleted. Before any of them the
// log syncs its own files and leaves a barrier in the journal: a replay forgets
// what came before it. So an offset of a log has one value between two barriers,
// and a replay may meet it any number of times.
//
// Replay. The groups are read once, in the order of their numbers, up to the first
// that is not whole. If a later one says that it was acknowledged it was damaged,
// and the store does not open; else a crash tore it. Each log, when it is opened
// and after its own recovery, gets those of its batches that lie past its end. It
// syncs them before anything is served, and from then on the journal is not needed
// for it: a crash on the way repeats it all. A new run writes new files, with the
// group after the last one that counted: what a torn one left behind is superseded.
//
// Invariants:
//   - what is below a log's Durable and not below mu.synced, is in files that are
//     neither removed nor used again;
//   - files go in the order in which they came, one durably before the next: a
//     barrier outlives what it bars;
//   - after a failed write or sync no group is acknowledged any more, and every log
//     that needs one fails.
//
// The ways not taken: copying into the group within Append saves a read from the
// page cache, but ties appends to the journal's state, and is wrong as soon as the
// policy changes between the append and the sync. An index of what is in the
// journal, for reads: segments have it all, and replay needs none. A journal
// instead of segments, moved later: the moving is a copy too, and readers would
// have two places to look.
type journal struct {
	store *Store
	dir   string
	// fileBytes is the size of a file that is used more than once; all together
	// have at most bytesMax.
	fileBytes, bytesMax int64
	depth               int // groups that are gathered and written at once

	// gathering admits one at a time to number a group and give it its place. Lock
	// order: Log.syncing → gathering → Log.mu → journal.mu.
	gathering sync.Mutex

	mu struct {
		sync.Mutex
		queue   []*Log // that wait for a group, in the order in which they came
		taken   []*Log // the memory of the queue before, which a group is made of
		leading int    // groups being gathered or written, at most depth
		spare   []*group
		failed  error
		closing bool

		next    uint64   // number of the next group
		durable uint64   // number of the last group that was acknowledged
		flight  []*group // that were numbered and not acknowledged, in order

		files   []*journalFile // oldest first; the last one is written to
		ahead   *journalFile   // filled, to be written to next
		free    []*journalFile // no longer needed, oldest first
		nextSeq uint64
		made    bool // the directory is there
		// preparing and settling say that a goroutine is at it.
		preparing, settling bool
		fullSince           time.Time // of the last try to make a file on a full disk

		// replay is what an earlier run left for the logs that were not opened
		// since then.
		replay map[string][]journalExtent

		idle *sync.Cond // leading, preparing or settling has ended
	}
}

const (
	nameJournal   = "journal" // the directory, in the store's
	suffixJournal = ".journal"

	// journalFiles is how many files of full size a journal has at most.
	journalFiles = 8
	// journalBytes bounds a journal where StoreOptions say nothing.
	journalBytes = 256 << 20
	// firstFileBytes is the size of a run's first file, which somebody waits for;
	// each one after it is larger by fileGrowth, up to the full size.
	firstFileBytes = 1 << 20
	fileGrowth     = 4
	// groupsMax is how many groups are gathered and written at once, where
	// StoreOptions say nothing.
	groupsMax = 1
	// groupShare is the part of a full file that a group takes at most.
	groupShare = 8
	// fullDiskPause is how long no file is asked for after the disk was full.
	fullDiskPause = time.Second
)

// journalFile is one file of the journal. It is guarded by journal.mu, but for f
// and lanes.
type journalFile struct {
	seq uint64
	f   vfs.File
	// lanes are for writing around the page cache, by so many at once; nil where
	// the system has no such way.
	lanes chan vfs.DirectFile
	size  int64  // up to here it is filled
	used  int64  // up to here groups were given their places
	last  uint64 // number of its last group
	old   bool   // of an earlier run: nothing is added
	// logs has, for each log with batches in the file since its last barrier, the
	// offset up to which it must sync its own files before this one is free; or
	// settled, if it has.
	logs map[string]int64
}

// settled is in place of an offset when a log needs a file no more.
const settled = -1

// group is what is written and synced at once.
type group struct {
	buf     []byte
	entries int
	logs    []stagedLog
	barrier chan struct{} // closed when a barrier is durable or has failed; nil for batches

	number uint64
	file   *journalFile
	pos    int64
	iov    [1][]byte
	done   bool
	err    error
}

// stagedLog says up to where a group makes a log durable, unless it was cut since.
type stagedLog struct {
	*Log
	upTo       int64
	generation uint64
}

// mark is an offset and where it lies: in the part with that base, at pos.
type mark struct{ offset, base, pos int64 }

// journaling is how a log stands to the journal, guarded by Log.mu.
type journaling struct {
	// next is where the part of the tail begins that is neither durable nor in a
	// group.
	next mark
	// entered says that the journal may have batches of this log.
	entered bool
	// left keeps the log out of groups while it is cut.
	left bool
	// alone says that the tail does not go into the journal: the next sync of the
	// log's own files is to cover it.
	alone bool
}

func newJournal(s *Store, o StoreOptions) *journal {
	j := &journal{store: s, dir: path.Join(s.dir, nameJournal), bytesMax: o.JournalBytes, depth: o.JournalDepth}
	if j.bytesMax <= 0 {
		j.bytesMax = journalBytes
	}
	if j.depth <= 0 {
		j.depth = groupsMax
	}
	j.fileBytes = max(wholeBlocks(j.bytesMax/journalFiles), 4*journalBlock)
	j.mu.next, j.mu.nextSeq = 1, 1
	j.mu.idle = sync.NewCond(&j.mu.Mutex)
	return j
}
