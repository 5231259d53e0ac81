package protocol_test

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchRequest asks for one partition from an offset on, and doesn't wait.
func fetchRequest(topic string, id [16]byte, partition int32, offset int64) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.MaxBytes, q.MinBytes = 50<<20, 1
	q.SessionEpoch = -1
	addFetch(q, topic, id, partition, offset)
	return q
}

func addFetch(q *kmsg.FetchRequest, topic string, id [16]byte, partition int32, offset int64) *kmsg.FetchRequestTopicPartition {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, 1<<20
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = topic, id
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return &q.Topics[len(q.Topics)-1].Partitions[0]
}

// fetched returns the answer's first partition.
func fetched(a *kmsg.FetchResponse) kmsg.FetchResponseTopicPartition {
	if len(a.Topics) == 0 {
		return kmsg.NewFetchResponseTopicPartition()
	}
	return a.Topics[0].Partitions[0]
}

// listRequest asks for an offset of one partition.
func listRequest(topic string, partition int32, timestamp int64) *kmsg.ListOffsetsRequest {
	q := kmsg.NewPtrListOffsetsRequest()
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = partition, timestamp
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}
