package protocol_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// TestOffline: a partition whose files are damaged is offline, which every
// request for it is told, and the broker goes on.
func TestOffline(t *testing.T) {
	unjudged := brokertest.WrapFS(func(fs vfs.FS) vfs.FS { return fs }) // in the end
	b := brokertest.Start(t, unjudged)
	b.CreateTopic("t", 1)
	mustProduce(dial(t, b), "t", records("v"))
	b.Stop()
	if err := os.WriteFile(filepath.Join(b.Dir(), "t-0", "partition.metadata"), []byte("damaged"), 0o666); err != nil {
		t.Fatal(err)
	}
	b.Restart()
	c := dial(t, b)
	want := kerr.KafkaStorageError.Code

	list := kmsg.NewPtrListOffsetsRequest()
	list.ReplicaID = -1
	lt, lp := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
	lp.Timestamp, lt.Topic = -1, "t"
	lt.Partitions = append(lt.Partitions, lp)
	list.Topics = append(list.Topics, lt)
	if got := ask[*kmsg.ListOffsetsResponse](c, list, 5).Topics[0].Partitions[0].ErrorCode; got != want {
		t.Errorf("ListOffsets: code %d, want %d", got, want)
	}

	if got := ask[*kmsg.FetchResponse](c, manyPartitions("t", 1, 0), 11).Topics[0].Partitions[0].ErrorCode; got != want {
		t.Errorf("Fetch: code %d, want %d", got, want)
	}

	epoch := kmsg.NewPtrOffsetForLeaderEpochRequest()
	et, ep := kmsg.NewOffsetForLeaderEpochRequestTopic(), kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	et.Topic = "t"
	et.Partitions = append(et.Partitions, ep)
	epoch.Topics = append(epoch.Topics, et)
	if got := ask[*kmsg.OffsetForLeaderEpochResponse](c, epoch, 3).Topics[0].Partitions[0].ErrorCode; got != want {
		t.Errorf("OffsetForLeaderEpoch: code %d, want %d", got, want)
	}

	del := kmsg.NewPtrDeleteRecordsRequest()
	dt, dp := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	dt.Topic = "t"
	dt.Partitions = append(dt.Partitions, dp)
	del.Topics = append(del.Topics, dt)
	if got := ask[*kmsg.DeleteRecordsResponse](c, del, 2).Topics[0].Partitions[0].ErrorCode; got != want {
		t.Errorf("DeleteRecords: code %d, want %d", got, want)
	}
}
