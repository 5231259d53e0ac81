package main

// generated are the APIs whose requests and responses become Go. The table of
// all APIs (api_gen.go) has every one that Kafka has, so that a request for
// another can be named and refused.
var generated = []string{
	// The first clients: produce, fetch, and what these need.
	"Produce",
	"Fetch",
	"ListOffsets",
	"Metadata",
	"ApiVersions",
	"CreateTopics",
	"DeleteTopics",
	"CreatePartitions",
	"InitProducerId",

	// Administration.
	"DescribeConfigs",
	"AlterConfigs",
	"IncrementalAlterConfigs",
	"DescribeCluster",
	"FindCoordinator",
	"OffsetForLeaderEpoch",
	"DeleteRecords",
	"DescribeLogDirs",
	"DescribeTopicPartitions",
	"DescribeProducers",
}

// renamed are the fields whose name would clash with a method's.
var renamed = map[string]string{
	"FindCoordinatorRequest.Key": "CoordinatorKey",
}
