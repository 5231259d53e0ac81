package wire

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestOfferedVersions holds the table against what a running Kafka 4.4 answers
// to ApiVersions. Produce it offers from 0: see the note in PROTOCOL.md.
func TestOfferedVersions(t *testing.T) {
	offered := map[string][2]int16{
		"Produce": {3, 13}, "Fetch": {4, 18}, "ListOffsets": {1, 11}, "Metadata": {0, 13}, "ApiVersions": {0, 5},
		"CreateTopics": {2, 7}, "DeleteTopics": {1, 6}, "CreatePartitions": {0, 3}, "InitProducerId": {0, 5},
		"FindCoordinator": {0, 6}, "DescribeConfigs": {1, 4}, "AlterConfigs": {0, 2}, "IncrementalAlterConfigs": {0, 1},
		"DeleteRecords": {0, 2}, "OffsetForLeaderEpoch": {2, 4}, "DescribeLogDirs": {1, 5}, "DescribeCluster": {0, 2},
		"DescribeProducers": {0, 0}, "DescribeTopicPartitions": {0, 0},
	}
	apis := generatedAPIs()
	if len(apis) != len(offered) {
		t.Errorf("%d APIs are generated, not %d", len(apis), len(offered))
	}
	for _, api := range apis {
		if got := [2]int16{api.Min, api.Max}; got != offered[api.Name] {
			t.Errorf("%s: %d to %d", api.Name, got[0], got[1])
		}
		if api.Latest < api.Max || NewRequest(api.Key).Key() != api.Key || NewResponse(api.Key).Key() != api.Key {
			t.Errorf("%+v doesn't fit its messages", api)
		}
	}
	if _, ok := LookupAPI(-1); ok || NewRequest(-1) != nil || NewResponse(9999) != nil {
		t.Error("there are messages for keys that don't exist")
	}
}

// TestFlexibleVersions compares with kmsg for all of Kafka's APIs.
func TestFlexibleVersions(t *testing.T) {
	seen := 0
	for key := range int16(100) {
		api, ok := LookupAPI(key)
		request := kmsg.RequestForKey(key)
		if !ok || request == nil {
			continue
		}
		seen++
		if api.Name != kmsg.NameForKey(key) && api.Flexible(api.Max) != request.IsFlexible() {
			t.Logf("%s is %s in kmsg", api.Name, kmsg.NameForKey(key))
		}
		for v := api.Min; v <= api.Max; v++ {
			if request.SetVersion(v); api.Flexible(v) != request.IsFlexible() {
				t.Errorf("%s version %d: flexible is %v", api.Name, v, api.Flexible(v))
			}
		}
	}
	if seen < 80 {
		t.Errorf("only %d APIs compared", seen)
	}
}
