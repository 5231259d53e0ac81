package kraft_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/replication/kraft"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

const (
	segment  = "00000000000000000000.log"
	snapshot = "00000000000000000000-0000000000.checkpoint"
)

// disk holds the files of a node's metadata.
func disk(t testing.TB, files map[string][]byte) vfs.FS {
	t.Helper()
	mem := vfs.NewMem()
	dir := "/data/" + kraft.LogName
	if err := mem.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := vfs.WriteFile(mem, dir+"/"+name, b); err != nil {
			t.Fatal(err)
		}
	}
	return mem
}

// written are the files that Apache Kafka 4.4.0 wrote, and kill -9 left, after
// scripts/kafkadir fill: topics were made, deleted, grown and configured.
func written(t testing.TB) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{segment, snapshot} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	return files
}

func describe(m *kraft.Image) string {
	var b strings.Builder
	for _, t := range m.Topics() {
		fmt.Fprintf(&b, "%s:", t.Name)
		for _, p := range t.Partitions {
			fmt.Fprintf(&b, " %d@%v", p.ID, p.Replicas)
		}
		for _, k := range slices.Sorted(maps.Keys(t.Configs)) {
			fmt.Fprintf(&b, " %s=%s", k, t.Configs[k])
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestReadKafka(t *testing.T) {
	m, err := kraft.Read(disk(t, written(t)), "/data")
	if err != nil {
		t.Fatal(err)
	}
	const small = "index.interval.bytes=1024 segment.bytes=1048576"
	three := " 0@[1] 1@[1] 2@[1]"
	want := "__transaction_state: 0@[1] 1@[1] cleanup.policy=compact compression.type=uncompressed min.insync.replicas=1 segment.bytes=104857600 unclean.leader.election.enable=false\n"
	for _, codec := range []string{"gzip", "lz4"} {
		want += "codec-" + codec + ":" + three + " " + small + "\n"
	}
	want += "codec-none:" + three + " index.interval.bytes=1024 retention.ms=86400000 segment.bytes=1048576\n"
	for _, codec := range []string{"snappy", "zstd"} {
		want += "codec-" + codec + ":" + three + " " + small + "\n"
	}
	want += "compacted:" + three + " cleanup.policy=compact min.cleanable.dirty.ratio=0.01 segment.bytes=1048576 segment.ms=1000\n"
	want += "empty: 0@[1] 1@[1] 2@[1] 3@[1] 4@[1]\n"
	want += "transactions:" + three + " " + small + "\n"
	if got := describe(m); got != want {
		t.Errorf("the topics are\n%s\nwant\n%s", got, want)
	}
	if m.NextProducerID != 2000 {
		t.Errorf("the next producer id is %d, want 2000: Kafka was started twice, and took a block each time", m.NextProducerID)
	}
	if got := fmt.Sprint(m.BrokerConfigs); got != "map[:map[min.insync.replicas:1]]" {
		t.Errorf("what was set for brokers is %s", got)
	}
	for _, topic := range m.Topics() {
		for _, p := range topic.Partitions {
			if p.Epoch < 0 || topic.ID == [16]byte{} {
				t.Errorf("%s has id %x, and partition %d epoch %d", topic.Name, topic.ID, p.ID, p.Epoch)
			}
		}
	}
}

// The end of the log may be torn; anything else that is damaged is an error.
func TestReadDamaged(t *testing.T) {
	whole := written(t)
	log := whole[segment]
	t.Run("torn", func(t *testing.T) {
		m, err := kraft.Read(disk(t, map[string][]byte{segment: log[:len(log)-3], snapshot: whole[snapshot]}), "/data")
		if err != nil || len(m.Topics()) == 0 {
			t.Errorf("%v", err)
		}
	})
	t.Run("no snapshot", func(t *testing.T) {
		if _, err := kraft.Read(disk(t, map[string][]byte{segment: log}), "/data"); err != nil {
			t.Error(err)
		}
	})
	t.Run("in the middle", func(t *testing.T) {
		bad := slices.Clone(log)
		bad[80] ^= 1
		files := map[string][]byte{segment: bad, "00000000000000001000.log": nil, snapshot: whole[snapshot]}
		if _, err := kraft.Read(disk(t, files), "/data"); err == nil {
			t.Error("damage before the last segment is not noticed")
		}
	})
	t.Run("begins late", func(t *testing.T) {
		if _, err := kraft.Read(disk(t, map[string][]byte{"00000000000000001000.log": nil, snapshot: whole[snapshot]}), "/data"); err == nil {
			t.Error("a log that begins behind the newest snapshot is taken")
		}
	})
	t.Run("absent", func(t *testing.T) {
		if _, err := kraft.Read(vfs.NewMem(), "/data"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v, want ErrNotExist", err)
		}
	})
}

// No bytes make the reader panic, or take more memory than there are bytes.
func FuzzRead(f *testing.F) {
	f.Add(written(f)[segment])
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := kraft.Read(disk(t, map[string][]byte{segment: b}), "/data")
		if err == nil {
			_ = m.Topics()
		}
	})
}
