package protocol_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
)

func TestApiVersions(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	c := dial(t, b)
	q := kmsg.NewPtrApiVersionsRequest()
	q.ClientSoftwareName, q.ClientSoftwareVersion = "test", "1"
	for version := int16(0); version <= 5; version++ {
		a := ask[*kmsg.ApiVersionsResponse](c, q, version)
		var keys []kmsg.ApiVersionsResponseApiKey
		for _, k := range a.ApiKeys {
			keys = append(keys, kmsg.ApiVersionsResponseApiKey{ApiKey: k.ApiKey, MinVersion: k.MinVersion, MaxVersion: k.MaxVersion})
		}
		same := func(x, y kmsg.ApiVersionsResponseApiKey) bool {
			return x.ApiKey == y.ApiKey && x.MinVersion == y.MinVersion && x.MaxVersion == y.MaxVersion
		}
		if a.ErrorCode != 0 || !slices.EqualFunc(keys, advertised, same) {
			t.Errorf("v%d: code %d, keys %+v", version, a.ErrorCode, keys)
		}
		if len(a.FinalizedFeatures) > 0 || len(a.SupportedFeatures) > 0 {
			t.Errorf("v%d names features whose behaviour isn't there", version)
		}
	}
}

// TestApiVersionsUnknown: a version that doesn't exist is answered in version 0,
// with the versions of ApiVersions alone. The bytes are Apache Kafka 4.4's.
func TestApiVersionsUnknown(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	for _, version := range []int16{6, 99, 32767} {
		c := dial(t, b)
		c.write(frame(18, version, 7, true, []byte{2, 'a', 2, 'b', 0}))
		_, body, err := c.read()
		if want := []byte{0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 5}; err != nil || !bytes.Equal(body, want) {
			t.Errorf("v%d: %x, %v; want %x", version, body, err, want)
		}
		// The client goes on with what it has learnt.
		if a := ask[*kmsg.ApiVersionsResponse](c, kmsg.NewPtrApiVersionsRequest(), 0); a.ErrorCode != 0 {
			t.Errorf("then v0: code %d", a.ErrorCode)
		}
	}
}

// TestApiVersionsClient: what a client says of itself is held to KIP-511, and
// whom it wants to KIP-1242. The codes are Apache Kafka 4.4's answers.
func TestApiVersionsClient(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	c := dial(t, b)
	for _, s := range []struct {
		name, version string
		code          int16
	}{
		{"a", "1", 0}, {"a.b-c", "1.0-x", 0}, {"", "", 42}, {"a", "", 42}, {"-a", "1", 42},
		{"a b", "1", 42}, {"a", "1_0", 42}, {"a", "1.", 42}, {".", "1", 42},
	} {
		q := kmsg.NewPtrApiVersionsRequest()
		q.ClientSoftwareName, q.ClientSoftwareVersion = s.name, s.version
		if a := ask[*kmsg.ApiVersionsResponse](c, q, 3); a.ErrorCode != s.code {
			t.Errorf("software %q %q: code %d, want %d", s.name, s.version, a.ErrorCode, s.code)
		}
	}
	cluster, wrong := b.Node().ClusterID(), "wrong"
	for _, s := range []struct {
		cluster *string
		node    int32
		code    int16
	}{
		{nil, -1, 0}, {&cluster, 1, 0}, {&cluster, -1, 42}, {nil, 1, 42}, {&wrong, 1, 129}, {&cluster, 2, 129},
	} {
		body := []byte{2, 'a', 2, 'b'}
		if s.cluster == nil {
			body = append(body, 0)
		} else {
			body = append(append(body, byte(len(*s.cluster)+1)), *s.cluster...)
		}
		body = append(body, byte(s.node>>24), byte(s.node>>16), byte(s.node>>8), byte(s.node), 0)
		c.write(frame(18, 5, 1, true, body))
		_, answer, err := c.read()
		if err != nil || int16(answer[0])<<8|int16(answer[1]) != s.code {
			t.Errorf("cluster %v node %d: %x %v, want code %d", s.cluster, s.node, answer, err, s.code)
		}
	}
}
