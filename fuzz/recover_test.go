package fuzz_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// image is what a loss of power has left of a small store, and what is known of
// its log.
type image struct {
	design engine.Design
	files  directory
	sure   []batch.Batch // acknowledged, oldest first
	start  int64
}

// takeImage makes a log of several segments and two epochs, checkpointed and
// trimmed on the way, with an end that nobody waited for; then it cuts the power.
func takeImage(t testing.TB, d engine.Design, keep int, seed uint64) image {
	t.Helper()
	s, m := newSubject(d, clock), model{}
	if err := errors.Join(s.openStore(s.disk), s.create(0)); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		spec := batch.Of(batch.Record{Timestamp: int64(i), Value: fmt.Append(nil, "value ", i)}, batch.Record{Timestamp: int64(i)})
		spec.ProducerID, spec.ProducerEpoch, spec.BaseSequence = 1, 0, int32(2*i)
		raw, epoch := spec.Bytes(), int32(i/25)
		stamped := slices.Clone(raw)
		stamped.Stamp(m.end, epoch)
		if i >= 37 {
			set, err := batch.Parse(raw)
			if err == nil {
				_, err = s.log.Append(set, epoch)
			}
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := s.send(raw, epoch, engine.Appended{Base: m.end, Next: m.end + 2, Time: -1, Start: m.start}); err != nil {
			t.Fatal(err)
		}
		m.append(stamped)
		if i == 20 {
			m.trim(9)
			if err := errors.Join(s.log.Trim(9), s.store.Checkpoint()); err != nil {
				t.Fatal(err)
			}
		}
	}
	disk := s.disk.Crash(rand.New(rand.NewPCG(seed, 9)), keep)
	_ = s.store.Close() // only ends its goroutines
	im := image{design: d, files: filesOf(t, disk), start: m.start}
	for _, b := range m.batches {
		im.sure = append(im.sure, b.Batch)
	}
	return im
}

// The ways of an edit: what it does with the file, the position and the value
// that it names.
const (
	editFlip     = iota // a bit
	editFill            // 16 bytes, all alike
	editNumber          // eight bytes, as a number that somebody may believe
	editBlock           // a block of 512 zeros
	editCut             // the file ends there
	editGrow            // bytes behind the end
	editRemove          //
	editExchange        // the contents of two files
	editRename          // it has the name of another offset, or suffix
	editMarker          // the mark of a clean stop appears
	edits
)

const editBytes = 5 // file, way, position (2), value

// edit changes the files as the bytes say.
func (d directory) edit(code []byte) {
	for ; len(code) >= editBytes && len(d) > 0; code = code[editBytes:] {
		names := slices.Sorted(maps.Keys(d))
		name := names[int(code[0])%len(names)]
		b, value := slices.Clone(d[name]), code[4]
		pos := 0
		if len(b) > 0 {
			pos = int(binary.BigEndian.Uint16(code[2:])) % len(b)
		}
		switch code[1] % edits {
		case editFlip:
			if len(b) > 0 {
				b[pos] ^= 1 << (value % 8)
			}
		case editFill:
			copy(b[pos:], bytes.Repeat([]byte{value}, 16))
		case editNumber:
			numbers := []uint64{0, 1, 61, math.MaxInt32, math.MaxUint32, 1 << 40, math.MaxInt64, math.MaxUint64}
			copy(b[pos:], binary.BigEndian.AppendUint64(nil, numbers[int(value)%len(numbers)]))
		case editBlock:
			clear(b[pos/512*512 : min(len(b), pos/512*512+512)])
		case editCut:
			b = b[:pos]
		case editGrow:
			b = append(b, bytes.Repeat([]byte{value}, int(code[3]))...)
		case editRemove:
			delete(d, name)
			continue
		case editExchange:
			other := names[int(value)%len(names)]
			b, d[other] = slices.Clone(d[other]), b
		case editRename:
			delete(d, name)
			suffixes := []string{".log", ".index", ".timeindex", ".snapshot", ".log.tmp", ".cleaned"}
			name = fmt.Sprintf("%s%020d%s", logDir, code[3], suffixes[int(value)%len(suffixes)])
		case editMarker:
			name, b = "/data/.kafka_cleanshutdown", []byte(`{"version":0,"brokerEpoch":-1}`)
		}
		d[name] = b
	}
}

// damage returns the first offset about which the segments, or the journal, may say
// something else than before: what lies below it is as it was.
func (im image) damage(now directory) int64 {
	first := int64(math.MaxInt64)
	if !maps.EqualFunc(im.files.journal(), now.journal(), bytes.Equal) {
		first = im.inSegments()
	}
	for name, b := range now {
		if base, ok := segmentBase(name); ok && im.files[name] == nil && b != nil {
			first = min(first, base)
		}
	}
	for name, was := range im.files {
		base, ok := segmentBase(name)
		b, there := now[name]
		if !ok || there && bytes.Equal(was, b) {
			continue
		}
		same := 0
		for same < min(len(was), len(b)) && was[same] == b[same] {
			same++
		}
		// The batches that lie wholly within what is the same.
		for rest := was[:same]; ; {
			next, after, err := batch.Next(rest)
			if err != nil || len(rest) == 0 {
				break
			}
			base, rest = next.NextOffset(), after
		}
		first = min(first, base)
	}
	return first
}

// journal is the files of the journal.
func (d directory) journal() directory {
	d = maps.Clone(d)
	maps.DeleteFunc(d, func(name string, _ []byte) bool { return !strings.HasPrefix(name, journalDir) })
	return d
}

// inSegments is the offset up to which the segments alone have all batches.
func (im image) inSegments() (end int64) {
	end = im.start
	for _, name := range slices.Sorted(maps.Keys(im.files)) {
		if _, ok := segmentBase(name); !ok {
			continue
		}
		for rest := im.files[name]; len(rest) > 0; {
			b, after, err := batch.Next(rest)
			if err != nil || b.Check() != nil || b.BaseOffset() > end {
				return end
			}
			end, rest = max(end, b.NextOffset()), after
		}
	}
	return end
}

// touched reports whether the segment that has the offset is another one now.
func (im image) touched(now directory, offset int64) bool {
	base := int64(0)
	for name := range im.files {
		if b, ok := segmentBase(name); ok && b <= offset {
			base = max(base, b)
		}
	}
	name := fmt.Sprintf("%s%020d.log", logDir, base)
	return !bytes.Equal(im.files[name], now[name])
}

// below reports whether all damage is to bytes of segments that end below the
// recovery point: no crash does that, and the log must not end there. What the
// journal alone had is gone with it.
func (im image) below(now directory) bool {
	const points = "/data/recovery-point-offset-checkpoint"
	var point int64
	lines := strings.Fields(string(im.files[points]))
	if !bytes.Equal(im.files[points], now[points]) || now["/data/.kafka_cleanshutdown"] != nil || len(lines) == 0 ||
		!maps.EqualFunc(im.files.journal(), now.journal(), bytes.Equal) {
		return false
	}
	point, _ = strconv.ParseInt(lines[len(lines)-1], 10, 64) // 0: none
	var bases []int64
	for name := range now {
		base, ok := segmentBase(name)
		if ok && im.files[name] == nil {
			return false
		}
		if ok {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	for name, was := range im.files {
		base, ok := segmentBase(name)
		i, there := slices.BinarySearch(bases, base)
		if ok && (!there || !bytes.Equal(was, now[name]) && (i == len(bases)-1 || bases[i+1] > point)) {
			return false
		}
	}
	return true
}

func segmentBase(name string) (int64, bool) {
	digits, ok := strings.CutSuffix(strings.TrimPrefix(name, logDir), ".log")
	base, err := strconv.ParseInt(digits, 10, 64)
	return base, ok && err == nil && len(digits) == 20
}

// FuzzRecover opens crash images that something has happened to: bytes, lengths
// and names of their files are other than any crash leaves them. The log opens, or
// says what is wrong; nothing is lost that lies below the damage to its segments, or
// behind it if what is damaged was known to be durable; and what has opened can be
// read, appended to, and opened again as it was.
func FuzzRecover(f *testing.F) {
	var images []image
	for _, s := range cast(func(int) int { return 0 }, clock) {
		if s.acked {
			images = append(images, takeImage(f, s.config.Design, 50, 1), takeImage(f, s.config.Design, 0, 2))
		}
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for which := range images {
		f.Add(uint8(which), []byte{})
		for way := range byte(edits) {
			for range 3 {
				f.Add(uint8(which), []byte{byte(rng.Uint32()), way, byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())})
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, code []byte) {
		im := images[int(which)%len(images)]
		now := maps.Clone(im.files)
		now.edit(code[:min(len(code), 20*editBytes)])
		s := newSubject(im.design, clock)
		s.disk = now.write(t)
		if !s.opens(t) {
			return
		}
		s.keeps(t, im, now)
		s.goesOn(t, im.believed(now))
	})
}

// opens reports whether the log opened, and holds the error to saying why not.
func (s *subject) opens(t *testing.T) bool {
	t.Helper()
	err := s.open(s.disk)
	if err == nil {
		return true
	}
	if !typed(err) {
		t.Errorf("open: %v", err)
	}
	if s.store != nil {
		_ = s.store.Close()
	}
	return false
}

// keeps checks that the acknowledged records below the damage are there, but for
// those that the log's start hides: the file that says where it is has no
// checksum.
func (s *subject) keeps(t *testing.T, im image, now directory) {
	t.Helper()
	const starts = "/data/log-start-offset-checkpoint"
	upTo, m := im.damage(now), s.log.Marks()
	if first := im.sure[0].BaseOffset(); bytes.Equal(im.files[starts], now[starts]) && upTo > first && m.Start > im.start {
		t.Errorf("the log starts at %d, did at %d, and segments are whole below %d", m.Start, im.start, upTo)
	}
	whole := im.below(now) // segments behind the damage count as well
	for _, b := range im.sure {
		touched := im.touched(now, b.BaseOffset())
		if b.BaseOffset() < m.Start || b.NextOffset() > upTo && (touched || !whole) {
			continue
		}
		got, err := s.read(engine.Read{From: b.BaseOffset(), UpTo: m.End, MaxBytes: 1, AtLeastOne: true})
		if typed(err) && touched {
			continue // a segment that cannot be opened says so
		}
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("the batch at %d is lost, and the first damage to a segment is at %d: marks %+v, %v", b.BaseOffset(), upTo, m, err)
		}
	}
}

// believed reports whether the mark of a clean stop vouches for segments that are
// not as they were. It does so for one run: after a kill their damage is met, and
// where no checkpoint says that they were durable it may look like a crash's.
func (im image) believed(now directory) bool {
	return now["/data/.kafka_cleanshutdown"] != nil && im.damage(now) != math.MaxInt64
}

// goesOn uses the log, and opens it again after a clean stop and after a kill. If
// damage was believed to be none, it may have another end after the kill, or none.
func (s *subject) goesOn(t *testing.T, believed bool) {
	t.Helper()
	checked := s.log.Check()
	if checked != nil && !typed(checked) {
		t.Errorf("check: %v", checked)
	}
	raw := batch.Of(batch.Record{Value: []byte("one more")}).Bytes()
	if end := s.log.Marks().End; end < math.MaxInt64/2 && checked == nil {
		if err := s.send(raw, s.log.Epoch(), engine.Appended{Base: end, Next: end + 1, Time: -1, Start: s.log.Marks().Start}); err != nil {
			t.Errorf("append: %v", err)
		}
	}
	want, text := s.log.Marks(), s.text()
	killed := s.disk.Kill()
	if err := s.store.Close(); err != nil && !typed(err) {
		t.Errorf("close: %v", err)
	}
	const kill = "a kill"
	for what, disk := range map[string]*vfs.Mem{"a clean stop": s.disk, kill: killed} {
		same := checked == nil && !(believed && what == kill)
		again := newSubject(s.config.Design, s.now)
		again.disk = disk
		if !again.opens(t) {
			if same {
				t.Errorf("after %s the log does not open any more", what)
			}
			continue
		}
		if got := again.log.Marks(); same && (got.Start > want.Start || got.End != want.End || again.text() != text && got.Start == want.Start) {
			t.Errorf("after %s the marks are %+v, were %+v", what, got, want)
		}
		_ = again.store.Close()
	}
}

// text is all that can be read, as far as it goes.
func (s *subject) text() string {
	var all []byte
	m := s.log.Marks()
	for from := m.Start; from < m.End; {
		got, err := s.read(engine.Read{From: from, UpTo: m.End, MaxBytes: 1, AtLeastOne: true})
		b, _, wrong := batch.Next(got)
		if err != nil || wrong != nil || b.NextOffset() <= from {
			break
		}
		all, from = append(all, got...), b.NextOffset()
	}
	return string(all)
}
