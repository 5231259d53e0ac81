package engine

import (
	"fmt"
	"path"
	"sort"
	"strconv"
	"strings"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// epochs is where each leader epoch starts in a log. It answers to which offset
// two replicas agree.
//
// Invariant: epochs and starts ascend strictly.
type epochs []epochStart

type epochStart struct {
	epoch int32
	start int64
}

// latest is the epoch of the log's end, -1 if none is known.
func (e epochs) latest() int32 {
	if len(e) == 0 {
		return -1
	}
	return e[len(e)-1].epoch
}

// assign notes that offset was written under epoch, and reports whether that
// was news. With {1→0 2→10}: assign(2, 12) changes nothing, assign(3, 12) adds
// 3→12, and assign(3, 10) leaves {1→0 3→10}: epoch 2 never held a record.
func (e *epochs) assign(epoch int32, offset int64) bool {
	if epoch <= e.latest() {
		return false
	}
	e.truncate(offset)
	*e = append(*e, epochStart{epoch, offset})
	return true
}

// truncate drops the epochs that start at or past offset.
func (e *epochs) truncate(offset int64) bool {
	n := sort.Search(len(*e), func(i int) bool { return (*e)[i].start >= offset })
	cut := n < len(*e)
	*e = (*e)[:n]
	return cut
}

// trim drops the epochs that end at or before offset, and lets the one that
// holds it start there. With {1→0 2→10 3→20}: trim(15) leaves {2→15 3→20}.
func (e *epochs) trim(offset int64) bool {
	n := sort.Search(len(*e), func(i int) bool { return (*e)[i].start > offset })
	if n == 0 || (n == 1 && (*e)[0].start == offset) {
		return false
	}
	kept := append(epochs{}, (*e)[n-1:]...)
	kept[0].start = offset
	*e = kept
	return true
}

// before is the epoch of what lies before offset, -1 if none is known. With
// {1→0 2→10}: before(10) = 1, before(11) = 2.
func (e epochs) before(offset int64) int32 {
	n := sort.Search(len(e), func(i int) bool { return e[i].start >= offset })
	return e[:n].latest()
}

// match reports whether the log's last batch, of the epoch last (-1: not known),
// can be what a checkpoint speaks of. One that is of an earlier time knows less
// than the log, unless the stop was clean, but never more: an epoch from nowhere
// would refuse every leader there is.
func (e epochs) match(last int32, end int64, clean bool) bool {
	says := e.before(end)
	return last < 0 || says == last || says < last && !clean
}

// end returns the largest epoch at or below epoch, and the offset where it
// ends. With {1→0 3→10} and the log's end 15: end(1) = (1, 10), end(2) = (1,
// 10), end(3) = (3, 15); end(0) and end(4) are unknown: (-1, -1).
func (e epochs) end(epoch int32, logEnd int64) (int32, int64) {
	if epoch < 0 || epoch > e.latest() {
		return -1, -1
	}
	n := sort.Search(len(e), func(i int) bool { return e[i].epoch > epoch })
	switch n {
	case 0:
		return -1, -1
	case len(e):
		return e[n-1].epoch, logEnd
	}
	return e[n-1].epoch, e[n].start
}

// writeEpochs replaces the leader-epoch checkpoint of the log in dir. Kafka's
// format: version, count, and a line «epoch start» each.
func writeEpochs(fsys vfs.FS, dir string, e epochs) error {
	var b strings.Builder
	fmt.Fprintf(&b, "0\n%d\n", len(e))
	for _, s := range e {
		fmt.Fprintf(&b, "%d %d\n", s.epoch, s.start)
	}
	return vfs.ReplaceFile(fsys, dir, nameEpochs, []byte(b.String()))
}

// readEpochs returns known false for a log without the checkpoint.
func readEpochs(fsys vfs.FS, dir string) (e epochs, known bool, err error) {
	name := path.Join(dir, nameEpochs)
	lines, err := readLines(fsys, name)
	if err != nil || lines == nil {
		return nil, false, err
	}
	for i, l := range lines {
		a, b, ok := strings.Cut(l, " ")
		epoch, err1 := strconv.ParseInt(a, 10, 32)
		start, err2 := strconv.ParseInt(strings.TrimSpace(b), 10, 64)
		if !ok || err1 != nil || err2 != nil || start < 0 {
			return nil, false, &CorruptError{Path: name, Why: fmt.Sprintf("entry %d, %q, is not «epoch offset»", i+1, l)}
		}
		if len(e) > 0 && (int32(epoch) <= e.latest() || start < e[len(e)-1].start) {
			return nil, false, &CorruptError{Path: name, Why: fmt.Sprintf("entry %d, %q, is not after the one before", i+1, l)}
		}
		e.assign(int32(epoch), start)
	}
	return e, true, nil
}
