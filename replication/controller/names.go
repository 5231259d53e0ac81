package controller

// nameBytesMax leaves room in a file name of 255 bytes for «-» and a partition.
const nameBytesMax = 249

// reservedTopics hold the cluster's own log and are no topics.
var reservedTopics = []string{"__cluster_metadata", "__bobbin_metadata"}

// CheckTopicName says what is wrong with a topic's name: an *Error of
// [ErrInvalidTopic], or nil. Legal are 1 to 249 ASCII letters, digits, '.', '_'
// and '-', other than "." and "..". Rule: Apache Kafka, common/internals/Topic.java.
func CheckTopicName(name string) error {
	switch {
	case name == "":
		return fault(ErrInvalidTopic, "Topic name is invalid: the empty string is not allowed")
	case name == "." || name == "..":
		return fault(ErrInvalidTopic, "Topic name is invalid: '%s' is not allowed", name)
	case len(name) > nameBytesMax:
		return fault(ErrInvalidTopic, "Topic name is invalid: the length of '%s' is longer than the max allowed length %d", name, nameBytesMax)
	}
	for _, c := range []byte(name) {
		if !legalInName(c) {
			return fault(ErrInvalidTopic, "Topic name is invalid: '%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
		}
	}
	return nil
}

func legalInName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

// ReservedID reports whether an id cannot be a topic's: zero stands for "no id",
// one for Kafka's metadata log, and a leading '-' in its base64 form would look
// like a flag.
func ReservedID(id [16]byte) bool {
	var zero, one [16]byte
	one[15] = 1
	const dash = 62 // in base64url
	return id == zero || id == one || id[0]>>2 == dash
}
