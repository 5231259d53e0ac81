package protocol_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
)

// metadataRequest asks for topics by name; none at all stands for every topic.
func metadataRequest(names ...string) *kmsg.MetadataRequest {
	q := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		q.Topics = append(q.Topics, t)
	}
	return q
}

// told lists an answer's topics as "name partitions code".
func told(a *kmsg.MetadataResponse) []string {
	var all []string
	for _, t := range a.Topics {
		name := "null"
		if t.Topic != nil {
			name = *t.Topic
		}
		all = append(all, fmt.Sprint(name, " ", len(t.Partitions), " ", t.ErrorCode))
	}
	return all
}

func TestMetadata(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.Rack("r1"))
	b.CreateTopic("b", 2)
	b.CreateTopic("a", 1)
	c := dial(t, b)
	all, none := metadataRequest(), metadataRequest()
	none.Topics = []kmsg.MetadataRequestTopic{}
	for version := int16(0); version <= 13; version++ {
		for _, k := range []struct {
			name string
			q    *kmsg.MetadataRequest
			want []string
		}{
			{"all", all, []string{"a 1 0", "b 2 0"}},
			{"none", none, nil},
			{"some", metadataRequest("b", "nope", "bad name", "", "b"), []string{"b 2 0", "nope 0 3", "bad name 0 17", " 0 17"}},
		} {
			if version == 0 && k.name == "none" {
				k.want = []string{"a 1 0", "b 2 0"} // then no names stand for all
			}
			a := ask[*kmsg.MetadataResponse](c, k.q, version)
			if got := told(a); !slices.Equal(got, k.want) {
				t.Errorf("v%d %s: %q, want %q", version, k.name, got, k.want)
			}
			broker := a.Brokers[0]
			if len(a.Brokers) != 1 || broker.NodeID != 1 || fmt.Sprint(broker.Host, ":", broker.Port) != b.Addr() {
				t.Errorf("v%d: brokers %+v", version, a.Brokers)
			}
			if version >= 1 && (a.ControllerID != 1 || *broker.Rack != "r1") || version >= 2 && *a.ClusterID != b.Node().ClusterID() {
				t.Errorf("v%d: %+v", version, a)
			}
			if version >= 10 && len(a.Topics) > 0 && a.Topics[0].ErrorCode == 0 && a.Topics[0].TopicID != topicID(t, b, *a.Topics[0].Topic) {
				t.Errorf("v%d: topic id %x", version, a.Topics[0].TopicID)
			}
		}
	}
	p := ask[*kmsg.MetadataResponse](c, metadataRequest("b"), 13).Topics[0].Partitions[1]
	if p.Partition != 1 || p.Leader != 1 || p.LeaderEpoch != 0 || !slices.Equal(p.Replicas, []int32{1}) || !slices.Equal(p.ISR, []int32{1}) || len(p.OfflineReplicas) > 0 {
		t.Errorf("%+v", p)
	}
}

// TestMetadataIDs: topics by id from version 12 on; before, such requests are
// INVALID_REQUEST, as Apache Kafka 4.4 answers.
func TestMetadataIDs(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	c := dial(t, b)
	id := topicID(t, b, "t")
	q := kmsg.NewPtrMetadataRequest()
	q.Topics = []kmsg.MetadataRequestTopic{{TopicID: id}, {TopicID: [16]byte{1, 2, 3}}}
	for version := int16(10); version <= 13; version++ {
		want := []string{"t 1 0", "null 0 100"}
		if version < 12 {
			want = []string{" 0 42", " 0 42"}
		}
		if got := told(ask[*kmsg.MetadataResponse](c, q, version)); !slices.Equal(got, want) {
			t.Errorf("v%d: %q, want %q", version, got, want)
		}
	}
}

// TestMetadataOperations: who asks is told that everybody may do everything.
func TestMetadataOperations(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	c := dial(t, b)
	q := metadataRequest("t")
	if a := ask[*kmsg.MetadataResponse](c, q, 8); a.AuthorizedOperations != -2147483648 || a.Topics[0].AuthorizedOperations != -2147483648 {
		t.Errorf("not asked: %d, %d", a.AuthorizedOperations, a.Topics[0].AuthorizedOperations)
	}
	q.IncludeClusterAuthorizedOperations, q.IncludeTopicAuthorizedOperations = true, true
	if a := ask[*kmsg.MetadataResponse](c, q, 8); a.AuthorizedOperations != 8096 || a.Topics[0].AuthorizedOperations != 3576 {
		t.Errorf("asked: %d, %d", a.AuthorizedOperations, a.Topics[0].AuthorizedOperations)
	}
}

// TestMetadataCreates: topics are created by asking where both sides allow it,
// which clients before version 4 always do. The answer doesn't know them yet, as
// in Kafka 4.4; the next one does, and they can be used at once.
func TestMetadataCreates(t *testing.T) {
	for _, k := range []struct {
		name    string
		opts    []brokertest.Option
		version int16
		allow   bool
		created bool
	}{
		{"both allow", []brokertest.Option{brokertest.AutoCreate()}, 12, true, true},
		{"the client doesn't", []brokertest.Option{brokertest.AutoCreate()}, 12, false, false},
		{"an old client", []brokertest.Option{brokertest.AutoCreate()}, 3, false, true},
		{"the broker doesn't", nil, 12, true, false},
	} {
		t.Run(k.name, func(t *testing.T) {
			b := brokertest.Start(t, append(k.opts, brokertest.InMemory(), brokertest.Partitions(2))...)
			c := dial(t, b)
			q := metadataRequest("new", "bad name", "new")
			q.AllowAutoTopicCreation = k.allow
			want := []string{"new 0 3", "bad name 0 17"}
			if got := told(ask[*kmsg.MetadataResponse](c, q, k.version)); !slices.Equal(got, want) {
				t.Errorf("first %q, want %q", got, want)
			}
			p := produced(ask[*kmsg.ProduceResponse](c, produceRequest("new", [16]byte{}, 1, -1, records("x")), 9))
			if (p.ErrorCode == 0) != k.created {
				t.Errorf("producing at once: %v", kerr.ErrorForCode(p.ErrorCode))
			}
			if k.created {
				want[0] = "new 2 0"
			}
			if got := told(ask[*kmsg.MetadataResponse](c, q, k.version)); !slices.Equal(got, want) {
				t.Errorf("then %q, want %q", got, want)
			}
		})
	}
}

// TestMetadataAfterDelete: whoever looks whether topics are gone sees none, even
// if looking brings them back.
func TestMetadataAfterDelete(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.AutoCreate())
	b.CreateTopic("t", 2)
	c := dial(t, b)
	if got := told(ask[*kmsg.MetadataResponse](c, metadataRequest("t"), 1)); !slices.Equal(got, []string{"t 2 0"}) {
		t.Errorf("before: %q", got)
	}
	q := kmsg.NewPtrDeleteTopicsRequest()
	q.TopicNames, q.TimeoutMillis = []string{"t"}, 60_000
	if a := ask[*kmsg.DeleteTopicsResponse](c, q, 1); a.Topics[0].ErrorCode != 0 {
		t.Fatalf("deletion: %v", kerr.ErrorForCode(a.Topics[0].ErrorCode))
	}
	if got := told(ask[*kmsg.MetadataResponse](c, metadataRequest("t"), 1)); !slices.Equal(got, []string{"t 0 3"}) {
		t.Errorf("after: %q", got)
	}
}

func TestDescribeCluster(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	c := dial(t, b)
	for _, k := range []struct {
		version  int16
		endpoint int8
		code     int16
	}{{0, 1, 0}, {1, 1, 0}, {2, 1, 0}, {1, 2, 114}, {1, 3, 115}, {2, 0, 115}} {
		q := kmsg.NewPtrDescribeClusterRequest()
		q.EndpointType, q.IncludeClusterAuthorizedOperations = k.endpoint, true
		a := ask[*kmsg.DescribeClusterResponse](c, q, k.version)
		if a.ErrorCode != k.code {
			t.Errorf("%+v: code %d", k, a.ErrorCode)
		}
		if k.code == 0 && (a.ClusterID != b.Node().ClusterID() || a.ControllerID != 1 || len(a.Brokers) != 1 || a.ClusterAuthorizedOperations != 8096) {
			t.Errorf("%+v: %+v", k, a)
		}
	}
}

// TestDescribeTopicPartitions: pages, cursors and codes as Apache Kafka 4.4 has
// them.
func TestDescribeTopicPartitions(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("a", 3)
	b.CreateTopic("b", 1)
	c := dial(t, b)
	cursor := func(topic string, partition int32) *kmsg.DescribeTopicPartitionsRequestCursor {
		return &kmsg.DescribeTopicPartitionsRequestCursor{Topic: topic, Partition: partition}
	}
	for _, k := range []struct {
		name   string
		topics []string
		limit  int32
		cursor *kmsg.DescribeTopicPartitionsRequestCursor
		want   []string
		next   string
	}{
		{"all", nil, 2000, nil, []string{"a [0 1 2] 0", "b [0] 0"}, ""},
		{"sorted", []string{"nope", "b", "bad name", "a", "b"}, 2000, nil, []string{"a [0 1 2] 0", "b [0] 0", "bad name [] 17", "nope [] 3"}, ""},
		{"one at a time", []string{"a", "b"}, 1, nil, []string{"a [0] 0"}, "a 1"},
		{"no limit is one", []string{"a", "b"}, 0, nil, []string{"a [0] 0"}, "a 1"},
		{"from a cursor", []string{"a", "b"}, 2, cursor("a", 1), []string{"a [1 2] 0"}, "b 0"},
		{"from the next", []string{"a", "b"}, 2, cursor("b", 0), []string{"b [0] 0"}, ""},
		{"from past the end", []string{"a", "b"}, 2, cursor("a", 9), []string{"a [] 0", "b [0] 0"}, ""},
		{"from a topic that isn't asked for", []string{"a", "b"}, 2, cursor("aa", 0), []string{"a [] 42", "b [] 42"}, ""},
		{"all from a topic that is gone", nil, 2, cursor("aa", 0), []string{"b [0] 0"}, ""},
		{"from before the start", []string{"a", "b"}, 2, cursor("a", -1), []string{"a [] 42", "b [] 42"}, ""},
	} {
		q := kmsg.NewPtrDescribeTopicPartitionsRequest()
		q.ResponsePartitionLimit, q.Cursor = k.limit, k.cursor
		for _, name := range k.topics {
			q.Topics = append(q.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: name})
		}
		a := ask[*kmsg.DescribeTopicPartitionsResponse](c, q, 0)
		var got []string
		for _, topic := range a.Topics {
			ids := []int32{}
			for _, p := range topic.Partitions {
				ids = append(ids, p.Partition)
				if p.EligibleLeaderReplicas == nil || p.LastKnownELR == nil {
					t.Errorf("%s: null where Java wants an array", k.name)
				}
			}
			got = append(got, fmt.Sprint(*topic.Topic, " ", ids, " ", topic.ErrorCode))
		}
		next := ""
		if a.NextCursor != nil {
			next = fmt.Sprint(a.NextCursor.Topic, " ", a.NextCursor.Partition)
		}
		if !slices.Equal(got, k.want) || next != k.next {
			t.Errorf("%s: %q and %q, want %q and %q", k.name, got, next, k.want, k.next)
		}
	}
}

func TestDescribeLogDirs(t *testing.T) {
	b := brokertest.Start(t)
	b.CreateTopic("a", 2)
	b.CreateTopic("b", 1)
	c := dial(t, b)
	mustProduce(c, "a", records("x"))
	all := kmsg.NewPtrDescribeLogDirsRequest()
	some := kmsg.NewPtrDescribeLogDirsRequest()
	some.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "a", Partitions: []int32{0, 9}}, {Topic: "nope"}}
	for version := int16(1); version <= 4; version++ {
		for _, k := range []struct {
			q    *kmsg.DescribeLogDirsRequest
			want []string
		}{{all, []string{"a 0 69", "a 1 0", "b 0 0"}}, {some, []string{"a 0 69"}}} {
			a := ask[*kmsg.DescribeLogDirsResponse](c, k.q, version)
			var got []string
			for _, topic := range a.Dirs[0].Topics {
				for _, p := range topic.Partitions {
					got = append(got, fmt.Sprint(topic.Topic, " ", p.Partition, " ", p.Size))
				}
			}
			if !slices.Equal(got, k.want) || a.Dirs[0].Dir != b.Dir() {
				t.Errorf("v%d: %q in %s, want %q", version, got, a.Dirs[0].Dir, k.want)
			}
			if version >= 4 && (a.Dirs[0].TotalBytes <= 0 || a.Dirs[0].UsableBytes <= 0) {
				t.Errorf("v%d: %+v", version, a.Dirs[0])
			}
		}
	}
}

// Kafka's tools show the directory to people who are elsewhere.
func TestLogDirIsAbsolute(t *testing.T) {
	c := dial(t, brokertest.Start(t, brokertest.InMemory())) // whose directory is called "data"
	a := ask[*kmsg.DescribeLogDirsResponse](c, kmsg.NewPtrDescribeLogDirsRequest(), 4)
	if dir := a.Dirs[0].Dir; !filepath.IsAbs(dir) || filepath.Base(dir) != "data" {
		t.Errorf("the log directory is %q", dir)
	}
}
