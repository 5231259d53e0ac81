package protocol

// Kafka's error codes, as far as this broker answers with them.
const (
	codeUnknownServerError      int16 = -1
	codeNone                    int16 = 0
	codeOffsetOutOfRange        int16 = 1
	codeCorruptMessage          int16 = 2
	codeUnknownTopicOrPartition int16 = 3
	codeLeaderNotAvailable      int16 = 5
	codeNotLeaderOrFollower     int16 = 6
	codeRequestTimedOut         int16 = 7
	codeMessageTooLarge         int16 = 10
	codeInvalidTopic            int16 = 17
	codeRecordListTooLarge      int16 = 18
	codeNotEnoughReplicas       int16 = 19
	codeInvalidRequiredAcks     int16 = 21
	codeInvalidTimestamp        int16 = 32
	codeUnsupportedVersion      int16 = 35
	codeTopicAlreadyExists      int16 = 36
	codeInvalidPartitions       int16 = 37
	codeInvalidReplication      int16 = 38
	codeInvalidAssignment       int16 = 39
	codeInvalidConfig           int16 = 40
	codeNotController           int16 = 41
	codeInvalidRequest          int16 = 42
	codePolicyViolation         int16 = 44
	codeOutOfOrderSequence      int16 = 45
	codeInvalidProducerEpoch    int16 = 47
	codeKafkaStorageError       int16 = 56
	codeUnknownProducerID       int16 = 59
	codeFetchSessionIDNotFound  int16 = 70
	codeInvalidFetchSession     int16 = 71
	codeFencedLeaderEpoch       int16 = 74
	codeUnknownLeaderEpoch      int16 = 75
	codeUnsupportedCompression  int16 = 76
	codeInvalidRecord           int16 = 87
	codeUnknownTopicID          int16 = 100
	codeInconsistentTopicID     int16 = 103
	codeFetchSessionTopicID     int16 = 106
	codeMismatchedEndpointType  int16 = 114
	codeUnsupportedEndpointType int16 = 115
	codeRebootstrapRequired     int16 = 129
)
