package controller

import (
	"errors"
	"fmt"
)

// What can be wrong with a command on one topic. The protocol maps each to
// Kafka's error of nearly the same name.
var (
	// ErrInvalidTopic: the name breaks a rule (INVALID_TOPIC_EXCEPTION).
	ErrInvalidTopic = errors.New("invalid topic name")
	// ErrTopicExists: the name is taken (TOPIC_ALREADY_EXISTS).
	ErrTopicExists = errors.New("topic exists already")
	// ErrUnknownTopic: there is no topic of that name (UNKNOWN_TOPIC_OR_PARTITION).
	ErrUnknownTopic = errors.New("unknown topic or partition")
	// ErrUnknownTopicID: there is no topic of that id (UNKNOWN_TOPIC_ID).
	ErrUnknownTopicID = errors.New("unknown topic id")
	// ErrInvalidPartitions: the number of partitions (INVALID_PARTITIONS).
	ErrInvalidPartitions = errors.New("invalid number of partitions")
	// ErrInvalidReplication: the number of replicas (INVALID_REPLICATION_FACTOR).
	ErrInvalidReplication = errors.New("invalid replication factor")
	// ErrInvalidAssignment: who is to hold the replicas (INVALID_REPLICA_ASSIGNMENT).
	ErrInvalidAssignment = errors.New("invalid replica assignment")
	// ErrInvalidConfig: a config (INVALID_CONFIG).
	ErrInvalidConfig = errors.New("invalid configuration")
	// ErrInvalidRequest: the request contradicts itself (INVALID_REQUEST).
	ErrInvalidRequest = errors.New("invalid request")
	// ErrPolicy: more than one command may do (POLICY_VIOLATION).
	ErrPolicy = errors.New("policy violation")
)

// Error is one of the package's sentinels, with the reason for people that also
// goes to the client.
type Error struct {
	Err    error
	Reason string
}

// Error says both.
func (e *Error) Error() string { return e.Err.Error() + ": " + e.Reason }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

func fault(err error, format string, args ...any) *Error {
	return &Error{Err: err, Reason: fmt.Sprintf(format, args...)}
}
