package protocol

import (
	"math"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/protocol/wire"
)

func parts(n int) []cachedPartition {
	all := make([]cachedPartition, n)
	for i := range all {
		all[i].key.partition = int32(i)
	}
	return all
}

// TestSessionEviction: a session that nobody used for long gives way first, then
// a smaller one that is old; young ones stay.
func TestSessionEviction(t *testing.T) {
	start := time.Unix(0, 0)
	at := start.Add
	c := newSessionCache(2)
	a := c.create(at(0), false, parts(5))
	b := c.create(at(0), false, parts(3))
	if id := c.create(at(time.Minute), false, parts(100)); id != noSession {
		t.Error("a young session was evicted")
	}
	use := func(id, epoch int32, now time.Time) {
		t.Helper()
		if _, code := c.resume(now, &wire.FetchRequest{SessionId: id, SessionEpoch: epoch}, false); code != codeNone {
			t.Fatalf("session %d: code %d", id, code)
		}
	}
	use(a, 1, at(2*time.Minute))
	use(b, 1, at(2*time.Minute))
	if id := c.create(at(3*time.Minute), false, parts(2)); id != noSession {
		t.Error("a larger session was evicted")
	}
	d := c.create(at(3*time.Minute), false, parts(4))
	if _, code := c.resume(at(3*time.Minute), &wire.FetchRequest{SessionId: b, SessionEpoch: 2}, false); d == noSession || code != codeFetchSessionIDNotFound {
		t.Errorf("the smallest old session wasn't evicted: %d, code %d", d, code)
	}
	e := c.create(at(5*time.Minute), false, parts(1))
	if _, code := c.resume(at(5*time.Minute), &wire.FetchRequest{SessionId: a, SessionEpoch: 2}, false); e == noSession || code != codeFetchSessionIDNotFound {
		t.Errorf("the unused session wasn't evicted: %d, code %d", e, code)
	}
	if c.len() != 2 || c.mu.partitions != 5 {
		t.Errorf("%d sessions of %d partitions", c.len(), c.mu.partitions)
	}
}

// TestSessionPartitions: sessions are bounded by their partitions together.
func TestSessionPartitions(t *testing.T) {
	c := newSessionCache(1000)
	now := time.Unix(0, 0)
	id := c.create(now, false, parts(cachedPartitionsMax))
	if id == noSession || c.create(now, false, parts(1)) != noSession {
		t.Error("the bound isn't where it should be")
	}
	more := &wire.FetchRequest{SessionId: id, SessionEpoch: 1, Topics: []wire.FetchRequestFetchTopic{{Topic: "t", Partitions: make([]wire.FetchRequestFetchPartition, 1)}}}
	if _, code := c.resume(now, more, false); code != codeFetchSessionIDNotFound || c.len() != 0 || c.mu.partitions != 0 {
		t.Errorf("a session that grew past the bound: code %d, %d sessions of %d partitions", code, c.len(), c.mu.partitions)
	}
}

func TestNextSessionEpoch(t *testing.T) {
	for e, want := range map[int32]int32{0: 1, 1: 2, math.MaxInt32: 1} {
		if got := nextSessionEpoch(e); got != want {
			t.Errorf("after %d comes %d, want %d", e, got, want)
		}
	}
}
