package protocol

import (
	"fmt"
	"strconv"

	"github.com/bobbin-log/bobbin/protocol/wire"
)

// api is one line of the table: a kind of request that is answered.
type api struct {
	key int16
	// min and max are what ApiVersions says, exactly Kafka 4.4's.
	min, max int16
	// oldest is the first version that is handled, if that isn't min.
	oldest int16
	// pipelined requests are handled while earlier ones wait for their answers.
	pipelined bool
	handle    handler
}

// name is Kafka's.
func (a *api) name() string {
	if k, ok := wire.LookupAPI(a.key); ok {
		return k.Name
	}
	return strconv.Itoa(int(a.key))
}

// apiList is the table of all that this broker answers, sorted by key. What is
// not in it is not advertised, and closes the connection.
func apiList() []api {
	return []api{
		{key: wire.KeyProduce, min: 0, max: 13, oldest: 3, pipelined: true, handle: (*Server).produce},
		{key: wire.KeyFetch, min: 4, max: 18, handle: (*Server).fetch},
		{key: wire.KeyListOffsets, min: 1, max: 11, handle: plain((*Server).listOffsets)},
		{key: wire.KeyMetadata, min: 0, max: 13, handle: plain((*Server).metadata)},
		{key: wire.KeyApiVersions, min: 0, max: 5, handle: plain((*Server).apiVersions)},
		{key: wire.KeyCreateTopics, min: 2, max: 7, handle: plain((*Server).createTopics)},
		{key: wire.KeyDeleteTopics, min: 1, max: 6, handle: plain((*Server).deleteTopics)},
		{key: wire.KeyDeleteRecords, min: 0, max: 2, handle: plain((*Server).deleteRecords)},
		{key: wire.KeyInitProducerId, min: 0, max: 5, handle: plain((*Server).initProducerID)},
		{key: wire.KeyOffsetForLeaderEpoch, min: 2, max: 4, handle: plain((*Server).offsetForLeaderEpoch)},
		{key: wire.KeyDescribeConfigs, min: 1, max: 4, handle: plain((*Server).describeConfigs)},
		{key: wire.KeyAlterConfigs, min: 0, max: 2, handle: plain((*Server).alterConfigs)},
		{key: wire.KeyDescribeLogDirs, min: 1, max: 5, handle: plain((*Server).describeLogDirs)},
		{key: wire.KeyCreatePartitions, min: 0, max: 3, handle: plain((*Server).createPartitions)},
		{key: wire.KeyIncrementalAlterConfigs, min: 0, max: 1, handle: plain((*Server).incrementalAlterConfigs)},
		{key: wire.KeyDescribeCluster, min: 0, max: 2, handle: plain((*Server).describeCluster)},
		{key: wire.KeyDescribeTopicPartitions, min: 0, max: 0, handle: plain((*Server).describeTopicPartitions)},
	}
}

// apiTable is apiList for looking up.
type apiTable struct {
	list []api
	// byKey points into list; nil where there is none.
	byKey []*api
	// unknownVersion answers ApiVersions requests of versions that don't exist.
	unknownVersion api
}

func newAPITable() apiTable {
	t := apiTable{list: apiList()}
	last := t.list[len(t.list)-1].key
	t.byKey = make([]*api, last+1)
	for i := range t.list {
		a := &t.list[i]
		a.oldest = max(a.oldest, a.min)
		t.byKey[a.key] = a
	}
	t.unknownVersion = api{key: wire.KeyApiVersions, handle: (*Server).unknownApiVersions}
	return t
}

// api returns the line of the table that handles a request.
func (s *Server) api(r *request) (*api, error) {
	h := &r.header
	var a *api
	if k := int(h.RequestApiKey); k >= 0 && k < len(s.apis.byKey) {
		a = s.apis.byKey[k]
	}
	if a == nil {
		return nil, fmt.Errorf("API key %d is not supported", h.RequestApiKey)
	}
	if h.RequestApiVersion < a.oldest || h.RequestApiVersion > a.max {
		if a.key == wire.KeyApiVersions {
			return &s.apis.unknownVersion, nil
		}
		return nil, fmt.Errorf("version %d of %s is not supported, only %d to %d", h.RequestApiVersion, a.name(), a.oldest, a.max)
	}
	return a, nil
}
