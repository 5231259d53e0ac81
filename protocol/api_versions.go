package protocol

import (
	"github.com/bobbin-log/bobbin/protocol/wire"
)

// ApiVersions, versions 0 to 5.
//
//	0  which APIs there are, and in which versions
//	3  flexible, but for the header; the client's software
//	4  supported features may have a minimum of 0
//	5  whom the client thinks that it reaches: cluster and node (KIP-1242)
//
// Any other version is answered in version 0, by which a client of a newer
// release learns what it may say.
//
// No features are listed: those of Kafka stand for behaviour that isn't there.

func (s *Server) apiVersions(r *request, q *wire.ApiVersionsRequest) *wire.ApiVersionsResponse {
	a := new(wire.ApiVersionsResponse)
	a.Default()
	if a.ErrorCode = s.checkClient(r.version(), q); a.ErrorCode != codeNone {
		return a
	}
	for i := range s.apis.list {
		s.apis.list[i].describe(wire.Append(&a.ApiKeys))
	}
	return a
}

func (a *api) describe(v *wire.ApiVersionsResponseApiVersion) {
	v.ApiKey, v.MinVersion, v.MaxVersion = a.key, a.min, a.max
}

// checkClient looks at what a client says of itself and of whom it wants.
func (s *Server) checkClient(version int16, q *wire.ApiVersionsRequest) int16 {
	if version >= 3 && !(isSoftwareName(q.ClientSoftwareName) && isSoftwareName(q.ClientSoftwareVersion)) {
		return codeInvalidRequest
	}
	if version < 5 {
		return codeNone
	}
	image := s.node.Image()
	switch {
	case q.ClusterId == nil && q.NodeId == -1:
		return codeNone
	case q.ClusterId == nil || q.NodeId == -1:
		return codeInvalidRequest
	case *q.ClusterId != image.ClusterID || q.NodeId != s.node.ID():
		// The client's addresses are out of date: it is to ask its bootstrap
		// servers again.
		return codeRebootstrapRequired
	}
	return codeNone
}

// isSoftwareName holds a client's name or version to the form that KIP-511
// gives them: letters, digits, '-' and '.', of which the last two don't stand at
// the ends.
func isSoftwareName(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case (c == '-' || c == '.') && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return true
}

// unknownApiVersions answers in version 0, and with the one line that matters.
func (s *Server) unknownApiVersions(r *request) (answer, error) {
	a := new(wire.ApiVersionsResponse)
	a.Default()
	a.ErrorCode = codeUnsupportedVersion
	s.apis.byKey[wire.KeyApiVersions].describe(wire.Append(&a.ApiKeys))
	h := r.header
	h.RequestApiVersion = 0
	return &message{header: h, body: a}, nil
}
