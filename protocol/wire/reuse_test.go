package wire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// produceRequest is the body of a request with one partition, as it repeats on
// a producer's connection.
func produceRequest(version int16, records int) []byte {
	m := new(ProduceRequest)
	m.Acks, m.TimeoutMs = -1, 30000
	t := Append(&m.TopicData)
	if version < 13 {
		t.Name = "a-topic"
	} else {
		t.TopicId = UUID{1}
	}
	Append(&t.PartitionData).Records.Bytes = make([]byte, records)
	var w Writer
	m.Encode(&w, version)
	return w.Bytes()
}

// TestSteadyStateAllocations: a connection that repeats itself costs nothing.
func TestSteadyStateAllocations(t *testing.T) {
	check := func(name string, f func()) {
		t.Helper()
		f()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	var r Reader
	for _, version := range []int16{3, 9, 12, 13} {
		body := produceRequest(version, 1000)
		var m ProduceRequest
		check(fmt.Sprintf("decoding Produce v%d", version), func() {
			r.Reset(body)
			if err := m.Decode(&r, version); err != nil {
				t.Fatal(err)
			}
		})
	}
	id := "a client"
	var w Writer
	w.BeginRequest(&RequestHeader{RequestApiVersion: 9, ClientId: &id})
	header := bytes.Clone(w.Bytes()[4:])
	check("decoding a header", func() {
		r.Reset(header)
		if h, err := DecodeRequestHeader(&r); err != nil || *h.ClientId != id {
			t.Fatal(err)
		}
	})
	for _, version := range []int16{11, 18} {
		m := new(FetchResponse)
		check(fmt.Sprintf("building and encoding Fetch v%d", version), func() {
			m.Default()
			for range 3 {
				topic := Append(&m.Responses)
				for range 10 {
					Append(&topic.Partitions).Records.Hole = 5
				}
			}
			w.Reset()
			w.BeginResponse(KeyFetch, version, 1)
			m.Encode(&w, version)
			if err := w.Finish(); err != nil || len(w.Holes()) != 30 {
				t.Fatal(err)
			}
		})
	}
}

// TestAliases: records are the frame's own bytes, strings are not.
func TestAliases(t *testing.T) {
	frame := produceRequest(9, 4)
	var m ProduceRequest
	if err := m.Decode(NewReader(frame), 9); err != nil {
		t.Fatal(err)
	}
	for i := range frame {
		frame[i] = 0xee
	}
	topic := m.TopicData[0]
	if b := topic.PartitionData[0].Records.Bytes; !bytes.Equal(b, []byte("\xee\xee\xee\xee")) || cap(b) != 4 {
		t.Errorf("records are % x, capacity %d", b, cap(b))
	}
	if topic.Name != "a-topic" {
		t.Errorf("name is %q", topic.Name)
	}
}

// TestStringCache fills the cache beyond its size: strings that fall out of it
// are still right, and long ones are never kept.
func TestStringCache(t *testing.T) {
	var c stringCache
	for i := range 10 * cachedStrings {
		want := fmt.Sprintf("topic-%d", i)
		p := c.add([]byte(want))
		if *p != want || c.find([]byte(want)) != p {
			t.Fatalf("%q isn't found", want)
		}
	}
	kept := 0
	for i := range 10 * cachedStrings {
		want := fmt.Sprintf("topic-%d", i)
		if p := c.find([]byte(want)); p != nil {
			if kept++; *p != want {
				t.Errorf("%q is found as %q", want, *p)
			}
		}
	}
	if kept == 0 || kept > cachedStrings {
		t.Errorf("%d strings are kept", kept)
	}
	long := []byte(strings.Repeat("a", cachedLength+1))
	if c.add(long); c.find(long) != nil {
		t.Error("a long string is kept")
	}
}

// TestDefaults: what an older version doesn't have is the default of Kafka's
// definitions, whatever the struct held before.
func TestDefaults(t *testing.T) {
	var m MetadataRequest
	m.AllowAutoTopicCreation, m.IncludeTopicAuthorizedOperations = false, true
	if err := m.Decode(NewReader([]byte{0xff, 0xff, 0xff, 0xff}), 3); err != nil {
		t.Fatal(err)
	}
	if m.Topics != nil || !m.AllowAutoTopicCreation || m.IncludeTopicAuthorizedOperations {
		t.Errorf("decoded %+v", m)
	}
	if err := m.Decode(NewReader([]byte{0, 0, 0, 0}), 3); err != nil || m.Topics == nil {
		t.Errorf("no topics are all topics: %v", err)
	}
	p := Append(new([]FetchResponsePartitionData))
	if p.CurrentLeader.LeaderId != -1 || p.LogStartOffset != -1 || p.AbortedTransactions == nil || p.Records.Null {
		t.Errorf("default partition is %+v", p)
	}
	c := Append(new([]CreateTopicsResponseCreatableTopicResult))
	if c.Configs == nil || c.ErrorMessage != nil || c.NumPartitions != -1 {
		t.Errorf("default topic is %+v", c)
	}
}
