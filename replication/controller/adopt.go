package controller

import (
	"maps"
	"slices"
)

// Adopt takes over topics as they are, with their ids and epochs, and the configs of
// brokers, and does not hand out producer ids below nextProducerID. Topics whose name
// or id is known already are left out.
func (c *Controller) Adopt(topics []Topic, configs BrokerConfigs, nextProducerID int64) [][]byte {
	m := c.Image()
	var rs []record
	for _, id := range slices.Sorted(maps.Keys(configs)) {
		rs = append(rs, brokerConfigsRecord{id, configs[id]})
	}
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
