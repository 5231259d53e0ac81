package protocol_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol"
	"github.com/bobbin-log/bobbin/protocol/brokertest"
)

// manyPartitions is a Fetch that names a topic's first partition n times, and
// waits for records that nobody sends.
func manyPartitions(topic string, n int, waitMs int32) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.MaxBytes, q.MinBytes, q.MaxWaitMillis = 1<<31-1, 1, waitMs
	x := kmsg.NewFetchRequestTopic()
	x.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1<<31 - 1
	for range n {
		x.Partitions = append(x.Partitions, p)
	}
	q.Topics = append(q.Topics, x)
	return q
}

// Requests whose lists become large in memory take turns; those that wait for
// records hold up others of their kind, and nobody else.
func TestHeavyRequestsTakeTurns(t *testing.T) {
	// The answer to a large request is taken when the test comes to it.
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.Limits(protocol.Limits{TransferGrace: patience}))
	b.CreateTopic("t", 1)
	const largest = 130_000 // 16 bytes each: the most that a request may list
	long := manyPartitions("t", largest, 600_000)
	first := dial(t, b)
	first.send(long, 4)
	// Whether it came before or after the second, one of the two is answered,
	// and the other waits until the first hangs up.
	second := dial(t, b)
	second.send(manyPartitions("t", largest, 0), 4)
	small := dial(t, b)
	for range 10 {
		a := ask[*kmsg.FetchResponse](small, manyPartitions("t", 10, 0), 4)
		if got := len(a.Topics[0].Partitions); got != 10 {
			t.Fatalf("a small request got %d partitions", got)
		}
	}
	first.conn.Close()
	a, ok := second.receive(long, second.next).(*kmsg.FetchResponse)
	if !ok || len(a.Topics[0].Partitions) != largest {
		t.Fatalf("the second large request was not answered whole")
	}
	// The budget was given back: there is room for many, one after the other.
	for range 5 {
		c := dial(t, b)
		if a := ask[*kmsg.FetchResponse](c, manyPartitions("t", largest, 0), 4); len(a.Topics[0].Partitions) != largest {
			t.Fatal("a large request was not answered whole")
		}
	}
}
