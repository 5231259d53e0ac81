package replication

import (
	"fmt"
	"os"
	"testing"

	"github.com/bobbin-log/bobbin/replication/kraft"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// kafkaDirectory is the directory of an Apache Kafka broker, its metadata and the
// file that says whose it is; see package kraft.
func kafkaDirectory(t *testing.T) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	dir := "/data/" + kraft.LogName
	if err := mem.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) {
		if err := vfs.WriteFile(mem, name, b); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"00000000000000000000.log", "00000000000000000000-0000000000.checkpoint"} {
		b, err := os.ReadFile("kraft/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		write(dir+"/"+name, b)
	}
	write("/data/meta.properties", []byte("#\nversion=1\ndirectory.id=x\nnode.id=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\n"))
	return mem
}

// On the directory of an Apache Kafka broker the node begins with Kafka's topics,
// and goes on from there with its own metadata.
func TestAdoptKafka(t *testing.T) {
	mem := kafkaDirectory(t)
	n, err := Open(t.Context(), testOptions(t, mem))
	if err != nil {
		t.Fatal(err)
	}
	m, err := kraft.Read(mem, "/data")
	if err != nil {
		t.Fatal(err)
	}
	if n.ClusterID() != "MkU3OEVBNTcwNTJENDM2Qg" || n.Image().Len() != len(m.Topics()) {
		t.Errorf("cluster %s has %d topics, want %d", n.ClusterID(), n.Image().Len(), len(m.Topics()))
	}
	for _, k := range m.Topics() {
		topic := n.Image().TopicByID(k.ID)
		if topic == nil || topic.Name != k.Name || len(topic.Partitions) != len(k.Partitions) {
			t.Errorf("%s became %+v", k.Name, topic)
			continue
		}
		for i, p := range topic.Partitions {
			if p.Leader != 1 || p.Epoch <= k.Partitions[i].Epoch {
				t.Errorf("%s-%d is led by %d in epoch %d, in Kafka it was %d", k.Name, i, p.Leader, p.Epoch, k.Partitions[i].Epoch)
			}
		}
	}
	if got := n.Defaults().SegmentBytes; n.topicConfig(n.Image().TopicByName("codec-none"), n.Defaults()).SegmentBytes == got {
		t.Error("the configs of a topic are not in force")
	}
	if id, err := n.NextProducerID(t.Context()); err != nil || id < m.NextProducerID {
		t.Errorf("producer id %d, %v: Kafka has handed out those below %d", id, err, m.NextProducerID)
	}
	produce(t, n, "codec-none", 0, "one")
	if _, err := n.DeleteTopics(t.Context(), []TopicRef{{Name: "codec-gzip"}}); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	again := openNode(t, mem)
	if again.Image().TopicByName("codec-gzip") != nil {
		t.Error("a topic that was deleted is taken over again")
	}
	if !again.Store().Clean() {
		t.Error("Kafka's metadata stand in the way of a clean stop")
	}
}

// What was set for Kafka's broker while it ran is in force: by it records are kept.
// What is none of a topic's defaults is not taken over, for it may be a secret.
func TestAdoptBrokerConfigs(t *testing.T) {
	mem := kafkaDirectory(t)
	name := "/data/" + kraft.LogName + "/00000000000000000000.log"
	log, err := vfs.ReadFile(mem, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	// A ConfigRecord: frame 1, kind 4, version 0; resource type; name, key and value,
	// each with its length and one more, or 0 for none; no tagged fields.
	set := func(offset int64, broker, key, value string) {
		text := func(s string) string { return string(rune(len(s)+1)) + s }
		record := "\x01\x04\x00\x04" + text(broker) + text(key) + text(value) + "\x00"
		if value == "" {
			record = "\x01\x04\x00\x04" + text(broker) + text(key) + "\x00\x00"
		}
		b := batch.Of(batch.Record{Value: []byte(record)}).Bytes()
		b.Stamp(offset, 0)
		log = append(log, b...)
	}
	set(1_000_000, "", "log.retention.ms", "-1")
	set(1_000_001, "", "log.retention.bytes", "5")
	set(1_000_002, "1", "log.retention.bytes", "77")
	set(1_000_003, "1", "log.segment.bytes", "1048577")
	set(1_000_004, "1", "log.segment.bytes", "")
	set(1_000_005, "1", "listener.name.x.ssl.key.password", "secret")
	set(1_000_006, "2", "log.retention.ms", "6")
	if err := vfs.WriteFile(mem, name, log); err != nil {
		t.Fatal(err)
	}
	n := openNode(t, mem)
	want := "map[-1:map[log.retention.bytes:5 log.retention.ms:-1 min.insync.replicas:1] 1:map[log.retention.bytes:77]]"
	if got := fmt.Sprint(n.Image().BrokerConfigs); got != want {
		t.Errorf("brokers have %s, want %s", got, want)
	}
	p, err := n.Partition("empty", 0)
	if err != nil {
		t.Fatal(err)
	}
	if c := p.Config(); c.RetentionAge >= 0 || c.RetentionBytes != 77 {
		t.Errorf("records are kept for %v and up to %d bytes", c.RetentionAge, c.RetentionBytes)
	}
}

// A topic that lies on other nodes too is left out, and its directory left alone.
func TestAdoptPartly(t *testing.T) {
	mem := kafkaDirectory(t)
	write := []byte("version=1\nnode.id=2\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\n")
	if err := vfs.WriteFile(mem, "/data/meta.properties", write); err != nil {
		t.Fatal(err)
	}
	n := openNode(t, mem, func(o *Options) { o.NodeID = 2 })
	if n.Image().Len() != 0 {
		t.Errorf("node 2 took over %d topics of node 1", n.Image().Len())
	}
}

// Metadata that cannot be read keep the node from starting without its topics.
func TestAdoptDamaged(t *testing.T) {
	mem := kafkaDirectory(t)
	if err := vfs.WriteFile(mem, "/data/"+kraft.LogName+"/00000000000000000000-0000000000.checkpoint", []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	n, err := Open(t.Context(), testOptions(t, mem))
	if err == nil {
		_ = n.Close()
		t.Fatal("a node opened without the topics that its directory has")
	}
}
