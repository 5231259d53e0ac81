package protocol

import (
	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// ListOffsets, versions 1 to 11.
//
//	 2  isolation level: latest is the last stable offset if it is read_committed
//	 4  leader epochs, in both directions
//	 6  flexible
//	 7  the newest timestamp (-3); 8 the earliest that is local (-4); 9 the
//	    latest that is in remote storage (-5); 11 the earliest not yet there (-6)
//	10  a timeout, for look-ups in remote storage
//
// A timestamp is answered with the first record that is at it or later, or with
// offset -1 if there is none.

// Timestamps of ListOffsets that are not times.
const (
	latestOffset         int64 = -1
	earliestOffset       int64 = -2
	newestTimestamp      int64 = -3
	earliestLocalOffset  int64 = -4
	latestTieredOffset   int64 = -5
	earliestPendingTiers int64 = -6
)

// specialSince returns the version from which a timestamp that is not a time is
// understood.
func specialSince(timestamp int64) (version int16, ok bool) {
	switch timestamp {
	case latestOffset, earliestOffset:
		return 1, true
	case newestTimestamp:
		return 7, true
	case earliestLocalOffset:
		return 8, true
	case latestTieredOffset:
		return 9, true
	case earliestPendingTiers:
		return 11, true
	}
	return 0, false
}

func (s *Server) listOffsets(r *request, q *wire.ListOffsetsRequest) *wire.ListOffsetsResponse {
	a := new(wire.ListOffsetsResponse)
	a.Default()
	type key struct {
		topic     string
		partition int32
	}
	times := map[key]int{}
	for i := range q.Topics {
		for j := range q.Topics[i].Partitions {
			times[key{q.Topics[i].Name, q.Topics[i].Partitions[j].PartitionIndex}]++
		}
	}
	s.node.WarmUp(s.ctx, func(yield func(*replication.Partition) bool) {
		for k := range times {
			if !yield(s.node.ColdPartitionNamed(k.topic, k.partition)) {
				return
			}
		}
	})
	for i := range q.Topics {
		t := &q.Topics[i]
		topic := wire.Append(&a.Topics)
		topic.Name = t.Name
		for j := range t.Partitions {
			out := wire.Append(&topic.Partitions)
			out.PartitionIndex = t.Partitions[j].PartitionIndex
			if times[key{t.Name, out.PartitionIndex}] > 1 {
				out.ErrorCode = codeInvalidRequest
				continue
			}
			s.listOffset(r, t.Name, q.IsolationLevel == isolationCommitted, &t.Partitions[j], out)
		}
	}
	return a
}

// listOffset answers for one partition.
func (s *Server) listOffset(r *request, topic string, committed bool, q *wire.ListOffsetsRequestListOffsetsPartition, out *wire.ListOffsetsResponseListOffsetsPartitionResponse) {
	since, special := specialSince(q.Timestamp)
	if q.Timestamp < 0 && (!special || r.version() < since) {
		out.ErrorCode = codeUnsupportedVersion
		return
	}
	p, err := s.node.Partition(topic, q.PartitionIndex)
	if err == nil {
		err = p.CheckEpoch(q.CurrentLeaderEpoch)
	}
	if err == nil {
		err = p.With(func(log *engine.Log) error { return s.findOffset(r, p, log, q.Timestamp, committed, out) })
	}
	if err != nil {
		out.ErrorCode = codeOf(err)
		out.Offset, out.Timestamp, out.LeaderEpoch = -1, -1, -1
		if p != nil { // else it is offline, which was said when it was opened
			s.corrupt(err, p)
		}
	}
	if r.version() < 4 {
		out.LeaderEpoch = -1 // the version has no such field
	}
}

// findOffset answers for a partition. What the client could not fetch, by its
// isolation level, it does not find.
func (s *Server) findOffset(r *request, p *replication.Partition, log *engine.Log, timestamp int64, committed bool, out *wire.ListOffsetsResponseListOffsetsPartitionResponse) (err error) {
	marks := log.Marks() // not p's, which may be cold by now and then knows no stable offset
	end := marks.Acked
	if committed {
		end = marks.LastStable()
	}
	var pos engine.Position
	var ok bool
	switch timestamp {
	case latestOffset:
		out.Offset, out.LeaderEpoch = end, p.LeaderEpoch()
		return nil
	case earliestOffset, earliestLocalOffset:
		out.Offset = marks.Start
		epoch, err := s.epochAt(r, p, out.Offset)
		out.LeaderEpoch = epoch
		return err
	case latestTieredOffset, earliestPendingTiers:
		return nil // there is no remote storage: -1
	case newestTimestamp:
		pos, ok, err = log.NewestTime()
	default:
		pos, ok, err = log.OffsetForTime(timestamp)
	}
	if err == nil && ok && pos.Offset < end {
		out.Offset, out.Timestamp, out.LeaderEpoch = pos.Offset, pos.Timestamp, pos.Epoch
	}
	return err
}

// epochAt returns the leader epoch of the batch that holds an offset, or the
// partition's if there is none yet.
func (s *Server) epochAt(r *request, p *replication.Partition, offset int64) (int32, error) {
	if offset >= p.HighWatermark() {
		return p.LeaderEpoch(), nil
	}
	got, err := p.Read(r.ctx, replication.ReadRequest{From: offset, MaxBytes: batch.HeaderSize, AtLeastOne: true, LeaderEpoch: replication.AnyEpoch})
	if err != nil {
		return -1, err
	}
	defer got.Extent.Release()
	header := make(batch.Batch, batch.HeaderSize)
	if _, err := got.Extent.ReadAt(header, 0); err != nil {
		return -1, err
	}
	return header.LeaderEpoch(), nil
}
