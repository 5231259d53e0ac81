package replication

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// closeNode closes a node before the test ends.
func closeNode(t *testing.T, n *Node) {
	t.Helper()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

// names lists what is in the data directory.
func names(t *testing.T, fs vfs.FS) (names []string) {
	t.Helper()
	entries, err := fs.ReadDir("/data")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestForeignDirectories: a directory that no topic owns is left alone, and goes
// aside when its name is needed; nothing of it is lost.
func TestForeignDirectories(t *testing.T) {
	fs := vfs.NewMem()
	store, err := engine.OpenStore(engine.StoreOptions{FS: fs, Dir: "/data", NodeID: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"foreign-0", "other-3"} {
		l, err := store.Create(name, engine.LogOptions{Config: engine.DefaultConfig(), TopicID: [16]byte{9}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(set(t, "theirs"), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	n := openNode(t, fs)
	if n.Image().Len() != 0 {
		t.Error("directories became topics")
	}
	create(t, n, "foreign", 1)
	produce(t, n, "foreign", 0, "ours")
	if got := consume(t, n, "foreign", 0); !slices.Equal(got, []string{"ours"}) {
		t.Errorf("the topic has %q", got)
	}
	closeNode(t, n)
	var stray string
	for _, name := range names(t, fs) {
		if strings.HasPrefix(name, "foreign-0.") && strings.HasSuffix(name, "-stray") {
			stray = name
		}
	}
	if stray == "" || !slices.Contains(names(t, fs), "other-3") {
		t.Fatalf("the foreign directories are not among %q", names(t, fs))
	}
	f, err := fs.OpenRead(path.Join("/data", stray, "00000000000000000000.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 200)
	if _, _ = f.ReadAt(b, 0); !strings.Contains(string(b), "theirs") {
		t.Error("the foreign records are gone")
	}
}

// TestLostTopicID: records of which nobody can tell whose they are neither serve
// as the partition's own nor make way for an empty log.
func TestLostTopicID(t *testing.T) {
	fs := vfs.NewMem()
	n := openNode(t, fs)
	create(t, n, "t", 1)
	produce(t, n, "t", 0, "v")
	closeNode(t, n)
	if err := fs.Rename("/data/t-0/partition.metadata", "/data/kept"); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, fs)
	if _, err := n.Partition("t", 0); !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "partition.metadata") {
		t.Errorf("a partition without its id: %v, want ErrOffline", err)
	}
	closeNode(t, n)
	if err := fs.Rename("/data/kept", "/data/t-0/partition.metadata"); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, fs)
	if got := consume(t, n, "t", 0); !slices.Equal(got, []string{"v"}) {
		t.Errorf("with its id it has %q", got)
	}
}

// TestLostDirectory: a partition whose records are gone is not served as empty.
func TestLostDirectory(t *testing.T) {
	fs := vfs.NewMem()
	n := openNode(t, fs)
	create(t, n, "t", 2)
	produce(t, n, "t", 1, "v")
	closeNode(t, n)
	if err := fs.RemoveAll("/data/t-1"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the next start does not forget it
		n = openNode(t, fs)
		if _, err := n.Partition("t", 1); !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "below offset 1") {
			t.Fatalf("a lost partition: %v, want ErrOffline", err)
		}
		if _, err := n.Partition("t", 0); err != nil {
			t.Errorf("its neighbour: %v", err)
		}
		closeNode(t, n)
	}
	// Deleting the topic is the way out, and its name is not haunted.
	n = openNode(t, fs)
	if rs, err := n.DeleteTopics(t.Context(), []TopicRef{{Name: "t"}}); err != nil || rs[0].Err != nil {
		t.Fatal(rs, err)
	}
	create(t, n, "t", 2)
	closeNode(t, n)
	n = openNode(t, fs)
	if _, err := n.Partition("t", 1); err != nil {
		t.Error(err)
	}
}

// TestDamagedPartition: one damaged log takes one partition offline, not the node.
func TestDamagedPartition(t *testing.T) {
	fs := vfs.NewMem()
	n := openNode(t, fs)
	create(t, n, "t", 2)
	produce(t, n, "t", 1, "v")
	closeNode(t, n)
	f, err := fs.Open("/data/t-1/partition.metadata")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([][]byte{[]byte("version: 0\ntopic_id: ?????")}, 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	n = openNode(t, fs)
	var damaged *engine.CorruptError
	if _, err := n.Partition("t", 1); !errors.Is(err, ErrOffline) || !errors.As(err, &damaged) {
		t.Errorf("%v, want ErrOffline and a CorruptError", err)
	}
	produce(t, n, "t", 0, "v")
}

// TestFullDiskRefusesTopics: a topic for which there is no room is not there, and
// can be made when there is.
func TestFullDiskRefusesTopics(t *testing.T) {
	fs := vfs.NewMem()
	n := openNode(t, fs)
	create(t, n, "before", 1)
	use, err := fs.Usage("/data")
	if err != nil {
		t.Fatal(err)
	}
	// Enough for the metadata, not for indexes.
	fs.SetCapacity(int64(use.Size-use.Free) + 24<<10)
	_, err = n.CreateTopics(t.Context(), []TopicSpec{{Name: "t", Partitions: 8, Replication: -1}}, false)
	if !errors.Is(err, engine.ErrNoSpace) {
		t.Fatalf("%v, want ErrNoSpace", err)
	}
	if n.Image().TopicByName("t") != nil {
		t.Error("the topic is there nevertheless")
	}
	fs.SetCapacity(1 << 30)
	create(t, n, "t", 8)
	produce(t, n, "t", 7, "v")
	produce(t, n, "before", 0, "v")
}

// TestUnusedTopicsDirectories: a directory that has the name of a partition, and is
// not the partition's, outlives the topic: where it is, or aside.
func TestUnusedTopicsDirectories(t *testing.T) {
	fs := vfs.NewMem()
	file := "/data/photos-2/a.jpg"
	if err := fs.MkdirAll(path.Dir(file)); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFile(fs, file, []byte("a photo")); err != nil {
		t.Fatal(err)
	}
	store, err := engine.OpenStore(engine.StoreOptions{FS: fs, Dir: "/data", NodeID: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Create("photos-1", engine.LogOptions{Config: engine.DefaultConfig(), TopicID: [16]byte{9}}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, restart := range []bool{false, true} {
		n := openNode(t, fs)
		create(t, n, "photos", 3)
		if restart {
			closeNode(t, n)
			n = openNode(t, fs)
		}
		produce(t, n, "photos", 0, "v")
		if rs, err := n.DeleteTopics(t.Context(), []TopicRef{{Name: "photos"}}); err != nil || rs[0].Err != nil {
			t.Fatal(rs, err)
		}
		closeNode(t, n)
	}
	var theirs []string
	for _, name := range names(t, fs) {
		for _, file := range []string{"a.jpg", "00000000000000000000.log"} {
			if _, err := fs.Stat(path.Join("/data", name, file)); err == nil && strings.HasPrefix(name, "photos-") {
				theirs = append(theirs, name[:len("photos-0")]+" "+file)
			}
		}
	}
	if want := []string{"photos-1 00000000000000000000.log", "photos-2 a.jpg"}; !slices.Equal(theirs, want) {
		t.Errorf("left are %q, want %q", theirs, want)
	}
}

func TestOpenRefuses(t *testing.T) {
	fs := vfs.NewMem()
	n := openNode(t, fs)
	o := testOptions(t, fs)
	if _, err := Open(t.Context(), o); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("a second node in the directory: %v, want ErrLocked", err)
	}
	closeNode(t, n)
	o.ClusterID = "other"
	if _, err := Open(t.Context(), o); !errors.Is(err, engine.ErrFormat) {
		t.Errorf("another cluster's directory: %v, want ErrFormat", err)
	}
	o.ClusterID, o.NodeID = "", 2
	if _, err := Open(t.Context(), o); !errors.Is(err, engine.ErrFormat) {
		t.Errorf("another node's directory: %v, want ErrFormat", err)
	}
	openNode(t, fs) // nothing of that left a lock behind
}

// TestOtherPeoplesFiles: a directory that is only named like a log's, or like a
// deleted one's, stays as it is.
func TestOtherPeoplesFiles(t *testing.T) {
	fs := vfs.NewMem()
	files := []string{"/data/photos-2024/a.jpg", "/data/things-to-delete/list", "/data/x.0123-delete/list", "/data/nested-1/deep/file"}
	for _, name := range files {
		if err := fs.MkdirAll(path.Dir(name)); err != nil {
			t.Fatal(err)
		}
		f, err := fs.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"/data/begun-0", "/data/t-0.0123456789abcdef-delete"} { // what a crash leaves of ours
		if err := fs.MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	closeNode(t, openNode(t, fs))
	closeNode(t, openNode(t, fs))
	for _, name := range append(files, "/data/.kafka_cleanshutdown") { // nothing of these had to be recovered
		if _, err := fs.Stat(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range names(t, fs) {
		if strings.HasPrefix(name, "begun") || strings.HasPrefix(name, "t-0") {
			t.Errorf("%s was not removed", name)
		}
	}
}

// TestLostIdentity: metadata without meta.properties are not made another
// cluster's.
func TestLostIdentity(t *testing.T) {
	fs := vfs.NewMem()
	n := openNode(t, fs)
	cluster := n.ClusterID()
	create(t, n, "t", 1)
	closeNode(t, n)
	if err := fs.Remove("/data/meta.properties"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), testOptions(t, fs)); !errors.Is(err, engine.ErrFormat) {
		t.Fatalf("opened without its identity: %v", err)
	}
	if _, err := fs.Stat("/data/meta.properties"); err == nil {
		t.Error("the refused start has made up an identity")
	}
	n = openNode(t, fs, func(o *Options) { o.ClusterID = cluster })
	if n.Image().TopicByName("t") == nil {
		t.Error("the topic is gone")
	}
}

// TestMixedUpIdentity: a meta.properties of another cluster is told from the
// metadata beside it, and the error says what to mend.
func TestMixedUpIdentity(t *testing.T) {
	fs := vfs.NewMem()
	n := openNode(t, fs)
	cluster := n.ClusterID()
	closeNode(t, n)
	const name = "/data/meta.properties"
	if err := fs.Remove(name); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([][]byte{[]byte("version=1\nnode.id=1\ncluster.id=another\n")}, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), testOptions(t, fs))
	if !errors.Is(err, engine.ErrFormat) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), cluster) {
		t.Errorf("opened as another cluster's: %v", err)
	}
}
