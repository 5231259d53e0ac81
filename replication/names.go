package replication

import (
	"errors"

	"github.com/bobbin-log/bobbin/replication/controller"
	"github.com/bobbin-log/bobbin/replication/quorum"
)

// The metadata's types under one roof, for those who only know this package.
type (
	// Image is the metadata at one moment.
	Image = controller.Image
	// Topic is a named set of partitions.
	Topic = controller.Topic
	// Broker is a node of the cluster.
	Broker = controller.Broker
	// Endpoint is where clients reach a broker.
	Endpoint = controller.Endpoint
	// TopicSpec asks for a topic.
	TopicSpec = controller.TopicSpec
	// Assignment names the brokers of one partition.
	Assignment = controller.Assignment
	// Config is one key of a topic's configuration, with its value.
	Config = controller.Config
	// TopicRef names a topic by name or id.
	TopicRef = controller.TopicRef
	// TopicResult answers a command on one topic.
	TopicResult = controller.TopicResult
	// PartitionsSpec asks for more partitions.
	PartitionsSpec = controller.PartitionsSpec
	// ConfigChange asks for other configs of a topic.
	ConfigChange = controller.ConfigChange
	// BrokerConfigChange asks for other configs of a broker.
	BrokerConfigChange = controller.BrokerConfigChange
	// ConfigOp changes one config.
	ConfigOp = controller.ConfigOp
	// Op is what a ConfigOp does.
	Op = controller.Op
	// CommandError is a sentinel below, with the reason for the client.
	CommandError = controller.Error
	// Acks is how many replicas a producer waits for.
	Acks = quorum.Acks
	// Pending is an append that may not be acknowledged yet.
	Pending = quorum.Pending
)

// What a ConfigOp may do; see package controller.
const (
	OpSet      = controller.OpSet
	OpDelete   = controller.OpDelete
	OpAppend   = controller.OpAppend
	OpSubtract = controller.OpSubtract
)

// AllBrokers stands for the id of every broker, where it has configs.
const AllBrokers = controller.AllBrokers

// What a producer may wait for; see package quorum.
const (
	AcksAll    = quorum.All
	AcksNone   = quorum.None
	AcksLeader = quorum.Leader
)

// Errors of commands and look-ups; see package controller for their meaning.
var (
	ErrInvalidTopic       = controller.ErrInvalidTopic
	ErrTopicExists        = controller.ErrTopicExists
	ErrUnknownTopic       = controller.ErrUnknownTopic
	ErrUnknownTopicID     = controller.ErrUnknownTopicID
	ErrInvalidPartitions  = controller.ErrInvalidPartitions
	ErrInvalidReplication = controller.ErrInvalidReplication
	ErrInvalidAssignment  = controller.ErrInvalidAssignment
	ErrInvalidConfig      = controller.ErrInvalidConfig
	ErrInvalidRequest     = controller.ErrInvalidRequest
	ErrPolicy             = controller.ErrPolicy

	ErrNotController = quorum.ErrNotLeader
	ErrTimeout       = quorum.ErrTimeout
	ErrTooLarge      = quorum.ErrTooLarge
	ErrStopped       = quorum.ErrStopped
	ErrAcks          = quorum.ErrAcks
)

var (
	// ErrFencedEpoch says that a client knows an older leader epoch than ours:
	// it must refresh its metadata (FENCED_LEADER_EPOCH).
	ErrFencedEpoch = errors.New("fenced leader epoch")
	// ErrUnknownEpoch says that a client knows a newer leader epoch than ours
	// (UNKNOWN_LEADER_EPOCH, which clients retry).
	ErrUnknownEpoch = errors.New("unknown leader epoch")
	// ErrOffline says that a partition's log could not be opened; the wrapped
	// error says why (KAFKA_STORAGE_ERROR).
	ErrOffline = errors.New("partition is offline")
)

// CheckTopicName says what is wrong with a topic's name: a *CommandError of
// [ErrInvalidTopic], or nil.
func CheckTopicName(name string) error { return controller.CheckTopicName(name) }
