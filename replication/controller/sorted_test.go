package controller

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

type entry struct{ key, value int }

func keyIs(key int) func(entry) int { return func(e entry) int { return cmp.Compare(e.key, key) } }

// Every version of a list is what it was when it was made, and two of them are
// told apart exactly.
func TestSorted(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var s Sorted[entry]
	model := map[int]int{}
	type version struct {
		list  Sorted[entry]
		model map[int]int
	}
	versions := []version{{s, maps.Clone(model)}}
	for range 300 {
		s.Edit()
		for range 1 + rng.IntN(40) {
			key := rng.IntN(3000)
			if rng.IntN(3) == 0 {
				s.Remove(keyIs(key))
				delete(model, key)
			} else {
				e := entry{key, rng.IntN(3)}
				s.Put(e, keyIs(key))
				model[key] = e.value
			}
		}
		versions = append(versions, version{s, maps.Clone(model)})
	}
	for _, v := range versions {
		checkSorted(t, &v.list, v.model)
		checkChanges(t, v.list, s, v.model, model)
		checkChanges(t, s, v.list, model, v.model)
	}
}

func checkSorted(t *testing.T, s *Sorted[entry], model map[int]int) {
	t.Helper()
	var keys []int
	for e := range s.All() {
		if model[e.key] != e.value {
			t.Fatalf("%d is %d, want %d", e.key, e.value, model[e.key])
		}
		if found, ok := s.Find(keyIs(e.key)); !ok || found != e {
			t.Fatalf("looking for %v finds %v, %v", e, found, ok)
		}
		keys = append(keys, e.key)
	}
	if !slices.Equal(keys, slices.Sorted(maps.Keys(model))) || s.Len() != len(model) {
		t.Fatalf("%d of %d keys, %v", s.Len(), len(model), keys)
	}
	if e, ok := s.Find(keyIs(-1)); ok {
		t.Fatalf("found %v", e)
	}
	for _, c := range s.chunks {
		if len(c) == 0 || len(c) > sortedChunkMax {
			t.Fatalf("a chunk of %d", len(c))
		}
	}
}

func checkChanges(t *testing.T, from, to Sorted[entry], was, is map[int]int) {
	t.Helper()
	replayed := maps.Clone(was)
	for a, b := range Changes(from, to, func(a, b entry) int { return cmp.Compare(a.key, b.key) }) {
		if a == b {
			t.Fatalf("%v is no change", a)
		}
		if b == (entry{}) { // key 0 with value 0 looks like nothing
			delete(replayed, a.key)
		} else {
			replayed[b.key] = b.value
		}
	}
	delete(replayed, 0)
	want := maps.Clone(is)
	delete(want, 0)
	if !maps.Equal(replayed, want) {
		t.Fatal("the changes do not lead from one version to the other")
	}
}
