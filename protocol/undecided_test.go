package protocol_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// putTransactional adds a batch as Apache Kafka leaves it in a directory: this
// broker takes none from clients.
func putTransactional(t *testing.T, b *brokertest.Broker, topic string, s batch.Spec) {
	t.Helper()
	p, err := b.Node().Partition(topic, 0)
	if err != nil {
		t.Fatal(err)
	}
	log, err := p.Log()
	if err != nil {
		t.Fatal(err)
	}
	s.BaseOffset, s.LeaderEpoch = log.Marks().End, p.LeaderEpoch()
	s.ProducerID, s.ProducerEpoch, s.BaseSequence, s.Transactional = 7, 0, 0, true
	set, err := batch.Parse(s.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	a, err := log.Replicate(set)
	if err == nil {
		err = log.Wait(t.Context(), a.Next)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestUndecided: consumers of committed data are held in front of a transaction
// that is open, by Fetch and by ListOffsets, before and after every kind of stop;
// the others see it.
func TestUndecided(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	c := dial(t, b)
	mustProduce(c, "t", records("before")) // 0
	newest := time.Now().Add(time.Hour).UnixMilli()
	open := batch.Of(batch.Record{Timestamp: newest, Value: []byte("open")})
	putTransactional(t, b, "t", open)     // 1
	mustProduce(c, "t", records("after")) // 2
	check := func(what string, end, stable int64, aborted int) {
		t.Helper()
		c := dial(t, b)
		for isolation, upTo := range []int64{end, stable} {
			q := fetchRequest("t", [16]byte{}, 0, 0)
			q.IsolationLevel = int8(isolation)
			p := fetched(ask[*kmsg.FetchResponse](c, q, 12))
			next := int64(0)
			for rest := p.RecordBatches; len(rest) > 0; {
				s, more, err := batch.Next(rest)
				if err != nil {
					t.Fatal(err)
				}
				next, rest = s.NextOffset(), more
			}
			if p.ErrorCode != 0 || p.HighWatermark != end || p.LastStableOffset != stable || next != upTo {
				t.Errorf("%s, isolation %d: code %d, high watermark %d, last stable %d, records up to %d; want %d, %d, %d",
					what, isolation, p.ErrorCode, p.HighWatermark, p.LastStableOffset, next, end, stable, upTo)
			}
			if want := isolation * aborted; len(p.AbortedTransactions) != want {
				t.Errorf("%s, isolation %d: %d aborted transactions, want %d", what, isolation, len(p.AbortedTransactions), want)
			}
			q.Topics[0].Partitions[0].FetchOffset = stable
			if p := fetched(ask[*kmsg.FetchResponse](c, q, 12)); p.ErrorCode != 0 || (len(p.RecordBatches) > 0) != (upTo > stable) {
				t.Errorf("%s, isolation %d, from %d: code %d, %d bytes", what, isolation, stable, p.ErrorCode, len(p.RecordBatches))
			}
			for timestamp, want := range map[int64]int64{-1: upTo, -3: 1, newest: 1} {
				if timestamp != -1 && want >= upTo {
					want = -1 // the client could not fetch it
				}
				l := listRequest("t", 0, timestamp)
				l.IsolationLevel = int8(isolation)
				if p := ask[*kmsg.ListOffsetsResponse](c, l, 7).Topics[0].Partitions[0]; p.ErrorCode != 0 || p.Offset != want {
					t.Errorf("%s, isolation %d, timestamp %d: code %d, offset %d, want %d", what, isolation, timestamp, p.ErrorCode, p.Offset, want)
				}
			}
		}
	}
	check("open", 3, 1, 0)
	b.Stop()
	b.Restart()
	check("open, stopped", 3, 1, 0)
	b.Kill()
	b.Restart()
	check("open, killed", 3, 1, 0)
	abort := batch.Of(batch.Marker(batch.Abort, 0, 1))
	abort.Control = true
	putTransactional(t, b, "t", abort) // 3
	b.Kill()
	b.Restart()
	check("aborted, killed", 4, 4, 1)
}
