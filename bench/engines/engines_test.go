package main

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/bench"
)

// TestEngines gives each engine a short turn, in which the runner checks that it
// holds what it acknowledged.
func TestEngines(t *testing.T) {
	p := bench.Plan{
		Subjects: engines(), Partitions: []int{1, 3}, Rounds: 1, Dir: t.TempDir(),
		Work: bench.Work{
			Partitions: 1, Writers: 8, BatchBytes: 4 << 10, RecordBytes: 1 << 10,
			Time: 50 * time.Millisecond, LimitBytes: 16 << 20,
		},
	}
	r, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range r.Rows {
		if row.Error != "" || row.Median.Appends == 0 {
			t.Errorf("%s, %d partitions: %q, %d appends", row.Subject, row.Partitions, row.Error, row.Median.Appends)
		}
	}
}

// TestGather: every append is written exactly once, those of one goroutine in
// their order, and all of a group learn of its failure.
func TestGather(t *testing.T) {
	const writers, appends = 16, 200
	var wrote [][]byte
	writing := make(chan struct{}, 1)
	broken := errors.New("broken")
	g := newGather(func(batches [][]byte) error {
		select {
		case writing <- struct{}{}:
		default:
			t.Error("two writes at once")
		}
		defer func() { <-writing }()
		for _, b := range batches {
			wrote = append(wrote, bytes.Clone(b))
		}
		if len(wrote) > writers*appends {
			return broken
		}
		return nil
	})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range appends {
				if err := g.append([]byte{byte(w), byte(n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	next := [writers]byte{}
	for _, b := range wrote {
		if b[1] != next[b[0]] {
			t.Fatalf("writer %d: append %d where %d was due", b[0], b[1], next[b[0]])
		}
		next[b[0]]++
	}
	if len(wrote) != writers*appends {
		t.Errorf("%d appends were written of %d", len(wrote), writers*appends)
	}
	if err := g.append(nil); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}
