package protocol

import (
	"time"

	"github.com/bobbin-log/bobbin/protocol/wire"
)

// encode writes the response, with a hole for the records of each partition.
func (a *fetchAnswer) encode(w *wire.Writer) {
	a.response.Default()
	a.response.SessionId = a.settle()
	a.response.ErrorCode = a.code
	a.response.Responses = a.response.Responses[:0]
	a.response.NodeEndpoints = a.response.NodeEndpoints[:0]
	if a.code == codeNone {
		a.respond()
	}
	encode(w, &a.header, &a.response)
}

// settle brings the session up to date and returns its id.
func (a *fetchAnswer) settle() int32 {
	switch {
	case a.code != codeNone:
		return noSession
	case a.session != nil:
		if !a.session.settle(a.request.SessionEpoch, a.parts) {
			a.code = codeInvalidFetchSession
		}
		return a.session.id
	case !a.create || a.header.RequestApiVersion < 7:
		return noSession
	}
	cached := make([]cachedPartition, len(a.parts))
	for i := range a.parts {
		p := &a.parts[i]
		cached[i] = cachedPartition{key: p.key, params: p.params, highWatermark: p.highWatermark, logStart: p.logStart}
		if p.code != codeNone {
			cached[i].highWatermark = -1
		}
	}
	return a.server.sessions.create(time.Now(), a.header.RequestApiVersion >= 13, cached)
}

func (a *fetchAnswer) respond() {
	var topic *wire.FetchResponseFetchableTopicResponse
	for i := range a.parts {
		p := &a.parts[i]
		if p.omit {
			continue
		}
		if topic == nil || topic.Topic != p.key.topic || topic.TopicId != p.key.id {
			topic = wire.Append(&a.response.Responses)
			topic.Topic, topic.TopicId = p.key.topic, p.key.id
			topic.Partitions = topic.Partitions[:0]
		}
		a.respondPart(p, wire.Append(&topic.Partitions))
	}
}

func (a *fetchAnswer) respondPart(p *fetchPart, d *wire.FetchResponsePartitionData) {
	d.PartitionIndex = p.key.partition
	d.ErrorCode = p.code
	d.HighWatermark = p.highWatermark
	d.LastStableOffset = p.lastStable
	d.LogStartOffset = p.logStart
	d.PreferredReadReplica = -1
	d.AbortedTransactions = nil
	if a.request.IsolationLevel == isolationCommitted && p.code == codeNone {
		d.AbortedTransactions = []wire.FetchResponseAbortedTransaction{}
		for _, t := range p.aborted {
			a := wire.Append(&d.AbortedTransactions)
			a.ProducerId, a.FirstOffset = t.ProducerID, t.First
		}
	}
	if p.diverges {
		d.DivergingEpoch.Epoch, d.DivergingEpoch.EndOffset = p.divergingEpoch, p.divergingEnd
	}
	if p.partition != nil && p.code != codeNone && a.header.RequestApiVersion >= 16 {
		d.CurrentLeader.LeaderId = a.server.leaderOf(p.partition)
		d.CurrentLeader.LeaderEpoch = p.partition.LeaderEpoch()
		a.endpoint(d.CurrentLeader.LeaderId)
	}
	d.Records = wire.Records{}
	if n := p.extent.Len(); n > 0 {
		d.Records = wire.Records{Hole: n, ID: len(a.pins)}
		a.pins = append(a.pins, p.extent)
	}
}

// endpoint names a broker in the response, once.
func (a *fetchAnswer) endpoint(id int32) {
	for i := range a.response.NodeEndpoints {
		if a.response.NodeEndpoints[i].NodeId == id {
			return
		}
	}
	if b, ok := a.server.broker(id, a.listener); ok {
		e := wire.Append(&a.response.NodeEndpoints)
		e.NodeId, e.Host, e.Port, e.Rack = b.id, b.host, b.port, b.rack
	}
}
