package controller

import (
	"math"
	"slices"
)

// RegisterBroker decides on a broker's entry, and on the cluster's id if it has
// none yet. Registering again what is known already gives no records.
func (c *Controller) RegisterBroker(clusterID string, b Broker) ([][]byte, error) {
	m := c.Image()
	var rs []record
	switch m.ClusterID {
	case clusterID:
	case "":
		rs = append(rs, clusterRecord{clusterID})
	default:
		return nil, fault(ErrInvalidRequest, "Expected cluster ID %s, but got cluster ID %s", m.ClusterID, clusterID)
	}
	old, ok := m.Broker(b.ID)
	if !ok || old.Rack != b.Rack || !slices.Equal(old.Endpoints, b.Endpoints) {
		rs = append(rs, brokerRecord(b))
	}
	return encodeAll(rs), nil
}

// ProducerIDBlock is how many producer ids a broker gets at a time, as in Kafka.
const ProducerIDBlock = 1000

// AllocateProducerIDs decides on the next block, [first, first+ProducerIDBlock),
// which nobody gets again.
func (c *Controller) AllocateProducerIDs() (records [][]byte, first int64, err error) {
	first = c.Image().NextProducerID
	if first > math.MaxInt64-ProducerIDBlock {
		return nil, 0, fault(ErrPolicy, "All producer ids have been handed out.")
	}
	return encodeAll([]record{producerIDsRecord{first + ProducerIDBlock}}), first, nil
}
