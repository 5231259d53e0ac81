package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
	"github.com/bobbin-log/bobbin/segment/batch"
)

const fixtureTime = 1_700_000_000_000

// fixture is a data directory with one log of two segments, as a broker that
// was killed leaves it. Batches of three records, so that batch i of segment b
// has the offsets b+3i to b+3i+2.
type fixture struct {
	t   *testing.T
	dir string
	log string // of the partition
	pos [2][]int64
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{t: t, dir: t.TempDir()}
	f.log = filepath.Join(f.dir, "orders-0")
	f.write("meta.properties", []byte("version=1\nnode.id=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\n"))
	f.write("recovery-point-offset-checkpoint", []byte("0\n1\norders 0 15\n"))
	f.write("orders-0/partition.metadata", []byte("version: 0\ntopic_id: AAAAAAAAQAAAAAAAAAAAAQ"))
	f.write("orders-0/leader-epoch-checkpoint", []byte("0\n1\n0 0\n"))
	f.segment(0, 0, 4)
	f.segment(1, 12, 3)
	f.write("orders-0/00000000000000000012.snapshot", snapshotBytes())
	return f
}

func (f *fixture) write(name string, content []byte) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// change replaces a file of the partition by what edit makes of it.
func (f *fixture) change(name string, edit func([]byte) []byte) {
	f.t.Helper()
	content, err := os.ReadFile(filepath.Join(f.log, name))
	if err != nil {
		f.t.Fatal(err)
	}
	f.write("orders-0/"+name, edit(content))
}

// segment writes the n-th segment with its indexes: an entry for every batch
// but the first.
func (f *fixture) segment(n int, base int64, batches int) {
	var log, offsets, times []byte
	for i := range batches {
		b := fixtureBatch(base+int64(3*i), []batch.Codec{batch.None, batch.Gzip, batch.Zstd, batch.LZ4}[i])
		f.pos[n] = append(f.pos[n], int64(len(log)))
		if i > 0 {
			offsets = binary.BigEndian.AppendUint32(offsets, uint32(b.LastOffset()-base))
			offsets = binary.BigEndian.AppendUint32(offsets, uint32(len(log)))
			times = binary.BigEndian.AppendUint64(times, uint64(b.MaxTimestamp()))
			times = binary.BigEndian.AppendUint32(times, uint32(b.LastOffset()-base))
		}
		log = append(log, b...)
	}
	name := fmt.Sprintf("orders-0/%020d", base)
	f.write(name+".log", log)
	f.write(name+".index", offsets)
	f.write(name+".timeindex", times)
}

func fixtureBatch(offset int64, codec batch.Codec) batch.Batch {
	var records []batch.Record
	for i := range int64(3) {
		records = append(records, batch.Record{
			Timestamp: fixtureTime + offset + i,
			Key:       fmt.Appendf(nil, "key %d", offset+i),
			Value:     fmt.Appendf(nil, "value %d, %s", offset+i, strings.Repeat("x", 20)),
		})
	}
	records[1].Key, records[2].Value = nil, []byte{0xff}
	records[0].Headers = []batch.Header{{Key: "from", Value: []byte("a fixture")}}
	s := batch.Of(records...)
	s.BaseOffset, s.LeaderEpoch, s.Codec = offset, 0, codec
	s.ProducerID, s.ProducerEpoch, s.BaseSequence = 7, 0, int32(offset)
	return s.Bytes()
}

func snapshotBytes() []byte {
	body := binary.BigEndian.AppendUint32(nil, 1)
	body = binary.BigEndian.AppendUint64(body, 7)
	body = binary.BigEndian.AppendUint16(body, 0)
	body = binary.BigEndian.AppendUint32(body, 11)
	body = binary.BigEndian.AppendUint64(body, 11)
	body = binary.BigEndian.AppendUint32(body, 2)
	body = binary.BigEndian.AppendUint64(body, fixtureTime+11)
	body = binary.BigEndian.AppendUint32(body, 1<<32-1)
	body = binary.BigEndian.AppendUint64(body, 1<<64-1)
	head := binary.BigEndian.AppendUint16(nil, 1)
	head = binary.BigEndian.AppendUint32(head, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	return append(head, body...)
}

// reseal makes a batch's CRC right again.
func reseal(b []byte) {
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
}

// verify runs log verify on the fixture.
func (f *fixture) verify(args ...string) (r verifyReport, code int) {
	f.t.Helper()
	got := run(f.t, append([]string{"log", "verify", f.dir, "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(got.out), &r); err != nil {
		f.t.Fatalf("%v: %s%s", err, got.out, got.stderr)
	}
	return r, got.code
}

const (
	firstLog, firstIndex, firstTimes = "00000000000000000000.log", "00000000000000000000.index", "00000000000000000000.timeindex"
	lastLog, lastIndex, lastTimes    = "00000000000000000012.log", "00000000000000000012.index", "00000000000000000012.timeindex"
)

func TestVerifyWhole(t *testing.T) {
	f := newFixture(t)
	r, code := f.verify("--strict")
	if code != exitOK || len(r.Findings) != 0 || r.Logs != 1 || r.Segments != 2 || r.Batches != 7 || r.Records != 21 {
		t.Errorf("exit code %d, %+v", code, r)
	}
	for _, path := range []string{f.log, filepath.Join(f.log, firstLog), filepath.Join(f.log, "leader-epoch-checkpoint")} {
		if r := run(t, "log", "verify", path); r.code != exitOK {
			t.Errorf("%s: exit code %d, %s%s", path, r.code, r.out, r.stderr)
		}
	}
	// A log that is a link to another disk.
	elsewhere := filepath.Join(t.TempDir(), "orders-0")
	if err := errors.Join(os.Rename(f.log, elsewhere), os.Symlink(elsewhere, f.log)); err != nil {
		t.Fatal(err)
	}
	if r, code := f.verify("--strict"); code != exitOK || r.Logs != 1 || r.Batches != 7 {
		t.Errorf("through a link: exit code %d, %+v", code, r)
	}
	// Room that is reserved in the indexes of the segment that is appended to.
	for _, name := range []string{lastIndex, lastTimes} {
		f.change(name, func(b []byte) []byte { return append(b, make([]byte, 12*8)...) })
	}
	if r, code := f.verify("--strict"); code != exitOK {
		t.Errorf("exit code %d, %+v", code, r)
	}
}

// damages are what verify must find, and where.
var damages = []struct {
	name    string
	damage  func(f *fixture)
	file    string
	pos     func(f *fixture) int64
	why     string
	warning bool
}{
	{"a flipped bit in a record", func(f *fixture) {
		f.change(firstLog, func(b []byte) []byte { b[f.pos[0][1]+70] ^= 1; return b })
	}, firstLog, func(f *fixture) int64 { return f.pos[0][1] }, "CRC is", false},
	{"a flipped bit in a length", func(f *fixture) {
		f.change(firstLog, func(b []byte) []byte { b[f.pos[0][1]+8] ^= 1; return b })
	}, firstLog, func(f *fixture) int64 { return f.pos[0][1] }, "the next whole batch begins at byte", false},
	{"bytes between two batches", func(f *fixture) {
		f.change(firstLog, func(b []byte) []byte { return slices.Insert(b, int(f.pos[0][3]), []byte("not a batch at all")...) })
	}, firstLog, func(f *fixture) int64 { return f.pos[0][3] }, "magic", false},
	{"a batch that is missing", func(f *fixture) {
		f.change(firstLog, func(b []byte) []byte { return slices.Delete(b, int(f.pos[0][1]), int(f.pos[0][2])) })
	}, firstLog, func(f *fixture) int64 { return f.pos[0][1] }, "offsets 3-5 are missing before it", false},
	{"a batch that comes twice", func(f *fixture) {
		f.change(firstLog, func(b []byte) []byte {
			return slices.Insert(b, int(f.pos[0][1]), b[:f.pos[0][1]]...)
		})
	}, firstLog, func(f *fixture) int64 { return f.pos[0][1] }, "its offsets 0-2 are not behind those before it", false},
	{"an older epoch", func(f *fixture) {
		f.change(firstLog, func(b []byte) []byte { b[15] = 5; return b })
	}, firstLog, func(f *fixture) int64 { return f.pos[0][1] }, "leader epoch 0 comes after 5", false},
	{"more records announced than there are", func(f *fixture) {
		f.change(firstLog, func(b []byte) []byte {
			first := b[:f.pos[0][1]]
			first[60]++ // count
			first[26]++ // last offset delta
			reseal(first)
			return b
		})
	}, firstLog, at(0), "record 3", false},
	{"an end that is cut off, of a sealed segment", func(f *fixture) {
		f.change(firstLog, func(b []byte) []byte { return b[:len(b)-1] })
	}, firstLog, func(f *fixture) int64 { return f.pos[0][3] }, "truncated", false},
	{"an unfinished end", func(f *fixture) {
		f.change(lastLog, func(b []byte) []byte { return b[:len(b)-1] })
	}, lastLog, func(f *fixture) int64 { return f.pos[1][2] }, "cut off when it starts", true},
	{"an unfinished end after a clean stop", func(f *fixture) {
		f.write(".kafka_cleanshutdown", []byte(`{"version":0}`))
		f.change(lastLog, func(b []byte) []byte { return b[:len(b)-1] })
	}, lastLog, func(f *fixture) int64 { return f.pos[1][2] }, "truncated", false},
	{"an unfinished end below the recovery point", func(f *fixture) {
		f.write("recovery-point-offset-checkpoint", []byte("0\n1\norders 0 21\n"))
		f.change(lastLog, func(b []byte) []byte { return b[:len(b)-1] })
	}, lastLog, func(f *fixture) int64 { return f.pos[1][2] }, "truncated", false},
	{"zeros at the end", func(f *fixture) {
		f.change(firstLog, func(b []byte) []byte { return append(b, make([]byte, 100)...) })
	}, firstLog, func(f *fixture) int64 { return f.pos[0][3] + int64(len(fixtureBatch(9, batch.LZ4))) }, "100 bytes of zeros", false},
	{"zeros at the end, above the recovery point", func(f *fixture) {
		f.write("recovery-point-offset-checkpoint", []byte("0\n1\norders 0 12\n"))
		f.change(firstLog, func(b []byte) []byte { return append(b, make([]byte, 100)...) })
	}, firstLog, func(f *fixture) int64 { return f.pos[0][3] + int64(len(fixtureBatch(9, batch.LZ4))) }, "100 bytes of zeros", true},
	{"zeros at the end, above the recovery point after a clean stop", func(f *fixture) {
		f.write("recovery-point-offset-checkpoint", []byte("0\n1\norders 0 12\n"))
		f.write(".kafka_cleanshutdown", []byte(`{"version":0}`))
		f.change(firstLog, func(b []byte) []byte { return append(b, make([]byte, 100)...) })
	}, firstLog, func(f *fixture) int64 { return f.pos[0][3] + int64(len(fixtureBatch(9, batch.LZ4))) }, "100 bytes of zeros", false},
	{"a rolled segment whose end a crash has taken", func(f *fixture) {
		f.write("recovery-point-offset-checkpoint", []byte("0\n1\norders 0 5\n"))
		f.change(firstLog, func(b []byte) []byte { return b[:f.pos[0][3]] })
		for _, name := range []string{firstIndex, firstTimes} {
			f.change(name, func([]byte) []byte { return nil })
		}
	}, lastLog, at(0), "are missing before it", true},
	{"a segment that is missing", func(f *fixture) {
		f.segment(0, 15, 1)
		f.write("orders-0/"+lastLog, nil)
		f.write("orders-0/"+lastIndex, nil)
		f.write("orders-0/"+lastTimes, nil)
	}, "00000000000000000015.log", at(0), "offsets 12-14 are missing before it", false},
	{"an index entry that is off by one", func(f *fixture) {
		f.change(firstIndex, func(b []byte) []byte { b[8+3]--; return b })
	}, firstIndex, at(8), "ends with offset 7, and it ends with 8", true},
	{"an index entry that points between batches", func(f *fixture) {
		f.change(firstIndex, func(b []byte) []byte { b[8+7]--; return b })
	}, firstIndex, at(8), "where no batch begins", true},
	{"an index entry behind the end", func(f *fixture) {
		f.change(firstIndex, func(b []byte) []byte { return append(b, 0, 0, 0, 99, 0, 1, 0, 0) })
	}, firstIndex, at(24), "behind the last batch", true},
	{"half an index entry", func(f *fixture) {
		f.change(firstIndex, func(b []byte) []byte { return b[:len(b)-3] })
	}, firstIndex, at(16), "5 bytes are left over", true},
	{"index entries that do not ascend", func(f *fixture) {
		f.change(firstIndex, func(b []byte) []byte { return append(b, b[:8]...) })
	}, firstIndex, at(24), "does not ascend", true},
	{"room reserved in the index of a sealed segment", func(f *fixture) {
		f.change(firstIndex, func(b []byte) []byte { return append(b, make([]byte, 80)...) })
	}, firstIndex, at(24), "80 bytes of zeros", true},
	{"a wrong time", func(f *fixture) {
		f.change(firstTimes, func(b []byte) []byte { b[7]++; return b })
	}, firstTimes, at(0), "and it is", true},
	{"a snapshot's bit", func(f *fixture) {
		f.change("00000000000000000012.snapshot", func(b []byte) []byte { b[20] ^= 1; return b })
	}, "00000000000000000012.snapshot", at(2), "CRC is", false},
	{"a snapshot that a crash has torn", func(f *fixture) {
		f.write("orders-0/00000000000000000018.snapshot", nil)
	}, "00000000000000000018.snapshot", at(0), "0 bytes are less than a header", true},
	{"a checkpoint that is cut off", func(f *fixture) {
		f.write("orders-0/leader-epoch-checkpoint", []byte("0\n2\n0 0\n"))
	}, "leader-epoch-checkpoint", at(0), "2 entries are announced and 1 are there", false},
	{"a checkpoint with words", func(f *fixture) {
		f.write("orders-0/leader-epoch-checkpoint", []byte("0\n1\nzero 0\n"))
	}, "leader-epoch-checkpoint", at(4), `"zero" is no number`, false},
	{"a topic id that is none", func(f *fixture) {
		f.write("orders-0/partition.metadata", []byte("version: 0\ntopic_id: short"))
	}, "partition.metadata", at(0), `"short" is no topic id`, false},
	{"half an aborted transaction", func(f *fixture) {
		f.write("orders-0/00000000000000000000.txnindex", make([]byte, 40))
	}, "00000000000000000000.txnindex", at(34), "6 bytes are left over", true},
}

func at(pos int64) func(*fixture) int64 { return func(*fixture) int64 { return pos } }

func TestVerifyDamage(t *testing.T) {
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			c.damage(f)
			r, code := f.verify()
			want := exitCorrupt
			if c.warning {
				want = exitOK
				if _, code := f.verify("--strict"); code != exitCorrupt {
					t.Errorf("--strict: exit code %d, want %d", code, exitCorrupt)
				}
			}
			if code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
			if len(r.Findings) == 0 {
				t.Fatal("nothing was found")
			}
			got := r.Findings[0]
			if filepath.Base(got.Path) != c.file || got.Position != c.pos(f) || !strings.Contains(got.Why, c.why) || got.Warning != c.warning {
				t.Errorf("found %+v, want %q at %d in %s", got, c.why, c.pos(f), c.file)
			}
		})
	}
}

// TestVerifyGoesOn: behind damage everything else is still read.
func TestVerifyGoesOn(t *testing.T) {
	f := newFixture(t)
	f.change(firstLog, func(b []byte) []byte { b[f.pos[0][1]+70] ^= 1; return b })
	r, _ := f.verify()
	if r.Batches != 6 || r.Records != 18 || r.Damaged != 1 || !strings.HasSuffix(r.Findings[0].Why, "; offsets 3-5 are lost, the log can be read on from 6") {
		t.Errorf("%+v", r)
	}
}

func TestVerifyGaps(t *testing.T) {
	f := newFixture(t)
	f.change(firstLog, func(b []byte) []byte { return slices.Delete(b, int(f.pos[0][3]), len(b)) })
	for _, name := range []string{firstIndex, firstTimes} {
		f.write("orders-0/"+name, nil)
	}
	if r, code := f.verify(); code != exitCorrupt || r.Findings[0].Why != "offsets 9-11 are missing before it" {
		t.Errorf("exit code %d, %+v", code, r)
	}
	if r, code := f.verify("--allow-gaps", "--strict"); code != exitOK {
		t.Errorf("exit code %d, %+v", code, r)
	}
}

// TestVerifyBroker: what a broker leaves is whole.
func TestVerifyBroker(t *testing.T) {
	b := brokertest.Start(t)
	b.CreateTopic("lines", 2, "segment.bytes=1048576", "index.interval.bytes=0")
	env := []string{"BOBBIN_BROKERS=" + b.Addr()}
	for _, codec := range []string{"none", "zstd"} {
		must(t, env, strings.Repeat("a line of text\n", 20_000), "produce", "lines", "-z", codec, "--max-message-bytes", "20000")
	}
	b.Stop()
	if out := must(t, nil, "", "log", "verify", b.Dir(), "--strict"); !strings.Contains(out, " 0 damaged, 0 warnings") {
		t.Error(out)
	}
	if out := must(t, nil, "", "log", "inspect", b.Dir()); !strings.Contains(out, "lines-1") {
		t.Error(out)
	}
}

func TestInspect(t *testing.T) {
	f := newFixture(t)
	f.change(lastLog, func(b []byte) []byte { b[f.pos[1][1]+70] ^= 1; return b })
	for _, c := range []struct {
		name string
		code int
		args []string
	}{
		{"directory", exitCorrupt, []string{f.dir}},
		{"directory.json", exitCorrupt, []string{f.log, "-o", "json"}},
		{"batches", exitOK, []string{filepath.Join(f.log, firstLog)}},
		{"batches.json", exitOK, []string{filepath.Join(f.log, firstLog), "-o", "json", "--from", "4", "--to", "9"}},
		{"records", exitOK, []string{filepath.Join(f.log, firstLog), "--records", "--to", "6"}},
		{"records.json", exitOK, []string{filepath.Join(f.log, firstLog), "--records", "--from", "9", "-o", "json"}},
		{"damaged", exitCorrupt, []string{filepath.Join(f.log, lastLog), "-r"}},
		{"damaged.json", exitCorrupt, []string{filepath.Join(f.log, lastLog), "-o", "json"}},
		{"indexes", exitOK, []string{filepath.Join(f.log, firstIndex), filepath.Join(f.log, firstTimes)}},
		{"indexes.json", exitOK, []string{filepath.Join(f.log, firstIndex), filepath.Join(f.log, firstTimes), "-o", "json"}},
		{"others", exitOK, []string{filepath.Join(f.log, "00000000000000000012.snapshot"), filepath.Join(f.log, "leader-epoch-checkpoint"),
			filepath.Join(f.log, "partition.metadata"), filepath.Join(f.dir, "recovery-point-offset-checkpoint")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, append([]string{"log", "inspect"}, c.args...)...)
			if r.code != c.code {
				t.Errorf("exit code %d, want %d: %s", r.code, c.code, r.stderr)
			}
			golden(t, "inspect/"+c.name, strings.ReplaceAll(r.out, f.dir, "DIR"))
		})
	}
}

// FuzzSegmentScan: no bytes make the scan panic or loop, and what it returns
// are whole batches that ascend.
func FuzzSegmentScan(f *testing.F) {
	whole := append(fixtureBatch(0, batch.None), fixtureBatch(3, batch.Gzip)...)
	f.Add([]byte(whole))
	f.Add([]byte(whole[1:]))
	f.Add([]byte(whole[:len(whole)-1]))
	f.Add(slices.Insert(slices.Clone([]byte(whole)), 50, make([]byte, 100)...))
	path := filepath.Join(f.TempDir(), firstLog)
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		v := &verifier{}
		v.report.Findings = []finding{}
		if err := v.file(path); err != nil {
			t.Fatal(err)
		}
		if v.report.Records > 0 && v.report.Batches == 0 || v.report.Bytes != int64(len(content)) {
			t.Errorf("%+v", v.report)
		}
	})
}
