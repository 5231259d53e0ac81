package protocol

import (
	"github.com/bobbin-log/bobbin/protocol/wire"
	"github.com/bobbin-log/bobbin/replication"
)

// DeleteTopics, versions 1 to 6.
//
//	4  flexible
//	5  messages in the response, and THROTTLING_QUOTA_EXCEEDED
//	6  topics by name or id
//
// When the answer comes the names are free again.

func (s *Server) deleteTopics(r *request, q *wire.DeleteTopicsRequest) *wire.DeleteTopicsResponse {
	a := new(wire.DeleteTopicsResponse)
	a.Default()
	refs := make([]replication.TopicRef, 0, len(q.Topics)+len(q.TopicNames))
	for i := range q.Topics {
		t := &q.Topics[i]
		ref := replication.TopicRef{ID: t.TopicId}
		if t.Name != nil {
			ref.Name = *t.Name
		}
		if t.Name != nil && *t.Name == "" {
			refuseNameless(t, wire.Append(&a.Responses))
			continue
		}
		refs = append(refs, ref)
	}
	for _, name := range q.TopicNames {
		refs = append(refs, replication.TopicRef{Name: name})
	}
	ctx, cancel := r.timeout(q.TimeoutMs)
	defer cancel()
	results, err := s.node.DeleteTopics(ctx, refs)
	reported := map[replication.TopicRef]bool{}
	for i, ref := range refs {
		// What was given twice is answered once.
		if reported[ref] {
			continue
		}
		reported[ref] = true
		out := wire.Append(&a.Responses)
		name, id, failed := ref.Name, ref.ID, err
		if err == nil {
			name, id, failed = results[i].Name, results[i].ID, results[i].Err
		}
		if name == "" && r.version() < 6 && failed != nil {
			// Only ids come without a name, and a name may be empty.
			failed = replication.ErrUnknownTopic
		}
		out.ErrorCode, out.ErrorMessage, out.TopicId = codeOf(failed), reason(failed), id
		if name != "" || r.version() < 6 {
			out.Name = &name
		}
	}
	return a
}

// refuseNameless answers for a topic whose name was given and is empty: to a
// TopicRef that would be no name, and its id alone would count.
func refuseNameless(t *wire.DeleteTopicsRequestDeleteTopicState, out *wire.DeleteTopicsResponseDeletableTopicResult) {
	err := badRequest("You may not specify both topic name and topic id.")
	if t.TopicId.IsZero() {
		err = replication.ErrUnknownTopic
	}
	out.Name, out.TopicId, out.ErrorCode, out.ErrorMessage = t.Name, t.TopicId, codeOf(err), reason(err)
}
