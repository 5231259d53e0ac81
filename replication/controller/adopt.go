package controller

// Adopt takes over topics as they are, with their ids and epochs, and does not
// hand out producer ids below nextProducerID. Those whose name or id is known
// already are left out.
func (c *Controller) Adopt(topics []Topic, nextProducerID int64) [][]byte {
	m := c.Image()
	var rs []record
	for _, t := range topics {
		if m.TopicByName(t.Name) == nil && m.TopicByID(t.ID) == nil {
			rs = append(rs, topicRecord(t))
		}
	}
	if nextProducerID > m.NextProducerID {
		rs = append(rs, producerIDsRecord{nextProducerID})
	}
	return encodeAll(rs)
}
