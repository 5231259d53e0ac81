package protocol

import (
	"fmt"

	"github.com/bobbin-log/bobbin/protocol/wire"
)

// DescribeCluster, versions 0 to 2.
//
//	1  the type of endpoint that the client wants
//	2  fenced brokers, of which there are none here

// Types of endpoints.
const (
	endpointBroker     int8 = 1
	endpointController int8 = 2
)

func (s *Server) describeCluster(r *request, q *wire.DescribeClusterRequest) *wire.DescribeClusterResponse {
	a := new(wire.DescribeClusterResponse)
	a.Default()
	if q.EndpointType != endpointBroker {
		a.ErrorCode = codeUnsupportedEndpointType
		why := fmt.Sprintf("Unsupported endpoint type %d", q.EndpointType)
		if q.EndpointType == endpointController {
			a.ErrorCode = codeMismatchedEndpointType
			why = "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
		}
		a.ErrorMessage = &why
		return a
	}
	m := s.node.Image()
	a.ClusterId, a.ControllerId = m.ClusterID, s.node.ID()
	a.ClusterAuthorizedOperations = operations(q.IncludeClusterAuthorizedOperations, allClusterOperations)
	for _, b := range addresses(m, r.conn.listener) {
		out := wire.Append(&a.Brokers)
		out.BrokerId, out.Host, out.Port, out.Rack = b.id, b.host, b.port, b.rack
	}
	return a
}
