package protocol

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication"
	"github.com/bobbin-log/bobbin/segment/batch"
)

var (
	// errNoAnswer closes the connection of a request with acks 0 that failed.
	errNoAnswer = errors.New("a request that wants no answer failed")
	// errTransactions refuses what belongs to a transaction. The code of it,
	// INVALID_REQUEST, is one that no client retries, and whose text in Kafka's
	// clients ends in "or the message was sent to an incompatible broker".
	errTransactions = fmt.Errorf("%w: this broker has no transactions yet", replication.ErrInvalidRequest)
)

// tooLargeError says that a batch is larger than its topic allows.
type tooLargeError struct{ size, max int64 }

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("The record batch size in the append is %d bytes, which exceeds the maximum configured value of %d (max.message.bytes).", e.size, e.max)
}

// errorCodes is the one map from our errors to Kafka's codes. The first that an
// error is decides. It is a function so that nothing can change it.
func errorCodes() []struct {
	err  error
	code int16
} {
	return []struct {
		err  error
		code int16
	}{
		{replication.ErrUnknownTopic, codeUnknownTopicOrPartition},
		{replication.ErrUnknownTopicID, codeUnknownTopicID},
		{replication.ErrFencedEpoch, codeFencedLeaderEpoch},
		{replication.ErrUnknownEpoch, codeUnknownLeaderEpoch},
		{replication.ErrOffline, codeKafkaStorageError},
		{replication.ErrAcks, codeInvalidRequiredAcks},
		{replication.ErrInvalidTopic, codeInvalidTopic},
		{replication.ErrTopicExists, codeTopicAlreadyExists},
		{replication.ErrInvalidPartitions, codeInvalidPartitions},
		{replication.ErrInvalidReplication, codeInvalidReplication},
		{replication.ErrInvalidAssignment, codeInvalidAssignment},
		{replication.ErrInvalidConfig, codeInvalidConfig},
		{replication.ErrInvalidRequest, codeInvalidRequest},
		{replication.ErrPolicy, codePolicyViolation},
		{replication.ErrTimeout, codeRequestTimedOut},
		{replication.ErrNotController, codeNotController},
		{replication.ErrTooLarge, codePolicyViolation},
		{replication.ErrStopped, codeNotController},

		// A frame that is whole around a batch that isn't: no retry would help.
		{batch.ErrTruncated, codeInvalidRecord},
		{batch.ErrCorrupt, codeCorruptMessage},
		{batch.ErrMagic, codeInvalidRecord},
		{batch.ErrInvalid, codeInvalidRecord},
		{batch.ErrTimestamp, codeInvalidTimestamp},
		{batch.ErrCodec, codeUnsupportedCompression},
		{batch.ErrBudget, codeMessageTooLarge},

		{engine.ErrSequence, codeOutOfOrderSequence},
		{engine.ErrProducerFenced, codeInvalidProducerEpoch},
		{engine.ErrTooLarge, codeRecordListTooLarge},
		{engine.ErrFenced, codeNotLeaderOrFollower},
		// Producers retry these, which is right for a full disk, which heals, and
		// for a failed log, which opens again with the broker.
		{engine.ErrNoSpace, codeKafkaStorageError},
		{engine.ErrFailed, codeKafkaStorageError},
		// A log that is closed while its topic still exists: the broker stops.
		{engine.ErrClosed, codeNotLeaderOrFollower},

		{context.DeadlineExceeded, codeRequestTimedOut},
		{context.Canceled, codeNotLeaderOrFollower},
	}
}

// codeOf returns Kafka's code of an error.
func codeOf(err error) int16 {
	if err == nil {
		return codeNone
	}
	var (
		outside *engine.RangeError
		damage  *engine.CorruptError
		key     *engine.KeyError
		large   *tooLargeError
	)
	switch {
	case errors.Is(err, replication.ErrOffline):
		return codeKafkaStorageError // whatever is wrong with its files
	case errors.As(err, &outside):
		return codeOffsetOutOfRange
	case errors.As(err, &damage):
		// Not retried by consumers, which is right: the bytes stay as they are.
		return codeCorruptMessage
	case errors.As(err, &key):
		return codeInvalidConfig
	case errors.As(err, &large):
		return codeMessageTooLarge
	}
	for _, e := range errorCodes() {
		if errors.Is(err, e.err) {
			return e.code
		}
	}
	var disk *fs.PathError
	if errors.As(err, &disk) {
		return codeKafkaStorageError // Kafka's code for any failed I/O
	}
	return codeUnknownServerError
}

// reason is an error's text for the client; nil for none.
func reason(err error) *string {
	if err == nil {
		return nil
	}
	var command *replication.CommandError
	if errors.As(err, &command) {
		return &command.Reason
	}
	why := err.Error()
	return &why
}
