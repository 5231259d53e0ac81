package replication

import (
	"path/filepath"
	"testing"

	"github.com/bobbin-log/bobbin/replication/quorum"
	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// BenchmarkStart is an empty directory to the first acknowledged record.
func BenchmarkStart(b *testing.B) {
	for _, c := range []struct {
		name string
		fs   func(b *testing.B) (vfs.FS, string)
	}{
		{"disk=mem", func(*testing.B) (vfs.FS, string) { return vfs.NewMem(), "/data" }},
		{"disk=os", func(b *testing.B) (vfs.FS, string) { return vfs.OS{}, filepath.Join(b.TempDir(), "data") }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				fs, dir := c.fs(b)
				b.StartTimer()
				n, err := Open(b.Context(), Options{FS: fs, Dir: dir, NodeID: 1})
				if err != nil {
					b.Fatal(err)
				}
				rs, err := n.CreateTopics(b.Context(), []TopicSpec{{Name: "t", Partitions: 1, Replication: 1}}, false)
				if err != nil || rs[0].Err != nil {
					b.Fatal(err, rs)
				}
				p, err := n.Partition("t", 0)
				if err != nil {
					b.Fatal(err)
				}
				pending, err := p.Append(oneRecord(), quorum.All, AnyEpoch)
				if err == nil {
					err = pending.Wait(b.Context())
				}
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := n.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

func oneRecord() batch.Set {
	s, err := batch.Parse(batch.Of(batch.Record{Timestamp: 1, Value: []byte("v")}).Bytes())
	if err != nil {
		panic(err)
	}
	return s
}
