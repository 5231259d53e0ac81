package protocol

import (
	"testing"
	"testing/synctest"
	"time"
)

// A line in every period, which says how many were left out before it.
func TestSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s seldom
		for _, want := range []int{0, 24} { // one of each 25 is said
			if skipped, ok := s.due(); !ok || skipped != want {
				t.Errorf("due: %v with %d left out, want %d", ok, skipped, want)
			}
			for range 24 {
				if _, ok := s.due(); ok {
					t.Error("due again at once")
				}
			}
			time.Sleep(seldomEvery)
		}
	})
}
