package vfs_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// Each test here holds one sentence of the fault model in the comment on Mem.

const block = 512

// outcomes crashes mem with many seeds and returns what look sees, counted.
func outcomes(mem *vfs.Mem, look func(after *vfs.Mem) string) map[string]int {
	seen := map[string]int{}
	for seed := range uint64(400) {
		seen[look(mem.Crash(rand.New(rand.NewPCG(seed, 1)), 50))]++
	}
	return seen
}

// wantOutcomes wants exactly these outcomes, each at least a few times.
func wantOutcomes(t *testing.T, seen map[string]int, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, want) {
		t.Fatalf("crashes left %q, want %q", got, want)
	}
	for outcome, n := range seen {
		if n < 5 {
			t.Errorf("%q came %d times only", outcome, n)
		}
	}
}

// brief words a content of whole blocks by their first bytes, "0" for a zero
// one and "?" for a torn one.
func brief(content string) string {
	var out strings.Builder
	for b := range slices.Chunk([]byte(content), block) {
		switch {
		case string(b) != strings.Repeat(string(b[:1]), len(b)):
			out.WriteByte('?')
		case b[0] == 0:
			out.WriteByte('0')
		default:
			out.WriteByte(b[0])
		}
	}
	return out.String()
}

func blocks(letters string) string {
	var out strings.Builder
	for _, l := range letters {
		out.WriteString(strings.Repeat(string(l), block))
	}
	return out.String()
}

// synced makes a durable file of these blocks.
func synced(t *testing.T, mem *vfs.Mem, name, letters string) vfs.File {
	t.Helper()
	f := create(t, mem, name, blocks(letters))
	ok(t, errors.Join(f.Sync(), mem.SyncDir("/")))
	return f
}

func briefOf(t *testing.T, name string) func(*vfs.Mem) string {
	return func(m *vfs.Mem) string { return brief(read(t, m, name)) }
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	mem := vfs.NewMem()
	f := synced(t, mem, "/a", "ab")
	write(t, f, blocks("cd"), block)
	ok(t, create(t, mem, "/new", "x").Close())
	before, after := mem.Crash(nil, 0), mem.Crash(nil, 100)
	if got := briefOf(t, "/a")(before) + " " + list(t, before, "/"); got != "ab a" {
		t.Errorf("keeping nothing left %q", got)
	}
	if got := briefOf(t, "/a")(after) + " " + list(t, after, "/"); got != "acd a new" {
		t.Errorf("keeping everything left %q", got)
	}
	if got := briefOf(t, "/a")(mem); got != "acd" {
		t.Errorf("the source became %q", got)
	}
}

func TestCrashBlocksSurviveByThemselves(t *testing.T) {
	mem := vfs.NewMem()
	f := synced(t, mem, "/a", "abc")
	write(t, f, blocks("A"), 0)
	write(t, f, blocks("C"), 2*block)
	wantOutcomes(t, outcomes(mem, briefOf(t, "/a")), "abc", "Abc", "abC", "AbC")
}

func TestCrashBlocksAreNeverTorn(t *testing.T) {
	mem := vfs.NewMem()
	f := synced(t, mem, "/a", "ab")
	write(t, f, "XX", block-1) // the end of one and the start of the next
	look := func(m *vfs.Mem) string { return read(t, m, "/a")[block-1 : block+1] }
	wantOutcomes(t, outcomes(mem, look), "ab", "Xb", "aX", "XX")
}

func TestCrashLosesIntermediateStates(t *testing.T) {
	mem := vfs.NewMem()
	f := synced(t, mem, "/a", "a")
	for _, letter := range "bcd" {
		write(t, f, blocks(string(letter)), 0)
	}
	wantOutcomes(t, outcomes(mem, briefOf(t, "/a")), "a", "d")
}

func TestCrashLostBlocksInAKeptLengthAreZeros(t *testing.T) {
	mem := vfs.NewMem()
	f := synced(t, mem, "/a", "")
	ok(t, f.Truncate(2*block))
	ok(t, f.Sync())
	write(t, f, blocks("xy"), 0)
	wantOutcomes(t, outcomes(mem, briefOf(t, "/a")), "00", "x0", "0y", "xy")
}

func TestCrashLengthIsOnItsOwn(t *testing.T) {
	mem := vfs.NewMem()
	f := synced(t, mem, "/a", "a")
	write(t, f, blocks("b"), block)
	kinds := outcomes(mem, func(m *vfs.Mem) string {
		switch content := read(t, m, "/a"); {
		case content == blocks("a"):
			return "old length"
		case content == blocks("ab"):
			return "new length, kept block"
		case content == blocks("a")+strings.Repeat("\x00", block):
			return "new length, lost block"
		case strings.HasPrefix(blocks("ab"), content):
			return "length between, kept block"
		case strings.Trim(content[block:], "\x00") == "":
			return "length between, lost block"
		default:
			return fmt.Sprintf("garbage %q", content)
		}
	})
	wantOutcomes(t, kinds, "old length", "new length, kept block", "new length, lost block",
		"length between, kept block", "length between, lost block")
}

func TestCrashNoBytesPastALostLength(t *testing.T) {
	mem := vfs.NewMem()
	f := synced(t, mem, "/a", "")
	write(t, f, "abc", 0)
	ok(t, f.Sync())
	write(t, f, "def", 3)
	wantOutcomes(t, outcomes(mem, func(m *vfs.Mem) string {
		g := must(m.Open("/a"))(t)
		size := must(g.Size())(t)
		ok(t, g.Truncate(6)) // would show what was left behind
		return strings.Trim(contentOf(t, g)[size:], "\x00")
	}), "")
}

func TestCrashUndoesTruncate(t *testing.T) {
	for _, size := range []int64{0, block, 2 * block, 100 * block} {
		mem := vfs.NewMem()
		before := strings.Repeat("abcd", 50) // 200 blocks, several chunks
		f := synced(t, mem, "/a", before)
		ok(t, f.Truncate(size))
		wantOutcomes(t, outcomes(mem, func(m *vfs.Mem) string {
			got := briefOf(t, "/a")(m)
			if len(got) != len(before) {
				return fmt.Sprint(got == before[:size/block])
			}
			return strings.Trim(got, "abcd0") // each block as it was, or as truncated
		}), "", "true")
		if got := briefOf(t, "/a")(mem.Crash(nil, 0)); got != before {
			t.Errorf("truncated to %d: unsynced, the file became %q", size, got)
		}
		ok(t, f.Sync())
		if got := briefOf(t, "/a")(mem.Crash(nil, 0)); got != before[:size/block] {
			t.Errorf("truncated to %d: synced, the file became %q", size, got)
		}
	}
}

func TestCrashMappedStores(t *testing.T) {
	mem := vfs.NewMem()
	f := synced(t, mem, "/a", "ab")
	m := must(f.Map(2 * block))(t)
	copy(m.Bytes(), blocks("A"))
	wantOutcomes(t, outcomes(mem, briefOf(t, "/a")), "ab", "Ab")
	ok(t, m.Flush())
	wantOutcomes(t, outcomes(mem, briefOf(t, "/a")), "Ab")
	copy(m.Bytes()[block:], blocks("B"))
	wantOutcomes(t, outcomes(mem, briefOf(t, "/a")), "Ab", "AB")
	ok(t, f.Sync())
	wantOutcomes(t, outcomes(mem, briefOf(t, "/a")), "AB")
	copy(m.Bytes(), blocks("x"))
	ok(t, m.Unmap()) // flushes nothing
	wantOutcomes(t, outcomes(mem, briefOf(t, "/a")), "AB", "xB")
	ok(t, f.Sync())
	wantOutcomes(t, outcomes(mem, briefOf(t, "/a")), "xB")
}

func TestCrashLeavesTheMappingAlone(t *testing.T) {
	mem := vfs.NewMem()
	m := must(synced(t, mem, "/a", "ab").Map(2 * block))(t)
	after, killed := mem.Crash(nil, 100), mem.Kill()
	copy(m.Bytes(), blocks("AB"))
	for _, clone := range []*vfs.Mem{after, killed} {
		if got := briefOf(t, "/a")(clone); got != "ab" {
			t.Fatalf("a store after the crash is in its disk: %q", got)
		}
	}
}

func TestCrashIsDeterministic(t *testing.T) {
	disk := func(seed uint64) string {
		mem := vfs.NewMem()
		var out strings.Builder
		for i := range 30 {
			name := fmt.Sprintf("/%d", i)
			ok(t, mem.MkdirAll(name))
			f := create(t, mem, name+"/a", blocks("abcde"))
			create(t, mem, name+"/b", "x")
			ok(t, f.Sync())
			write(t, f, blocks("ABC"), block)
		}
		after := mem.Crash(rand.New(rand.NewPCG(seed, 0)), 50)
		for i := range 30 {
			for _, file := range []string{"/a", "/b"} {
				out.WriteString(read(t, after, fmt.Sprintf("/%d", i)+file) + "\n")
			}
		}
		return out.String()
	}
	first, again := disk(1), disk(1)
	if first != again {
		t.Error("the same seed left two disks")
	}
	if first == disk(2) {
		t.Error("two seeds left the same disk")
	}
}

// Whoever holds a mapping stores without a lock. Beside Sync, reads and crashes
// that is no data race of the store's side, as it is none with real memory.
func TestMappedStoresBesideEverything(t *testing.T) {
	mem := vfs.NewMem()
	f := synced(t, mem, "/a", strings.Repeat("a", 200))
	m := must(f.Map(150 * block))(t)
	stop := make(chan bool)
	var wg sync.WaitGroup
	for _, beside := range []func(){
		func() { ok(t, f.Sync()) },
		func() { ok(t, m.Flush()) },
		func() { contentOf(t, f) },
		func() { mem.Crash(rand.New(rand.NewPCG(1, 1)), 50) },
		func() { mem.Kill() },
		func() { write(t, f, "beside", 190*block) },
	} {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					beside()
				}
			}
		})
	}
	for i := range 100_000 {
		m.Bytes()[i%len(m.Bytes())] = byte(i)
	}
	close(stop)
	wg.Wait()
	last := m.Bytes()[0]
	ok(t, m.Flush())
	if got := read(t, mem.Crash(nil, 0), "/a"); got[0] != last {
		t.Fatalf("the last store is lost: %q, want %q", got[0], last)
	}
}

// A crash is one instant for all files: what was synced before a later write
// began is never missing beside that write.
func TestCrashIsOneInstant(t *testing.T) {
	mem := vfs.NewMem()
	first, second := synced(t, mem, "/1", ""), synced(t, mem, "/2", "")
	done := make(chan bool)
	go func() {
		defer close(done)
		for i := range int64(2000) {
			write(t, first, "x", i)
			ok(t, first.Sync())
			write(t, second, "x", i)
			ok(t, second.Sync())
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		after := mem.Crash(nil, 0)
		if a, b := len(read(t, after, "/1")), len(read(t, after, "/2")); a < b || a > b+1 {
			t.Fatalf("the files have %d and %d bytes", a, b)
		}
	}
}

// Contents of several chunks, where whole chunks are replaced at once.
func TestCrashOfWholeChunks(t *testing.T) {
	mem := vfs.NewMem()
	before, after := strings.Repeat("abcd", 75), strings.Repeat("ABCD", 75)
	f := synced(t, mem, "/a", before)
	write(t, f, blocks(after), 0)
	if got := briefOf(t, "/a")(mem.Crash(nil, 0)); got != before {
		t.Errorf("unsynced, the crash left %q", got)
	}
	ok(t, f.Sync())
	if got := briefOf(t, "/a")(mem.Crash(nil, 0)); got != after {
		t.Errorf("synced, the crash left %q", got)
	}
}
