package wire

// apiVersionsKey is the key of ApiVersions. Its response has the oldest header
// in every version: a client that sends it doesn't know yet what the broker
// can read.
const apiVersionsKey = 18

// API is what Kafka 4.4 says of one kind of request. The codec may know less:
// see [NewRequest].
type API struct {
	Key int16
	// Name is Kafka's, without "Request": "Produce".
	Name string
	// Min and Max are the versions that Kafka 4.4 itself offers.
	Min, Max int16
	// Latest is the newest version that is defined; it is above Max while Kafka
	// calls it unstable.
	Latest int16
	// FirstFlexible is the first version with compact lengths and tagged
	// fields, or -1 if there is none.
	FirstFlexible int16
}

// Flexible reports whether a version has compact lengths and tagged fields.
func (a API) Flexible(version int16) bool {
	return a.FirstFlexible >= 0 && version >= a.FirstFlexible
}

// RequestHeaderVersion is the version of the [RequestHeader] of a request of
// the given version.
func (a API) RequestHeaderVersion(version int16) int16 {
	if a.Flexible(version) {
		return 2
	}
	return 1
}

// ResponseHeaderVersion is the version of the [ResponseHeader] of a response of
// the given version.
func (a API) ResponseHeaderVersion(version int16) int16 {
	if a.Flexible(version) && a.Key != apiVersionsKey {
		return 1
	}
	return 0
}
