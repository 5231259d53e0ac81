package protocol_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol"
	"github.com/bobbin-log/bobbin/protocol/brokertest"
)

// session speaks one fetch session.
type session struct {
	*client
	id, epoch int32
}

// fetch sends an incremental request and returns the partitions that the answer
// tells of, as "topic/partition+bytes".
func (s *session) fetch(change func(q *kmsg.FetchRequest)) []string {
	s.t.Helper()
	q := kmsg.NewPtrFetchRequest()
	q.MaxBytes, q.SessionID, q.SessionEpoch = 1<<20, s.id, s.epoch
	if change != nil {
		change(q)
	}
	a := ask[*kmsg.FetchResponse](s.client, q, 12)
	if a.ErrorCode != 0 || a.SessionID == 0 || s.id != 0 && a.SessionID != s.id {
		s.t.Fatalf("session %d epoch %d: code %d, session %d", s.id, s.epoch, a.ErrorCode, a.SessionID)
	}
	s.id = a.SessionID
	s.epoch++
	var told []string
	for _, t := range a.Topics {
		for _, p := range t.Partitions {
			told = append(told, fmt.Sprintf("%s/%d+%d", t.Topic, p.Partition, len(p.RecordBatches)))
		}
	}
	return told
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the answer tells of %q, want %q", got, want)
	}
}

// TestFetchSession: after the first, full answer only news are told.
func TestFetchSession(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 3)
	c := dial(t, b)
	s := &session{client: dial(t, b)}
	expect(t, s.fetch(func(q *kmsg.FetchRequest) {
		addFetch(q, "t", [16]byte{}, 0, 0)
		addFetch(q, "t", [16]byte{}, 1, 0)
	}), "t/0+0", "t/1+0")
	expect(t, s.fetch(nil))
	mustProduce(c, "t", records("a"))
	expect(t, s.fetch(nil), "t/0+69")
	expect(t, s.fetch(nil), "t/0+69") // not taken yet
	expect(t, s.fetch(func(q *kmsg.FetchRequest) { addFetch(q, "t", [16]byte{}, 0, 1) }))
	expect(t, s.fetch(func(q *kmsg.FetchRequest) { addFetch(q, "t", [16]byte{}, 2, 0) }), "t/2+0")
	// An error is told each time, and its end once.
	expect(t, s.fetch(func(q *kmsg.FetchRequest) { addFetch(q, "t", [16]byte{}, 1, 5) }), "t/1+0")
	expect(t, s.fetch(nil), "t/1+0")
	expect(t, s.fetch(func(q *kmsg.FetchRequest) { addFetch(q, "t", [16]byte{}, 1, 0) }), "t/1+0")
	expect(t, s.fetch(nil))
	// What is forgotten isn't told any more.
	mustProduce(c, "t", records("b"))
	expect(t, s.fetch(func(q *kmsg.FetchRequest) {
		q.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "t", Partitions: []int32{0}}}
	}))
	// Another connection may go on with it.
	s.client = dial(t, b)
	expect(t, s.fetch(func(q *kmsg.FetchRequest) { addFetch(q, "t", [16]byte{}, 0, 1) }), "t/0+69")
}

// TestFetchSessionFair: a partition with data goes to the end, so that the next
// one gets its turn.
func TestFetchSessionFair(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	s := &session{client: dial(t, b)}
	for _, name := range []string{"a", "b"} {
		b.CreateTopic(name, 1)
		mustProduce(s.client, name, records("x"))
	}
	s.next = 0
	s.client = dial(t, b)
	one := func(q *kmsg.FetchRequest) { q.MaxBytes = 1 }
	s.fetch(func(q *kmsg.FetchRequest) {
		addFetch(q, "a", [16]byte{}, 0, 1)
		addFetch(q, "b", [16]byte{}, 0, 1)
	})
	s.fetch(func(q *kmsg.FetchRequest) {
		one(q)
		addFetch(q, "a", [16]byte{}, 0, 0)
		addFetch(q, "b", [16]byte{}, 0, 0)
	})
	expect(t, s.fetch(one), "b/0+69")
	expect(t, s.fetch(one), "a/0+69")
}

// TestFetchSessionErrors: the codes are Apache Kafka's.
func TestFetchSessionErrors(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	id := topicID(t, b, "t")
	c := dial(t, b)
	open := func() int32 {
		q := fetchRequest("t", id, 0, 0)
		q.SessionEpoch = 0
		return ask[*kmsg.FetchResponse](c, q, 12).SessionID
	}
	s := open()
	for _, k := range []struct {
		name      string
		id, epoch int32
		version   int16
		want      *kerr.Error
	}{
		{"unknown", s ^ 1, 1, 12, kerr.FetchSessionIDNotFound},
		{"none", 0, 1, 12, kerr.FetchSessionIDNotFound},
		{"an epoch too late", s, 2, 12, kerr.InvalidFetchSessionEpoch},
		{"ids where names were", s, 1, 13, kerr.FetchSessionTopicIDError},
		{"the right one", s, 1, 12, nil},
		{"the same again", s, 1, 12, kerr.InvalidFetchSessionEpoch},
	} {
		q := kmsg.NewPtrFetchRequest()
		q.MaxBytes, q.SessionID, q.SessionEpoch = 1<<20, k.id, k.epoch
		a := ask[*kmsg.FetchResponse](c, q, k.version)
		if got := kerr.TypedErrorForCode(a.ErrorCode); got != k.want || k.want != nil && a.SessionID != 0 {
			t.Errorf("%s: %v in session %d, want %v", k.name, got, a.SessionID, k.want)
		}
	}
	// The final epoch closes the session, and so does emptying it.
	q := fetchRequest("t", id, 0, 0)
	q.SessionID, q.SessionEpoch = s, -1
	if a := ask[*kmsg.FetchResponse](c, q, 12); a.SessionID != 0 || len(a.Topics) != 1 {
		t.Errorf("final: session %d, %d topics", a.SessionID, len(a.Topics))
	}
	second := open()
	q = kmsg.NewPtrFetchRequest()
	q.SessionID, q.SessionEpoch = second, 1
	q.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "t", Partitions: []int32{0}}}
	if a := ask[*kmsg.FetchResponse](c, q, 12); a.SessionID != 0 || a.ErrorCode != 0 {
		t.Errorf("emptied: session %d, code %d", a.SessionID, a.ErrorCode)
	}
	for _, gone := range []int32{s, second} {
		q = kmsg.NewPtrFetchRequest()
		q.SessionID, q.SessionEpoch = gone, 2
		if a := ask[*kmsg.FetchResponse](c, q, 12); a.ErrorCode != kerr.FetchSessionIDNotFound.Code {
			t.Errorf("a closed session: code %d", a.ErrorCode)
		}
	}
}

// TestFetchSessionsFull: with all places taken by young sessions, a consumer gets
// none and goes on with full requests.
func TestFetchSessionsFull(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.Limits(protocol.Limits{FetchSessions: 2}))
	b.CreateTopic("t", 1)
	c := dial(t, b)
	for i, want := range []bool{true, true, false} {
		q := fetchRequest("t", [16]byte{}, 0, 0)
		q.SessionEpoch = 0
		if a := ask[*kmsg.FetchResponse](c, q, 12); (a.SessionID != 0) != want || len(a.Topics) != 1 {
			t.Errorf("consumer %d: session %d, %d topics", i, a.SessionID, len(a.Topics))
		}
	}
}
