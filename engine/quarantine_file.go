package engine

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A log's quarantine file lists its [Damage], so that what only a checksum tells
// is not served again after a restart:
//
//	0                                             version
//	2                                             number of lines that follow
//	0 4096 8192 40 80 "CRC is 1c5ef1f9, but …"    segment, bytes [from, to), offsets [from, to), why
//	5000 0 66560 5000 5120 "magic 0 …"
//	crc 89abcdef                                  CRC-32C of all lines before it
//
// It is replaced as a whole, with the next checkpoint, and it is only a hint: what
// it calls damaged is looked at when the log is opened, and what is whole by
// then, because the bytes were put back or cut off meanwhile, is served again.
// So a file that is lost, damaged or old does no harm beyond a scrub.
//
// The way not taken is to keep it in memory alone: headers that are damaged are
// met again anyway, but a body is only found by reading it all.
func encodeDamage(ds []Damage) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "0\n%d\n", len(ds))
	for _, d := range ds {
		fmt.Fprintf(&b, "%d %d %d %d %d %q\n", d.Segment, d.Pos, d.End, d.First, d.Next, d.Why)
	}
	fmt.Fprintf(&b, "crc %08x\n", crc32.Checksum(b.Bytes(), castagnoli))
	return b.Bytes()
}

// ReadQuarantine decodes a quarantine file. One that cannot be believed is a
// *CorruptError.
func ReadQuarantine(name string, raw []byte) ([]Damage, error) {
	bad := func(format string, args ...any) ([]Damage, error) {
		return nil, &CorruptError{Path: name, Why: fmt.Sprintf(format, args...)}
	}
	at := bytes.LastIndex(raw, []byte("crc "))
	var sum uint32
	if at < 0 {
		return bad("it has no checksum")
	}
	if _, err := fmt.Sscanf(string(raw[at:]), "crc %08x\n", &sum); err != nil || sum != crc32.Checksum(raw[:at], castagnoli) {
		return bad("its checksum does not match")
	}
	lines := strings.Split(strings.TrimSuffix(string(raw[:at]), "\n"), "\n")
	if lines[0] != "0" {
		return nil, fmt.Errorf("%s has version %s, this release reads version 0: %w", name, lines[0], ErrFormat)
	}
	if len(lines) < 2 || lines[1] != fmt.Sprint(len(lines)-2) {
		return bad("it does not announce the entries that it has")
	}
	var ds []Damage
	for i, line := range lines[2:] {
		var d Damage
		n, err := fmt.Sscanf(line, "%d %d %d %d %d %q", &d.Segment, &d.Pos, &d.End, &d.First, &d.Next, &d.Why)
		if err != nil || n != 6 || d.Segment < 0 || d.Pos < 0 || d.Pos >= d.End || d.First < d.Segment || d.First > d.Next {
			return bad("entry %d, %q, is no damage", i+1, line)
		}
		ds = append(ds, d)
	}
	return ds, nil
}

// saveDamage brings the quarantine file up to date. Log.syncing is held. It is
// tried again with the next checkpoint if it fails: nothing depends on it now.
func (l *Log) saveDamage() {
	l.damage.Lock()
	unsaved := l.damage.unsaved
	l.damage.unsaved = false
	l.damage.Unlock()
	if !unsaved {
		return
	}
	err := l.writeDamage(l.Damage())
	if err != nil {
		l.damage.Lock()
		l.damage.unsaved = true
		l.damage.Unlock()
		l.log.Warn("quarantine file not written", "log", l.name, "err", err)
	}
}

// damageSaved reports whether the quarantine file is up to date.
func (l *Log) damageSaved() bool {
	l.damage.Lock()
	defer l.damage.Unlock()
	return !l.damage.unsaved
}

func (l *Log) writeDamage(ds []Damage) error {
	if len(ds) > 0 {
		return vfs.ReplaceFile(l.fs, l.dir, nameQuarantine, encodeDamage(ds))
	}
	if err := l.remove(path.Join(l.dir, nameQuarantine)); err != nil {
		return err
	}
	return l.fs.SyncDir(l.dir)
}

// readDamage reads the quarantine file, if the directory has one.
func (l *Log) readDamage(files logFiles) []Damage {
	if !slices.Contains(files.names, nameQuarantine) {
		return nil
	}
	name := path.Join(l.dir, nameQuarantine)
	raw, err := readFile(l.fs, name)
	var ds []Damage
	if err == nil {
		ds, err = ReadQuarantine(name, raw)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.log.Warn("quarantine file is not usable: damage is found again where it is met, or by a scrub", "log", l.name, "err", err)
	}
	return ds
}

// restoreDamage puts back into quarantine what the file says of the part, and the
// bytes confirm.
func (l *Log) restoreDamage(p *part, r *recovery) error {
	here := func(d Damage) bool { return d.Segment == p.base }
	if !slices.ContainsFunc(r.damage, here) {
		return nil
	}
	if err := p.acquire(); err != nil {
		return err
	}
	defer p.release()
	s := newScanner(l, p)
	defer s.free()
	s.end = p.seg.Size()
	for _, d := range r.damage {
		if !here(d) {
			continue
		}
		healed, err := s.healed(d)
		if err != nil {
			return err
		}
		if healed {
			l.log.Info("what was quarantined is whole, or gone", "log", l.name, "damage", d.String())
			l.damage.unsaved = true
			continue
		}
		ds := p.damaged().with(d)
		p.damage.Store(&ds)
	}
	return nil
}

// healed reports whether whole batches lie where damage was, from its first byte
// to its last, with offsets that belong there.
func (s *scanner) healed(d Damage) (bool, error) {
	if d.End > s.end {
		return true, nil // what is left of it is met again
	}
	var buf []byte
	s.due, s.before.pos = d.First, -1
	for pos := d.Pos; pos < d.End; {
		h, err := s.next(pos)
		size := int64(0)
		if err == nil {
			size = h.Size()
			buf, err = s.checked(buf, pos, size)
		}
		var bad *CorruptError
		if errors.As(err, &bad) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if pos += size; pos > d.End {
			return false, nil
		}
	}
	return s.due <= max(d.Next, d.First+1), nil
}
