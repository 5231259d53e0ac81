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
// header chooses clock, retention and cast; see program.begin.
func seeds() (all [][]byte) {
	head := make([]byte, 2+3*crossings)
	say := func(parts ...[]byte) { all = append(all, slices.Concat(append([][]byte{head}, parts...)...)) }
	times := func(n int, code ...byte) []byte { return slices.Repeat(code, n) }
	const half, most = 128, 250
	fill := times(30, opAppend, 4, 1)
	losePower := func(keep, seed byte) []byte { return []byte{opLosePower, keep, seed, 0} }

	say(fill, times(9, opRead, half, most, 100))
	say(fill, losePower(0, 1), times(3, opAppend, 2, 1), losePower(3, 2), []byte{opKill}, losePower(6, 3))
	say(fill, []byte{opCheckpoint, opTruncate, half}, times(4, opAppend, 1, 2), losePower(3, 4))
	say(fill, []byte{opEpoch}, times(9, opAppend, 3, 1), []byte{opEpoch, opTruncate, most}, losePower(0, 5), []byte{opFind, half})
	say(fill, []byte{opTrim, half, opCheckpoint}, losePower(2, 6), []byte{opTrim, most, opKill}, times(2, opAppend, 1, 1))
	say(fill, []byte{opReset, most}, times(9, opAppend, 4, 1), []byte{opReset, 0}, losePower(3, 7))
	say(fill, []byte{opTick}, times(20, opAppend, 4, 1), []byte{opTick}, losePower(3, 8), fill, []byte{opTick, opReopen})
	say(fill, []byte{opDuplicate, 1, opReopen, opDuplicate, 4}, losePower(0, 9), []byte{opDuplicate, 2})
	for depth := range byte(4) {
		say(fill, []byte{opLosePower, 3, depth, depth, 5, 9, 2, 11, 4, 17, 3}, fill, []byte{opLosePower, 1, 7, depth, 1, 1, 1, 1, 1, 1})
	}
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 1))
		code := make([]byte, 400)
		for i := range code {
			code[i] = byte(rng.Uint32())
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
