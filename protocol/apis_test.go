package protocol_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
	"github.com/bobbin-log/bobbin/protocol/wire"
)

// advertised is what Apache Kafka 4.4 answered to ApiVersions, for the APIs that
// are here.
var advertised = []kmsg.ApiVersionsResponseApiKey{
	{ApiKey: 0, MinVersion: 0, MaxVersion: 13},
	{ApiKey: 1, MinVersion: 4, MaxVersion: 18},
	{ApiKey: 2, MinVersion: 1, MaxVersion: 11},
	{ApiKey: 3, MinVersion: 0, MaxVersion: 13},
	{ApiKey: 18, MinVersion: 0, MaxVersion: 5},
	{ApiKey: 19, MinVersion: 2, MaxVersion: 7},
	{ApiKey: 20, MinVersion: 1, MaxVersion: 6},
	{ApiKey: 21, MinVersion: 0, MaxVersion: 2},
	{ApiKey: 22, MinVersion: 0, MaxVersion: 5},
	{ApiKey: 23, MinVersion: 2, MaxVersion: 4},
	{ApiKey: 32, MinVersion: 1, MaxVersion: 4},
	{ApiKey: 33, MinVersion: 0, MaxVersion: 2},
	{ApiKey: 35, MinVersion: 1, MaxVersion: 5},
	{ApiKey: 37, MinVersion: 0, MaxVersion: 3},
	{ApiKey: 44, MinVersion: 0, MaxVersion: 1},
	{ApiKey: 60, MinVersion: 0, MaxVersion: 2},
	{ApiKey: 75, MinVersion: 0, MaxVersion: 0},
}

// TestEveryVersion sends a request with content in every version of every API,
// and wants an answer that kmsg can read, without an error in it.
func TestEveryVersion(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.Sync("none"))
	b.CreateTopic("t", 2, "retention.ms=123456")
	id := topicID(t, b, "t")
	mustProduce(dial(t, b), "t", records("one", "two"))
	for _, api := range advertised {
		first := api.MinVersion
		if api.ApiKey == 0 {
			first = 3 // what is said to be older closes the connection
		}
		c := dial(t, b)
		for version := first; version <= api.MaxVersion; version++ {
			q := sample(api.ApiKey, version, id)
			if q == nil {
				t.Fatalf("no sample of API %d", api.ApiKey)
			}
			c.send(q, version)
			a := c.receive(q, c.next)
			if code := firstError(a); code != 0 {
				t.Errorf("%s v%d: code %d", kmsg.NameForKey(api.ApiKey), version, code)
			}
		}
	}
}

// sample is a request that succeeds.
func sample(key, version int16, id [16]byte) kmsg.Request {
	switch key {
	case wire.KeyProduce:
		return produceRequest("t", id, 1, -1, records("x"))
	case wire.KeyFetch:
		return fetchRequest("t", id, 0, 0)
	case wire.KeyListOffsets:
		return listRequest("t", 0, -1)
	case wire.KeyMetadata:
		q := kmsg.NewPtrMetadataRequest()
		name := "t"
		q.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
		q.IncludeTopicAuthorizedOperations = true
		return q
	case wire.KeyApiVersions:
		q := kmsg.NewPtrApiVersionsRequest()
		q.ClientSoftwareName, q.ClientSoftwareVersion = "test", "1.0"
		return q
	case wire.KeyInitProducerId:
		return kmsg.NewPtrInitProducerIDRequest()
	case wire.KeyOffsetForLeaderEpoch:
		q := kmsg.NewPtrOffsetForLeaderEpochRequest()
		q.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{CurrentLeaderEpoch: -1}}}}
		return q
	case wire.KeyDescribeCluster:
		q := kmsg.NewPtrDescribeClusterRequest()
		q.EndpointType, q.IncludeClusterAuthorizedOperations = 1, true
		return q
	case wire.KeyDescribeLogDirs:
		return kmsg.NewPtrDescribeLogDirsRequest()
	}
	return adminSample(key, version)
}

func adminSample(key, version int16) kmsg.Request {
	value := "99999"
	switch key {
	case wire.KeyCreateTopics:
		q := kmsg.NewPtrCreateTopicsRequest()
		q.TimeoutMillis = 10_000
		q.Topics = []kmsg.CreateTopicsRequestTopic{{
			Topic: "new" + string(rune('a'+version)), NumPartitions: 1, ReplicationFactor: 1,
			Configs: []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms", Value: &value}},
		}}
		return q
	case wire.KeyDeleteTopics:
		q := kmsg.NewPtrDeleteTopicsRequest()
		q.TimeoutMillis = 10_000
		name := "new" + string(rune('a'+version+1)) // made in the sample above
		q.TopicNames = []string{name}
		q.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &name}}
		return q
	case wire.KeyDeleteRecords:
		q := kmsg.NewPtrDeleteRecordsRequest()
		q.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: "t", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: 1}}}}
		return q
	case wire.KeyDescribeConfigs:
		q := kmsg.NewPtrDescribeConfigsRequest()
		q.IncludeSynonyms, q.IncludeDocumentation = true, true
		q.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: 2, ResourceName: "t"}, {ResourceType: 4, ResourceName: "1"}}
		return q
	case wire.KeyAlterConfigs:
		q := kmsg.NewPtrAlterConfigsRequest()
		q.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: 2, ResourceName: "t", Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: "retention.ms", Value: &value}}}}
		return q
	case wire.KeyIncrementalAlterConfigs:
		q := kmsg.NewPtrIncrementalAlterConfigsRequest()
		q.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: 2, ResourceName: "t", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "retention.ms", Value: &value}}}}
		return q
	case wire.KeyCreatePartitions:
		q := kmsg.NewPtrCreatePartitionsRequest()
		q.TimeoutMillis = 10_000
		q.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: int32(version) + 3}}
		return q
	case wire.KeyDescribeTopicPartitions:
		q := kmsg.NewPtrDescribeTopicPartitionsRequest()
		q.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "t"}}
		return q
	}
	return nil
}

// firstError is the first error code anywhere in a response.
func firstError(a kmsg.Response) int16 {
	switch a := a.(type) {
	case *kmsg.ProduceResponse:
		return produced(a).ErrorCode
	case *kmsg.FetchResponse:
		return a.ErrorCode | fetched(a).ErrorCode
	case *kmsg.ListOffsetsResponse:
		return a.Topics[0].Partitions[0].ErrorCode
	case *kmsg.MetadataResponse:
		return a.ErrorCode | a.Topics[0].ErrorCode | a.Topics[0].Partitions[0].ErrorCode
	case *kmsg.ApiVersionsResponse:
		return a.ErrorCode
	case *kmsg.InitProducerIDResponse:
		return a.ErrorCode
	case *kmsg.OffsetForLeaderEpochResponse:
		return a.Topics[0].Partitions[0].ErrorCode
	case *kmsg.DescribeClusterResponse:
		return a.ErrorCode
	case *kmsg.DescribeLogDirsResponse:
		return a.ErrorCode | a.Dirs[0].ErrorCode
	case *kmsg.CreateTopicsResponse:
		return a.Topics[0].ErrorCode
	case *kmsg.DeleteTopicsResponse:
		return a.Topics[0].ErrorCode
	case *kmsg.DeleteRecordsResponse:
		return a.Topics[0].Partitions[0].ErrorCode
	case *kmsg.DescribeConfigsResponse:
		return a.Resources[0].ErrorCode | a.Resources[1].ErrorCode
	case *kmsg.AlterConfigsResponse:
		return a.Resources[0].ErrorCode
	case *kmsg.IncrementalAlterConfigsResponse:
		return a.Resources[0].ErrorCode
	case *kmsg.CreatePartitionsResponse:
		return a.Topics[0].ErrorCode
	case *kmsg.DescribeTopicPartitionsResponse:
		return a.Topics[0].ErrorCode
	}
	return -1
}

// TestUnsupported: what isn't in the table closes the connection, as Apache Kafka
// 4.4 does: unknown keys and versions, bodies that don't decode, and Produce
// before version 3, whatever ApiVersions says.
func TestUnsupported(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	for _, c := range []struct {
		name         string
		key, version int16
		flexible     bool
		body         []byte
	}{
		{"a key that isn't Kafka's", 999, 0, false, nil},
		{"a negative key", -1, 0, false, nil},
		{"a key that isn't here", wire.KeyJoinGroup, 5, false, make([]byte, 40)},
		{"a version that is too new", wire.KeyMetadata, 99, true, nil},
		{"a negative version", wire.KeyMetadata, -1, false, nil},
		{"a version that is too old", wire.KeyFetch, 3, false, nil},
		{"Produce v0", wire.KeyProduce, 0, false, []byte{255, 255, 0, 0, 0, 9, 0, 0, 0, 0}},
		{"Produce v2", wire.KeyProduce, 2, false, []byte{255, 255, 0, 0, 0, 9, 0, 0, 0, 0}},
		{"a body that doesn't decode", wire.KeyMetadata, 13, true, []byte{1, 2, 3}},
		{"an array that isn't there", wire.KeyMetadata, 1, false, []byte{0x7f, 255, 255, 255}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := dial(t, b)
			k.write(frame(c.key, c.version, 1, c.flexible, c.body))
			k.expectClosed()
		})
	}
}
