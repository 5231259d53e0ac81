package fuzz_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
)

// stepsMax bounds a program, so that no input takes long.
const stepsMax = 200

// seeds are programs of which each gets somewhere that the others do not. The
// header chooses retention and cast; see program.begin.
func seeds() (all [][]byte) {
	begin := func(retention string, how byte) []byte {
		i := slices.IndexFunc(retentions(), func(r engine.Retention) bool { return r.Name == retention })
		return append([]byte{byte(i), how}, make([]byte, 3*crossings)...)
	}
	say := func(parts ...[]byte) {
		all = append(all, slices.Concat(append([][]byte{begin("time+size", 0)}, parts...)...))
	}
	times := func(n int, code ...byte) []byte { return slices.Repeat(code, n) }
	const half, most = 128, 250
	var fill []byte
	for key := range byte(30) {
		fill = append(fill, opAppend, 4, 1, key)
	}
	losePower := func(keep, seed byte) []byte { return []byte{opLosePower, keep, seed, 0} }

	say(fill, times(9, opRead, half, most, 100))
	say(fill, losePower(0, 1), times(3, opAppend, 2, 1, 0), losePower(3, 2), []byte{opKill}, losePower(6, 3))
	say(fill, []byte{opCheckpoint, opTruncate, half}, times(4, opAppend, 1, 2, 0), losePower(3, 4))
	say(fill, []byte{opEpoch}, times(9, opAppend, 3, 1, 0), []byte{opEpoch, opTruncate, most}, losePower(0, 5), []byte{opFind, half})
	say(fill, []byte{opTrim, half, opCheckpoint}, losePower(2, 6), []byte{opTrim, most, opKill}, times(2, opAppend, 1, 1, 0))
	say(fill, []byte{opReset, most}, times(9, opAppend, 4, 1, 0), []byte{opReset, 0}, losePower(3, 7))
	say(fill, []byte{opTick}, times(20, opAppend, 4, 1, 0), []byte{opTick}, losePower(3, 8), fill, []byte{opTick, opReopen})
	say(fill, []byte{opDuplicate, 1, opReopen, opDuplicate, 4}, losePower(0, 9), []byte{opDuplicate, 2})
	for depth := range byte(4) {
		say(fill, []byte{opLosePower, 3, depth, depth, 5, 9, 2, 11, 4, 17, 3}, fill, []byte{opLosePower, 1, 7, depth, 1, 1, 1, 1, 1, 1})
	}
	compact, again := []byte{opCompact, 0}, slices.Concat(fill[:20], []byte{opCompact, 0})
	sayCompacted := func(how byte, parts ...[]byte) {
		all = append(all, slices.Concat(append([][]byte{begin("compact", how), fill}, parts...)...))
	}
	sayCompacted(0, compact, again, []byte{opDuplicate, 0, opRead, half, most, 100, opFind, half}, compact, again)
	sayCompacted(4, compact, []byte{opTruncate, half}, fill, compact, []byte{opTrim, half, opKill}, again)
	sayCompacted(2, []byte{opEpoch}, again, []byte{opEpoch, opTruncate, most}, losePower(0, 5), again, []byte{opReset, 0}, fill, compact)
	for n := range byte(6) { // near the first swap, and near a later one
		sayCompacted(4*(n%2), []byte{opCompact, 1, 26 + n, 3, 1}, fill[:40], []byte{opCompact, 1, 60 + 9*n, 4, n}, again)
	}
	for seed, r := range slices.Repeat(retentions(), 2) {
		code := begin(r.Name, byte(seed))
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		for len(code) < 400 {
			code = append(code, byte(rng.Uint32()))
		}
		all = append(all, code)
	}
	return all
}

// FuzzLog runs programs of everything that a log does, with crashes, on many
// designs at once: all answer alike, and as the model says. The coverage of a
// program with goroutines differs from run to run, so give -fuzzminimizetime 10x.
func FuzzLog(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		p := &program{t: t, code: code}
		p.begin()
		for i := 0; i < stepsMax && p.at < len(p.code); i++ {
			p.step()
		}
		p.each("compare all", func(s *subject) error { return p.model.checkAll(s) })
		for _, s := range p.cast {
			if err := s.log.Check(); err != nil {
				p.failf(s, "check: %v", err)
			}
			if err := s.store.Close(); err != nil && !errors.Is(err, engine.ErrClosed) {
				p.failf(s, "close: %v", err)
			}
		}
	})
}
