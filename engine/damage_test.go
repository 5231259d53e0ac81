package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// readWhole and writeWhole are a file's content; writeWhole replaces it.
func readWhole(t testing.TB, fsys vfs.FS, name string) []byte {
	t.Helper()
	f, err := fsys.OpenRead(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && size > 0 && len(b) < int(size) {
		t.Fatal(err)
	}
	return b
}

func writeWhole(t testing.TB, fsys vfs.FS, name string, b []byte) {
	t.Helper()
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	f, err := fsys.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([][]byte{b}, 0)
	if err := errors.Join(err, f.Sync(), f.Close(), fsys.SyncDir("/data/"+historyLog), fsys.SyncDir("/data")); err != nil {
		t.Fatal(err)
	}
}

// filesOf lists the log's files with the suffix.
func filesOf(t testing.TB, fsys vfs.FS, suffix string) (names []string) {
	t.Helper()
	entries, err := fsys.ReadDir("/data/" + historyLog)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			names = append(names, "/data/"+historyLog+"/"+e.Name())
		}
	}
	return names
}

// damaged makes a log of about four segments, stopped cleanly or killed, and lets
// damage have its way with the disk.
func damaged(t *testing.T, c engine.Config, clean bool, damage func(vfs.FS)) (*history, *vfs.Mem) {
	t.Helper()
	h, mem := newHistory(t, c), vfs.NewMem()
	if err := errors.Join(h.open(mem), h.create(), h.append(slices.Repeat([]int{5}, 60)...), h.tick(), h.append(1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	disk := mem.Kill()
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	if clean {
		disk = mem
	}
	damage(disk)
	return h, disk
}

// An index is never believed: whatever happens to it the log reads the same, a
// time finds the same offset, and retention drops nothing that it should not.
func TestDamagedIndex(t *testing.T) {
	damages := map[string]func([]byte) []byte{
		"emptied":       func([]byte) []byte { return nil },
		"cut in two":    func(b []byte) []byte { return b[:len(b)/2] },
		"an entry less": func(b []byte) []byte { return b[:max(0, len(b)-12)] },
		"garbage":       func(b []byte) []byte { return []byte(strings.Repeat("garbage?", max(3, len(b)/24*3))) },
		"zeros behind":  func(b []byte) []byte { return append(b, make([]byte, 240)...) },
		"zeros in it": func(b []byte) []byte {
			b = slices.Clone(b)
			clear(b[len(b)/3 : len(b)/3*2])
			return b
		},
		"another value": func(b []byte) []byte {
			b = slices.Clone(b)
			for i := range b {
				if b[i] != 0 {
					b[i]--
				}
			}
			return b
		},
	}
	for _, suffix := range []string{".index", ".timeindex"} {
		for _, clean := range []bool{true, false} {
			for name, damage := range damages {
				t.Run(fmt.Sprintf("%s/%s/clean=%v", suffix, name, clean), func(t *testing.T) {
					c := smallConfig(engine.DefaultDesign)
					c.RetentionAge, c.ProducerExpiry = 1000*time.Hour, 1001*time.Hour
					h, disk := damaged(t, c, clean, func(fsys vfs.FS) {
						for _, file := range filesOf(t, fsys, suffix) {
							writeWhole(t, fsys, file, damage(readWhole(t, fsys, file)))
						}
					})
					h.checkDamaged(t, disk)
				})
			}
			t.Run(fmt.Sprintf("%s/deleted/clean=%v", suffix, clean), func(t *testing.T) {
				c := smallConfig(engine.DefaultDesign)
				c.RetentionAge, c.ProducerExpiry = 1000*time.Hour, 1001*time.Hour
				h, disk := damaged(t, c, clean, func(fsys vfs.FS) {
					for _, file := range filesOf(t, fsys, suffix) {
						if err := fsys.Remove(file); err != nil {
							t.Fatal(err)
						}
					}
				})
				h.checkDamaged(t, disk)
			})
		}
	}
}

// Indexes that each could be right, and that what the segment holds does not follow
// on: the time index has one entry, of the oldest time and the newest offset.
func TestIndexesBehindAndAhead(t *testing.T) {
	for _, clean := range []bool{true, false} {
		c := smallConfig(engine.DefaultDesign)
		c.RetentionAge, c.ProducerExpiry, c.IndexIntervalBytes = 1000*time.Hour, 1001*time.Hour, 0
		h, disk := damaged(t, c, clean, func(fsys vfs.FS) {
			for _, file := range filesOf(t, fsys, ".index") {
				writeWhole(t, fsys, file, readWhole(t, fsys, file)[:8])
			}
			for _, file := range filesOf(t, fsys, ".timeindex") {
				b := readWhole(t, fsys, file)
				writeWhole(t, fsys, file, slices.Concat(b[:8], b[len(b)-4:]))
			}
		})
		h.checkDamaged(t, disk)
	}
}

func (h *history) checkDamaged(t *testing.T, disk *vfs.Mem) {
	t.Helper()
	if err := h.open(disk); err != nil {
		t.Fatal(err)
	}
	// The oldest segment's newest record is just young enough.
	first := h.log.Segments()[0]
	newest := int64(0)
	for _, b := range h.contents() {
		if b.BaseOffset() < first.Next {
			newest = b.MaxTimestamp()
		}
	}
	h.store.Tick(time.UnixMilli(newest).Add(1000 * time.Hour))
	if m := h.log.Marks(); m.Start != 0 {
		t.Errorf("retention dropped what was young enough: %+v", m)
	}
	// The last record of each batch of five is the first of its time.
	for _, b := range h.contents() {
		p, ok, err := h.log.OffsetForTime(b.MaxTimestamp())
		if b.Count() == 5 && (err != nil || !ok || p.Timestamp != b.MaxTimestamp() || p.Offset != b.LastOffset()) {
			t.Fatalf("time %d: %+v, %v, %v; offset %d has it", b.MaxTimestamp(), p, ok, err, b.LastOffset())
		}
	}
	all := h.contents()
	for _, b := range all {
		h.judgeBatch(b, h.log.Marks())
	}
	if len(h.sure) > 0 {
		t.Errorf("%d records are lost", len(h.sure))
	}
	h.judgeDuplicates(all)
	if err := steps(func() error { return h.append(5, 5, 5) }, h.close); err != nil {
		t.Error(err)
	}
}

// A producer snapshot that is damaged, or speaks of offsets that the log does not
// have, is not used.
func TestDamagedSnapshot(t *testing.T) {
	for _, clean := range []bool{true, false} {
		for name, damage := range map[string]func(vfs.FS){
			"flipped": func(fsys vfs.FS) {
				for _, file := range filesOf(t, fsys, ".snapshot") {
					b := readWhole(t, fsys, file)
					b[len(b)-1] ^= 1
					writeWhole(t, fsys, file, b)
				}
			},
			"emptied": func(fsys vfs.FS) {
				for _, file := range filesOf(t, fsys, ".snapshot") {
					writeWhole(t, fsys, file, nil)
				}
			},
			"deleted": func(fsys vfs.FS) {
				for _, file := range filesOf(t, fsys, ".snapshot") {
					if err := fsys.Remove(file); err != nil {
						t.Fatal(err)
					}
				}
			},
			"newer than the log": func(fsys vfs.FS) {
				file := slices.Max(filesOf(t, fsys, ".snapshot"))
				writeWhole(t, fsys, "/data/t-0/00000000000000009999.snapshot", readWhole(t, fsys, file))
			},
		} {
			t.Run(fmt.Sprintf("%s/clean=%v", name, clean), func(t *testing.T) {
				h, disk := damaged(t, smallConfig(engine.DefaultDesign), clean, damage)
				if h.reopen(name, disk, false) {
					if err := steps(func() error { return h.append(5) }, h.close); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

// Checkpoints that are missing or damaged cost time, not records.
func TestDamagedCheckpoint(t *testing.T) {
	files := []string{"/data/t-0/leader-epoch-checkpoint", "/data/recovery-point-offset-checkpoint", "/data/log-start-offset-checkpoint"}
	for _, clean := range []bool{true, false} {
		for _, file := range files {
			for name, text := range map[string]string{
				"deleted": "", "emptied": "", "garbage": "\x00\xffgarbage", "short": "0\n", "count": "0\n7\nt 0 1\n", "entry": "0\n1\nwhat is this\n",
				"epoch": "0\n1\n4 0\n",
			} {
				if name == "epoch" && !strings.Contains(file, "epoch") {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/clean=%v", file[strings.LastIndexByte(file, '/')+1:], name, clean), func(t *testing.T) {
					h, disk := damaged(t, smallConfig(engine.DefaultDesign), clean, func(fsys vfs.FS) {
						writeWhole(t, fsys, file, []byte(text))
						if name == "deleted" {
							if err := fsys.Remove(file); err != nil {
								t.Fatal(err)
							}
						}
					})
					if h.reopen(name, disk, false) {
						if err := h.close(); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
	}
}

// A recovery point beyond the log's end vouches for nothing that comes after.
func TestRecoveryPointBeyondEnd(t *testing.T) {
	h, disk := damaged(t, smallConfig(engine.DefaultDesign), false, func(fsys vfs.FS) {
		writeWhole(t, fsys, "/data/recovery-point-offset-checkpoint", []byte("0\n1\nt 0 100000\n"))
	})
	if !h.reopen("recovery point beyond the end", disk, false) {
		return
	}
	mem := disk
	for i := range 5 { // not waited for: the crash may tear them
		if _, err := appendSpec(h.log, records(30, fmt.Sprint("torn? ", i), 1)); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range uint64(20) {
		s := openStore(t, mem.Crash(rand.New(rand.NewPCG(seed, 1)), 50), "/data")
		l := reopen(t, s, historyLog, h.config)
		if end := l.Marks().End; end < 303 {
			t.Errorf("the log ends at %d, 303 were acknowledged", end)
		}
		closeStore(t, s, l)
	}
	_ = h.store.Close()
}

// A segment that is shorter than what a clean stop or the recovery point says, as
// a disk or a hand can make it, is told of, and its indexes do not speak of what
// it no longer has: it goes on at its end.
func TestSegmentCutShort(t *testing.T) {
	for _, clean := range []bool{true, false} {
		for _, keep := range []int64{0, 20, 40} { // batches, of a record each
			t.Run(fmt.Sprintf("clean=%v/batches=%d", clean, keep), func(t *testing.T) {
				t.Parallel()
				mem := vfs.NewMem()
				c := engine.DefaultConfig()
				s := openStore(t, mem, "/data")
				l := create(t, s, historyLog, c)
				size := int64(0)
				for i := range int64(40) {
					b := records(1, fmt.Sprint("record ", i), 1000+i)
					mustAppend(t, l, b)
					if i < keep {
						size += int64(len(b.Bytes()))
					}
				}
				closeStore(t, s, l)
				name := filesOf(t, mem, ".log")[0]
				writeWhole(t, mem, name, readWhole(t, mem, name)[:size])
				if !clean {
					if err := mem.Remove("/data/.kafka_cleanshutdown"); err != nil {
						t.Fatal(err)
					}
				}
				var said bytes.Buffer
				s, err := engine.OpenStore(engine.StoreOptions{FS: mem, Dir: "/data", NodeID: 1, Logger: slog.New(slog.NewTextHandler(&said, nil))})
				if err != nil {
					t.Fatal(err)
				}
				l = reopen(t, s, historyLog, c)
				end := l.Marks().End
				if told := strings.Contains(said.String(), "ends before what was known to be durable"); end != keep || told != (end < 40) {
					t.Errorf("the log ends at %d of %d, and it was said: %v", end, keep, told)
				}
				mustAppend(t, l, records(1, "early", 1)) // older than all that the time index had
				p, ok, err := l.OffsetForTime(1039)
				if err != nil || ok != (end == 40) || ok && p.Offset != 39 {
					t.Errorf("time 1039 is found at %+v, %v, %v; the log went on from %d", p, ok, err, end)
				}
				closeStore(t, s, l)
				s = openStore(t, mem, "/data")
				closeStore(t, s, reopen(t, s, historyLog, c))
			})
		}
	}
}
