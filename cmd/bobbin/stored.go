package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// storedLog is the directory of one partition.
type storedLog struct {
	dir      string
	segments []storedSegment // ascending
	others   []string        // paths of the other files
}

// storedSegment is a segment with its indexes; the paths of those that are not
// there are empty.
type storedSegment struct {
	base                 int64 // the offset in its name
	path, offsets, times string
	aborted              string // the .txnindex
	last                 bool   // of its log: the one that is appended to
}

// dataDirectory tells whether dir has logs in it, and not segments.
func dataDirectory(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "meta.properties")); err == nil {
		return true
	}
	entries, err := os.ReadDir(dir)
	return err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return isLog(dir, e) })
}

// isLog tells whether an entry of dir is a log, or a link to one on another disk.
func isLog(dir string, e os.DirEntry) bool {
	if !isLogName(e.Name()) {
		return false
	}
	info, err := os.Stat(filepath.Join(dir, e.Name()))
	return err == nil && info.IsDir()
}

// isLogName tells whether a directory's name is that of a partition.
func isLogName(name string) bool {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 {
		return false
	}
	n, err := strconv.ParseInt(name[i+1:], 10, 32)
	return err == nil && n >= 0
}

// storedLogs lists the logs of a data directory, sorted by name.
func storedLogs(dir string) ([]*storedLog, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var logs []*storedLog
	for _, e := range entries {
		if !isLog(dir, e) {
			continue
		}
		l, err := readStoredLog(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		logs = append(logs, l)
	}
	return logs, nil
}

func readStoredLog(dir string) (*storedLog, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	l := &storedLog{dir: dir}
	present := map[string]bool{}
	for _, e := range entries {
		present[e.Name()] = true
		base, ok := fileOffset(e.Name(), ".log")
		if !ok {
			l.others = append(l.others, filepath.Join(dir, e.Name()))
			continue
		}
		l.segments = append(l.segments, storedSegment{base: base, path: filepath.Join(dir, e.Name())})
	}
	slices.SortFunc(l.segments, func(x, y storedSegment) int { return cmp.Compare(x.base, y.base) })
	for i := range l.segments {
		s := &l.segments[i]
		s.last = i == len(l.segments)-1
		for suffix, to := range map[string]*string{".index": &s.offsets, ".timeindex": &s.times, ".txnindex": &s.aborted} {
			if name := fmt.Sprintf("%020d%s", s.base, suffix); present[name] {
				*to = filepath.Join(dir, name)
			}
		}
	}
	return l, nil
}

// files are the log's segments, of those that are still there.
func (l *storedLog) files() (all []os.FileInfo) {
	for _, s := range l.segments {
		if i, err := os.Stat(s.path); err == nil {
			all = append(all, i)
		}
	}
	return all
}

// logsAt lists the logs of a data directory, or that of a partition, and tells in
// which data directory they are. A directory that is neither is a usage error: what
// is not looked at must not pass for whole.
func logsAt(dir string) (logs []*storedLog, data string, err error) {
	if dataDirectory(dir) {
		logs, err = storedLogs(dir)
		return logs, dir, err
	}
	l, err := readStoredLog(dir)
	if err == nil && len(l.segments) == 0 && !isLogName(filepath.Base(dir)) {
		err = usagef("%s is no data directory and no log: it has neither a meta.properties nor a segment", dir)
	}
	return []*storedLog{l}, filepath.Dir(filepath.Clean(dir)), err
}

// needDataDirectory is a usage error for a directory that is none.
func needDataDirectory(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "meta.properties")); err != nil {
		return usagef("%s is no data directory: it has no meta.properties", dir)
	}
	return nil
}

// lockDataDirectory keeps brokers out while something is done with a directory.
func lockDataDirectory(fsys vfs.FS, dir, done string) (io.Closer, error) {
	if err := needDataDirectory(dir); err != nil {
		return nil, err
	}
	lock, err := fsys.Lock(filepath.Join(dir, ".lock"))
	if errors.Is(err, vfs.ErrLocked) {
		err = fmt.Errorf("%s cannot be %s while a broker has it open: %w", dir, done, err)
	}
	return lock, err
}

// fileOffset reads the offset that the name of a segment, an index or a
// snapshot is.
func fileOffset(name, suffix string) (int64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && n >= 0
}

// finding is something that is not as it should be.
type finding struct {
	Path     string `json:"path"`
	Position int64  `json:"position"` // in bytes from the file's start
	Why      string `json:"why"`
	// First and Next are the offsets [First, Next) that are lost by it, if that
	// is known.
	First int64 `json:"first_lost,omitempty"`
	Next  int64 `json:"next_good,omitempty"`
	// Warning: nothing is lost by it, and a broker that starts mends it.
	Warning bool `json:"warning,omitempty"`
}

// warning is a finding that a broker mends.
func warning(path string, pos int64, why string) finding {
	return finding{Path: path, Position: pos, Why: why, Warning: true}
}

func (f finding) String() string {
	kind := "damaged"
	if f.Warning {
		kind = "warning"
	}
	return fmt.Sprintf("%s: %s at byte %d: %s", f.Path, kind, f.Position, f.Why)
}
