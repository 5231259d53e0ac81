package replication

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

var rewrite = flag.Bool("rewrite", false, "write testdata instead of comparing with it")

// TestOrderOnDisk holds what is made durable, and in which order, against a
// golden file: the record of a topic before its directory, the end of a topic
// before its directory goes, the vote before the office.
func TestOrderOnDisk(t *testing.T) {
	var trace bytes.Buffer
	fs := vfs.NewTrace(vfs.NewMem(), &trace, vfs.OpMkdirAll, vfs.OpSync, vfs.OpSyncDir, vfs.OpRename)
	say := func(s string) { trace.WriteString("# " + s + "\n") }
	say("open an empty directory")
	n := openNode(t, fs)
	say("create topic t")
	create(t, n, "t", 1)
	say("produce")
	produce(t, n, "t", 0, "v")
	say("a block of producer ids")
	if _, err := n.NextProducerID(t.Context()); err != nil {
		t.Fatal(err)
	}
	say("delete topic t")
	if rs, err := n.DeleteTopics(t.Context(), []TopicRef{{Name: "t"}}); err != nil || rs[0].Err != nil {
		t.Fatal(rs, err)
	}
	got := regexp.MustCompile(`\.[0-9a-f]{16}-delete`).ReplaceAll(trace.Bytes(), []byte(".ID-delete"))
	const golden = "testdata/order.txt"
	if *rewrite {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the order on disk is (run with -rewrite to keep it)\n%s", got)
	}
}
