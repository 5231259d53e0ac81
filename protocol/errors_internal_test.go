package protocol

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// TestCodes holds our numbers to franz-go's.
func TestCodes(t *testing.T) {
	for code, want := range map[int16]*kerr.Error{
		codeUnknownServerError: kerr.UnknownServerError, codeOffsetOutOfRange: kerr.OffsetOutOfRange,
		codeCorruptMessage: kerr.CorruptMessage, codeUnknownTopicOrPartition: kerr.UnknownTopicOrPartition,
		codeLeaderNotAvailable: kerr.LeaderNotAvailable, codeNotLeaderOrFollower: kerr.NotLeaderForPartition,
		codeRequestTimedOut: kerr.RequestTimedOut, codeMessageTooLarge: kerr.MessageTooLarge,
		codeInvalidTopic: kerr.InvalidTopicException, codeRecordListTooLarge: kerr.RecordListTooLarge,
		codeInvalidRequiredAcks: kerr.InvalidRequiredAcks, codeInvalidTimestamp: kerr.InvalidTimestamp,
		codeUnsupportedVersion: kerr.UnsupportedVersion, codeTopicAlreadyExists: kerr.TopicAlreadyExists,
		codeInvalidPartitions: kerr.InvalidPartitions, codeInvalidReplication: kerr.InvalidReplicationFactor,
		codeInvalidAssignment: kerr.InvalidReplicaAssignment, codeInvalidConfig: kerr.InvalidConfig,
		codeNotController: kerr.NotController, codeInvalidRequest: kerr.InvalidRequest, codePolicyViolation: kerr.PolicyViolation,
		codeOutOfOrderSequence: kerr.OutOfOrderSequenceNumber, codeInvalidProducerEpoch: kerr.InvalidProducerEpoch,
		codeKafkaStorageError: kerr.KafkaStorageError, codeFetchSessionIDNotFound: kerr.FetchSessionIDNotFound,
		codeInvalidFetchSession: kerr.InvalidFetchSessionEpoch, codeFencedLeaderEpoch: kerr.FencedLeaderEpoch,
		codeUnknownLeaderEpoch: kerr.UnknownLeaderEpoch, codeUnsupportedCompression: kerr.UnsupportedCompressionType,
		codeInvalidRecord: kerr.InvalidRecord, codeUnknownTopicID: kerr.UnknownTopicID,
		codeFetchSessionTopicID: kerr.FetchSessionTopicIDError, codeMismatchedEndpointType: kerr.MismatchedEndpointType,
		codeUnsupportedEndpointType: kerr.UnsupportedEndpointType, codeRebootstrapRequired: kerr.RebootstrapRequired,
	} {
		if code != want.Code {
			t.Errorf("%s is %d, not %d", want.Message, want.Code, code)
		}
	}
}

// TestCodeOf: wrapped errors keep their code, and what nobody foresaw is
// UNKNOWN_SERVER_ERROR.
func TestCodeOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int16
	}{
		{nil, codeNone},
		{errors.New("what is this?"), codeUnknownServerError},
		{&engine.RangeError{}, codeOffsetOutOfRange},
		{&engine.CorruptError{}, codeCorruptMessage},
		{engine.ErrNoSpace, codeKafkaStorageError},
		{engine.ErrFailed, codeKafkaStorageError},
		{engine.ErrSequence, codeOutOfOrderSequence},
		{batch.ErrTruncated, codeInvalidRecord},
		{batch.ErrCorrupt, codeCorruptMessage},
		{&batch.RecordError{Err: batch.ErrTimestamp}, codeInvalidTimestamp},
		{batch.ErrBudget, codeMessageTooLarge},
		{&tooLargeError{}, codeMessageTooLarge},
		{&replication.CommandError{Err: replication.ErrInvalidTopic}, codeInvalidTopic},
		{replication.ErrUnknownTopicID, codeUnknownTopicID},
		{replication.ErrOffline, codeKafkaStorageError},
		{fmt.Errorf("%w: %w", replication.ErrOffline, &engine.CorruptError{}), codeKafkaStorageError},
		{&fs.PathError{Op: "read", Path: "x", Err: syscall.EIO}, codeKafkaStorageError},
	} {
		if got := codeOf(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
		if c.err != nil {
			if got := codeOf(fmt.Errorf("somewhere: %w", c.err)); got != c.want {
				t.Errorf("wrapped %v: %d, want %d", c.err, got, c.want)
			}
		}
	}
}
