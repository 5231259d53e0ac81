package protocol

import (
	"path/filepath"

	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
)

// DescribeLogDirs, versions 1 to 5: what the partitions take on the disk.
//
//	2  flexible; 3 an error of the whole; 4 the disk's size and free bytes
//	5  cordoned directories, of which there are none here
//
// A broker has one directory, named by its absolute path: a client knows nothing
// of where the broker was started. Null topics stand for all of them; partitions
// that aren't there are left out.

func (s *Server) describeLogDirs(_ *request, q *wire.DescribeLogDirsRequest) *wire.DescribeLogDirsResponse {
	a := new(wire.DescribeLogDirsResponse)
	a.Default()
	dir := wire.Append(&a.Results)
	dir.LogDir = s.node.Dir()
	if abs, err := filepath.Abs(dir.LogDir); err == nil {
		dir.LogDir = abs
	}
	dir.TotalBytes, dir.UsableBytes = -1, -1
	if u, err := s.node.Usage(); err == nil {
		dir.TotalBytes, dir.UsableBytes = int64(u.Size), int64(u.Free)
	}
	m := s.node.Image()
	if q.Topics == nil {
		for t := range m.Topics() {
			s.describeSizes(dir, t, nil)
		}
		return a
	}
	for i := range q.Topics {
		if t := m.TopicByName(q.Topics[i].Topic); t != nil {
			s.describeSizes(dir, t, q.Topics[i].Partitions)
		}
	}
	return a
}

// describeSizes adds the given partitions of a topic; nil stands for all.
func (s *Server) describeSizes(dir *wire.DescribeLogDirsResponseDescribeLogDirsResult, t *replication.Topic, partitions []int32) {
	if partitions == nil {
		for i := range t.Partitions {
			partitions = append(partitions, int32(i))
		}
	}
	out := wire.Append(&dir.Topics)
	out.Name = t.Name
	for _, id := range partitions {
		p := s.node.ColdPartition(t.ID, id)
		if p == nil || p.Offline() {
			continue
		}
		if size, err := p.Bytes(); err == nil {
			d := wire.Append(&out.Partitions)
			d.PartitionIndex, d.PartitionSize = id, size
		}
	}
	if len(out.Partitions) == 0 {
		dir.Topics = dir.Topics[:len(dir.Topics)-1]
	}
}
