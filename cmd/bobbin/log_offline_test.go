package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/protocol/brokertest"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// copyOut puts what a file system in memory has on the disk.
func copyOut(t *testing.T, mem *vfs.Mem, from, to string) {
	t.Helper()
	entries, err := mem.ReadDir(from)
	if err == nil {
		err = os.MkdirAll(to, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			copyOut(t, mem, path.Join(from, e.Name()), filepath.Join(to, e.Name()))
			continue
		}
		b, err := vfs.ReadFile(mem, path.Join(from, e.Name()), 1<<30)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, e.Name()), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// journalDirectory is what a loss of power leaves of two logs, one with the policy
// journal: 40 records each, all acknowledged.
func journalDirectory(t *testing.T) string {
	t.Helper()
	mem := vfs.NewMem()
	s, err := engine.OpenStore(engine.StoreOptions{FS: mem, Dir: "/data", NodeID: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, policy := range map[string]string{"journal-0": "journal", "always-0": "always"} {
		c := engine.DefaultConfig()
		c.Design.Sync = policy
		l, err := s.Create(name, engine.LogOptions{Config: c, TopicID: [16]byte{1: 1, 15: byte(len(name))}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			spec := batch.Of(batch.Record{Timestamp: 1, Value: fmt.Appendf(nil, "value %d", i)}, batch.Record{Timestamp: 2, Value: make([]byte, 300)})
			set, err := batch.Parse(spec.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			a, err := l.Append(set, 0)
			if err == nil {
				err = l.Wait(t.Context(), a.Next)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	dir := t.TempDir()
	copyOut(t, mem.Crash(rand.New(rand.NewPCG(1, 1)), 0), "/data", dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func upTo(n int64) (all []int64) {
	for o := range n {
		all = append(all, o)
	}
	return all
}

// What only the journal has is told of by verify, shown by inspect, and in what
// export and repair make.
func TestOfflineJournal(t *testing.T) {
	dir := journalDirectory(t)
	log := filepath.Join(dir, "journal-0")
	if got := offsets(t, log); len(got) != 0 {
		t.Fatalf("the segments have %d records already", len(got))
	}
	for _, path := range []string{dir, log} {
		v := run(t, "log", "verify", path, "-o", "json")
		var r verifyReport
		if err := json.Unmarshal([]byte(v.out), &r); err != nil {
			t.Fatal(err)
		}
		if v.code != exitOK || r.JournalOffsets != 40 || r.JournalBytes == 0 || len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Why, "offsets 0-39 are only in the journal") {
			t.Errorf("verify %s: code %d, %+v", path, v.code, r)
		}
	}
	if v := run(t, "log", "verify", dir, "--strict"); v.code != exitCorrupt {
		t.Errorf("verify --strict: code %d", v.code)
	}
	if i := run(t, "log", "inspect", dir); i.code != exitOK || !strings.Contains(i.out, "journal  ") || !strings.Contains(i.out, filepath.Join(dir, "journal", "0000")) {
		t.Errorf("inspect: code %d\n%s%s", i.code, i.out, i.stderr)
	}
	files, err := filepath.Glob(filepath.Join(dir, "journal", "*.journal"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	if i := run(t, "log", "inspect", files[0]); i.code != exitOK || strings.Count(i.out, "journal-0") != 20 {
		t.Errorf("inspect %s: code %d\n%s%s", files[0], i.code, i.out, i.stderr)
	}
	before := tree(t, dir)
	to := filepath.Join(t.TempDir(), "out")
	if x := run(t, "log", "export", dir, to); x.code != exitOK || strings.Contains(x.out, " 0.00 MB of it from the journal") {
		t.Errorf("export: code %d\n%s%s", x.code, x.out, x.stderr)
	}
	for _, name := range []string{"journal-0", "always-0"} {
		if got := offsets(t, filepath.Join(to, name)); !slices.Equal(got, upTo(40)) {
			t.Errorf("exported of %s are %v", name, got)
		}
	}
	if v := run(t, "log", "verify", to, "--strict"); v.code != exitOK {
		t.Errorf("verify what was exported: code %d\n%s", v.code, v.out)
	}
	if r := run(t, "log", "repair", dir, "--dry-run"); r.code != exitOK || !strings.Contains(r.out, "offsets up to 39 are only in the journal, from 0 on") {
		t.Errorf("repair --dry-run: code %d\n%s%s", r.code, r.out, r.stderr)
	}
	after := tree(t, dir)
	for name := range before {
		if name != ".lock" && before[name] != after[name] {
			t.Errorf("%s was changed by who only looks", name)
		}
	}
	if r := run(t, "log", "repair", dir, "--log", "always-0", "--yes"); r.code != exitOK {
		t.Errorf("repair of the other log: code %d\n%s", r.code, r.stderr)
	}
	if r := run(t, "log", "repair", dir, "--yes"); r.code != exitOK {
		t.Errorf("repair: code %d\n%s", r.code, r.stderr)
	}
	if got := offsets(t, log); !slices.Equal(got, upTo(40)) {
		t.Errorf("after a repair the segments have %v", got)
	}
	if v := run(t, "log", "verify", dir, "--strict"); v.code != exitOK {
		t.Errorf("verify what was repaired: code %d\n%s", v.code, v.out)
	}
}

// A journal that has lost what was acknowledged is damage, and nobody passes it
// without being told to.
func TestOfflineJournalDamaged(t *testing.T) {
	dir := journalDirectory(t)
	files, err := filepath.Glob(filepath.Join(dir, "journal", "*.journal"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	raw[4096+100] ^= 1 // in the second group
	if err := os.WriteFile(files[0], raw, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", dir}, {"inspect", dir}, {"repair", dir, "--yes"}, {"export", dir, filepath.Join(t.TempDir(), "a")}} {
		if r := run(t, append([]string{"log"}, args...)...); r.code != exitCorrupt || !strings.Contains(r.out+r.stderr, "is not whole, and was acknowledged") {
			t.Errorf("%v: code %d\n%s%s", args, r.code, r.out, r.stderr)
		}
	}
	to := filepath.Join(t.TempDir(), "b")
	if r := run(t, "log", "export", dir, to, "--leave-out-damage"); r.code != exitOK {
		t.Errorf("export --leave-out-damage: code %d\n%s", r.code, r.stderr)
	}
	if got := offsets(t, filepath.Join(to, "always-0")); !slices.Equal(got, upTo(40)) {
		t.Errorf("exported of the other log are %v", got)
	}
}

// A segment that is shorter than the journal's first run begins has lost what was
// durable.
func TestOfflineJournalGap(t *testing.T) {
	dir := journalDirectory(t)
	files, _ := filepath.Glob(filepath.Join(dir, "journal", "*.journal"))
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	// The first group goes: what is left is an unbroken run, and begins too late.
	if err := os.WriteFile(files[0], append(make([]byte, 4096), raw[4096:]...), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := run(t, "log", "verify", dir); r.code != exitCorrupt {
		t.Errorf("verify: code %d\n%s%s", r.code, r.out, r.stderr)
	}
}

// withoutBatch takes the n-th batch out of a segment, and its indexes away.
func withoutBatch(t *testing.T, path string, n int) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := int64(0)
	for range n {
		at += batch.Batch(raw[at:]).Size()
	}
	raw = slices.Delete(raw, int(at), int(at+batch.Batch(raw[at:]).Size()))
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{".index", ".timeindex"} {
		_ = os.Remove(strings.TrimSuffix(path, ".log") + suffix)
	}
}

// Where offsets may be missing is known from our metadata, from Kafka's, and from
// the cleaner's checkpoint; elsewhere they are missed.
func TestVerifyKnowsCompacted(t *testing.T) {
	b := brokertest.Start(t)
	b.CreateTopic("kept", 1)
	b.CreateTopic("compacted", 1, "cleanup.policy=compact")
	env := []string{"BOBBIN_BROKERS=" + b.Addr()}
	for _, topic := range []string{"kept", "compacted"} {
		for range 3 {
			must(t, env, "k\tv\n", "produce", topic, "-f", "%k\t%v\n")
		}
	}
	running := run(t, "log", "verify", b.Dir())
	if running.code != exitOK || !strings.Contains(running.out, "a broker has it open") {
		t.Errorf("while the broker runs: code %d\n%s", running.code, running.out)
	}
	for _, args := range [][]string{{"repair", b.Dir(), "--yes"}, {"export", b.Dir(), filepath.Join(t.TempDir(), "x")}} {
		if r := run(t, append([]string{"log"}, args...)...); r.code != exitError || !strings.Contains(r.stderr, "while a broker has it open") {
			t.Errorf("%v while the broker runs: code %d\n%s%s", args, r.code, r.out, r.stderr)
		}
	}
	b.Stop()
	if r := run(t, "log", "verify", b.Dir(), "--strict"); r.code != exitOK {
		t.Fatalf("code %d\n%s", r.code, r.out)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(b.Dir())); err != nil {
		t.Fatal(err)
	}
	withoutBatch(t, filepath.Join(dir, "compacted-0", firstLog), 1)
	for _, path := range []string{dir, filepath.Join(dir, "compacted-0"), filepath.Join(dir, "compacted-0", firstLog)} {
		if r := run(t, "log", "verify", path, "--strict"); r.code != exitOK {
			t.Errorf("compacted, %s: code %d\n%s", path, r.code, r.out)
		}
	}
	alone := filepath.Join(t.TempDir(), "copy", "compacted-0")
	if err := os.CopyFS(alone, os.DirFS(filepath.Join(dir, "compacted-0"))); err != nil {
		t.Fatal(err)
	}
	if r := run(t, "log", "verify", alone); r.code != exitCorrupt {
		t.Errorf("a log alone: code %d\n%s", r.code, r.out)
	}
	if r := run(t, "log", "verify", alone, "--allow-gaps", "--strict"); r.code != exitOK {
		t.Errorf("a log alone, with the flag: code %d\n%s", r.code, r.out)
	}
	withoutBatch(t, filepath.Join(dir, "kept-0", firstLog), 1)
	if r := run(t, "log", "verify", dir); r.code != exitCorrupt || !strings.Contains(r.out, "offsets 1-1 are missing") {
		t.Errorf("a real gap: code %d\n%s", r.code, r.out)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(nameCleaned, "0\n1\nkept 0 2\n") // as of a topic that was compacted before
	if r := run(t, "log", "verify", dir, "--strict"); r.code != exitOK {
		t.Errorf("a gap in what was compacted: code %d\n%s", r.code, r.out)
	}
	to := filepath.Join(t.TempDir(), "out")
	if r := run(t, "log", "export", dir, to); r.code != exitOK {
		t.Errorf("export: code %d\n%s", r.code, r.stderr)
	}
	if r := run(t, "log", "verify", filepath.Join(to, "kept-0"), "--strict"); r.code != exitOK {
		t.Errorf("a gap in what was compacted, exported: code %d\n%s", r.code, r.out)
	}
	write(nameCleaned, "0\n1\nkept 0 1\n")
	if r := run(t, "log", "verify", dir); r.code != exitCorrupt {
		t.Errorf("a gap behind what was compacted: code %d\n%s", r.code, r.out)
	}
	if err := os.WriteFile(filepath.Join(dir, "__bobbin_metadata-0", "00000000000000000001.log"), []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := run(t, "log", "verify", dir); r.code != exitCorrupt || !strings.Contains(r.out, "00000000000000000001.log") {
		t.Errorf("with metadata that are damaged: code %d\n%s%s", r.code, r.out, r.stderr)
	}
}

func TestVerifyKnowsKafka(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"00000000000000000000.log", "00000000000000000000-0000000000.checkpoint"} {
		b, err := os.ReadFile("../../replication/kraft/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		f.write("__cluster_metadata-0/"+name, b)
	}
	withoutBatch(t, filepath.Join(f.log, firstLog), 1)
	for name, code := range map[string]int{"compacted-0": exitOK, "codec-none-0": exitCorrupt} {
		if err := os.Rename(f.log, filepath.Join(f.dir, name)); err != nil {
			t.Fatal(err)
		}
		f.log = filepath.Join(f.dir, name)
		if r := run(t, "log", "verify", f.log); r.code != code {
			t.Errorf("%s: code %d, want %d\n%s%s", name, r.code, code, r.out, r.stderr)
		}
	}
}

// transactional is a log of one segment: producer 1 commits 0 and aborts 2, 3,
// producer 2 aborts 4.
//
//	0 data 1 │ 1 commit 1 │ 2 data 1 │ 3 data 1 │ 4 data 2 │ 5 abort 1 │ 6 abort 2
func transactional(t *testing.T, entries ...[4]int64) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir()}
	f.log = filepath.Join(f.dir, "orders-0")
	f.write("meta.properties", []byte("version=1\nnode.id=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\n"))
	f.write(nameClean, []byte(`{"version":0}`))
	f.write("orders-0/partition.metadata", []byte("version: 0\ntopic_id: AAAAAAAAQAAAAAAAAAAAAQ"))
	f.write("orders-0/leader-epoch-checkpoint", []byte("0\n1\n0 0\n"))
	var log []byte
	add := func(producer int64, sequence int32, control bool, r batch.Record) {
		s := batch.Of(r)
		s.BaseOffset, s.LeaderEpoch = int64(len(f.pos[0])), 0
		s.ProducerID, s.ProducerEpoch, s.BaseSequence, s.Transactional, s.Control = producer, 0, sequence, true, control
		f.pos[0] = append(f.pos[0], int64(len(log)))
		log = append(log, s.Bytes()...)
	}
	data := batch.Record{Timestamp: fixtureTime, Key: []byte("k"), Value: []byte("v")}
	add(1, 0, false, data)
	add(1, -1, true, batch.Marker(batch.Commit, 0, fixtureTime))
	add(1, 1, false, data)
	add(1, 2, false, data)
	add(2, 0, false, data)
	add(1, -1, true, batch.Marker(batch.Abort, 0, fixtureTime))
	add(2, -1, true, batch.Marker(batch.Abort, 0, fixtureTime))
	f.write("orders-0/"+firstLog, log)
	var index []byte
	for _, e := range entries {
		index = binary.BigEndian.AppendUint16(index, 0)
		for _, n := range e {
			index = binary.BigEndian.AppendUint64(index, uint64(n))
		}
	}
	if len(index) > 0 {
		f.write("orders-0/00000000000000000000.txnindex", index)
	}
	return f
}

// An index of aborted transactions that says something else than the log is found,
// and repaired.
func TestVerifyAborted(t *testing.T) {
	right := [][4]int64{{1, 2, 5, 4}, {2, 4, 6, 7}}
	for _, c := range []struct {
		name    string
		entries [][4]int64
		gaps    bool
		why     string // "": nothing is wrong
	}{
		{"right", right, false, ""},
		{"no index", nil, false, "it has no entry for the transaction of producer 1 that was aborted at offset 5"},
		{"an entry is missing", right[:1], false, "it has no entry for the transaction of producer 2 that was aborted at offset 6"},
		{"another producer's", [][4]int64{{1, 2, 5, 4}, {3, 4, 6, 7}}, false, "it has no entry for the transaction of producer 2"},
		{"one begins too late", [][4]int64{{1, 3, 5, 4}, right[1]}, false, "began at 3, and it began at 2"},
		{"one begins too early", [][4]int64{right[0], {2, 3, 6, 7}}, false, "began at 3, and it began at 4"},
		{"one begins in what was committed", [][4]int64{{1, 0, 5, 4}, right[1]}, true, "began at 0, and it began at 2"},
		{"one begins where compaction took records", [][4]int64{right[0], {2, 3, 6, 7}}, true, ""},
		{"one of nothing", append(right[:2:2], [4]int64{9, 1, 3, 4}), false, "where the log has no marker of that"},
		{"one of a commit", append(right[:2:2], [4]int64{1, 0, 1, 2}), false, "where the log has no marker of that"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := transactional(t, c.entries...)
			var flags []string
			if c.gaps {
				flags = []string{"--allow-gaps"}
			}
			r, code := f.verify(flags...)
			if c.why == "" {
				if code != exitOK || len(r.Findings) > 0 {
					t.Errorf("code %d, %+v", code, r.Findings)
				}
				return
			}
			if code != exitCorrupt || len(r.Findings) == 0 || !strings.Contains(r.Findings[0].Why, c.why) || filepath.Base(r.Findings[0].Path) != "00000000000000000000.txnindex" {
				t.Fatalf("code %d, %+v", code, r.Findings)
			}
			if dry := run(t, "log", "repair", f.dir, "--dry-run"); dry.code != exitCorrupt || !strings.Contains(dry.out, r.Findings[0].Why) && !c.gaps {
				t.Errorf("dry run: code %d\n%s%s", dry.code, dry.out, dry.stderr)
			}
			if done := run(t, "log", "repair", f.dir, "--yes"); done.code != exitOK {
				t.Errorf("repair: code %d\n%s", done.code, done.stderr)
			}
			if r, code := f.verify("--strict"); code != exitOK {
				t.Errorf("after the repair: code %d, %+v", code, r.Findings)
			}
		})
	}
}

// Whatever a file of a data directory has become, the commands say what they think
// of it, and end with one of their codes.
func TestOfflineAnyDamage(t *testing.T) {
	whole := journalDirectory(t)
	for name, content := range tree(t, transactional(t, [4]int64{1, 2, 5, 4}, [4]int64{2, 4, 6, 7}).dir) {
		if name == "meta.properties" || name == nameClean {
			continue
		}
		if err := os.MkdirAll(filepath.Join(whole, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(whole, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var rng *rand.Rand // begins anew with each file: their order is not always the same
	damages := map[string]func([]byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"half":    func(b []byte) []byte { return b[:len(b)/2] },
		"zeros":   func(b []byte) []byte { return make([]byte, len(b)) },
		"flip":    func(b []byte) []byte { b[rng.IntN(len(b))] ^= 1 << rng.IntN(8); return b },
		"longer":  func(b []byte) []byte { return append(b, "not of this file"...) },
		"garbage": func(b []byte) []byte { return []byte(strings.Repeat("\xff\x00garbage ", 20)) },
	}
	for name, content := range tree(t, whole) {
		if len(content) == 0 || name == ".lock" {
			continue
		}
		rng = rand.New(rand.NewPCG(7, uint64(crc32.ChecksumIEEE([]byte(name)))))
		for what, damage := range damages {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, name)
			if err := os.WriteFile(file, damage([]byte(content)), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"verify", dir, "-o", "json"}, {"inspect", dir}, {"inspect", file}, {"inspect", file, "-o", "json"}, {"inspect", file, "--records"},
				{"repair", dir, "--dry-run", "-o", "json"}, {"export", dir, filepath.Join(dir, "out"), "--leave-out-damage"}, {"repair", dir, "--yes"},
			} {
				r := run(t, append([]string{"log"}, args...)...)
				if r.code != exitOK && r.stderr == "" && r.out == "" || r.code > exitCorrupt {
					t.Errorf("%s, %s: %v ends with %d and says nothing", name, what, args, r.code)
				}
				if args[0] == "verify" && r.code != exitError && !json.Valid([]byte(r.out)) {
					t.Errorf("%s, %s: %s", name, what, r.out)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "meta.properties")); err != nil {
				t.Error(err)
			}
		}
	}
}

// A log that ends at a batch's end, and before what was durable, has lost it
// without a trace. A repair keeps others from getting its offsets.
func TestOfflineEndLost(t *testing.T) {
	f := newFixture(t)
	f.write(namePoints, []byte("0\n1\norders 0 21\n"))
	if _, code := f.verify("--strict"); code != exitOK {
		t.Fatalf("code %d", code)
	}
	f.change(lastLog, func(b []byte) []byte { return b[:f.pos[1][2]] })
	for _, name := range []string{lastIndex, lastTimes} {
		f.change(name, func(b []byte) []byte { return b[:len(b)/2] })
	}
	if r, code := f.verify(); code != exitCorrupt || !strings.Contains(r.Findings[0].Why, "the log ends before offset 18, and was durable up to 20") {
		t.Errorf("code %d, %+v", code, r.Findings)
	}
	if r := run(t, "log", "repair", f.dir, "--yes"); r.code != exitOK {
		t.Errorf("repair: code %d\n%s", r.code, r.stderr)
	}
	if got := offsets(t, f.log); !slices.Equal(got, upTo(18)) {
		t.Errorf("the log has %v", got)
	}
	if r, code := f.verify("--strict"); code != exitOK {
		t.Errorf("after the repair: code %d, %+v", code, r.Findings)
	}
	scan, err := openSegment(filepath.Join(f.log, lastLog), 12)
	if err != nil {
		t.Fatal(err)
	}
	defer scan.close()
	for err == nil {
		_, err = scan.read()
	}
	if scan.next != 21 {
		t.Errorf("the next record gets offset %d, want 21", scan.next)
	}
	if err := os.RemoveAll(f.log); err != nil {
		t.Fatal(err)
	}
	f.write("orders-0/partition.metadata", []byte("version: 0\ntopic_id: AAAAAAAAQAAAAAAAAAAAAQ"))
	if r, code := f.verify(); code != exitOK || len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Why, "it has no segment, and was durable up to offset 20") {
		t.Errorf("without a segment: code %d, %+v", code, r.Findings)
	}
}

// What is no stored data is not taken for whole data.
func TestOfflineNothing(t *testing.T) {
	empty := t.TempDir()
	other := filepath.Join(empty, "notes.txt")
	if err := os.WriteFile(other, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{exitUsage, "no data directory and no log", []string{"verify", empty}},
		{exitUsage, "no data directory and no log", []string{"inspect", empty}},
		{exitUsage, "no data directory", []string{"repair", empty}},
		{exitUsage, "no data directory", []string{"export", empty, out}},
		{exitError, "no such file", []string{"verify", empty + "/x"}},
		{exitError, "no such file", []string{"inspect", empty + "/x"}},
		{exitError, "no such file", []string{"repair", empty + "/x"}},
		{exitError, "no such file", []string{"export", empty + "/x", out}},
		{exitUsage, "no file that can be verified", []string{"verify", other}},
		{exitUsage, "no file that can be decoded", []string{"inspect", other}},
	} {
		if r := run(t, append([]string{"log"}, c.args...)...); r.code != c.code || !strings.Contains(r.stderr, c.says) {
			t.Errorf("%v: code %d, want %d and %q\n%s%s", c.args, r.code, c.code, c.says, r.out, r.stderr)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("an export of nothing has left a directory")
	}
	if entries, _ := os.ReadDir(empty); len(entries) != 1 {
		t.Errorf("what was only looked at has %v now", entries)
	}
}

// What a broker that runs replaces while it is looked at is looked at again, and
// what was found of the old is forgotten.
func TestVerifyWhileItChanges(t *testing.T) {
	f := newFixture(t)
	l, err := readStoredLog(f.log)
	if err != nil {
		t.Fatal(err)
	}
	before := l.files()
	f.change(firstLog, func(b []byte) []byte { return b })
	if !slices.EqualFunc(before, l.files(), os.SameFile) {
		t.Error("what was only written to is another file")
	}
	path := filepath.Join(f.log, firstLog)
	if err := os.WriteFile(path+".swap", fixtureBatch(9, batch.None), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".swap", path); err != nil {
		t.Fatal(err)
	}
	if slices.EqualFunc(before, l.files(), os.SameFile) {
		t.Error("what compaction has replaced is taken for the same file")
	}
	// A listing that is old by now is not believed: neither its segment that is
	// gone, nor that it has another one.
	f.write(".lock", nil)
	lock, err := vfs.OS{}.Lock(filepath.Join(f.dir, ".lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	v := &verifier{gaps: true}
	l.segments = append(l.segments, storedSegment{base: 3, path: filepath.Join(f.log, "gone.log")})
	if err := v.log(l, f.dir); err != nil || v.report.Logs != 1 || v.report.Segments != 2 {
		t.Errorf("%v, %+v", err, v.report)
	}
	if err := os.RemoveAll(f.log); err != nil {
		t.Fatal(err)
	}
	if err := v.log(l, f.dir); err != nil || v.report.Logs != 1 {
		t.Errorf("a log that was deleted: %v, %+v", err, v.report)
	}
}
