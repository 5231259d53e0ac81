package main

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func (a *app) topicCreateCommand() *cobra.Command {
	var (
		names       topicNames
		partitions  int32
		replication int16
		config      []string
		ifNotExists bool
		validate    bool
	)
	cmd := &cobra.Command{
		Use:   "create TOPIC...",
		Short: "Create topics",
		Example: `  bobbin topic create orders -p 3
  bobbin topic create --topic orders --partitions 3 --replication-factor 1 --if-not-exists
  bobbin topic create clicks -c retention.ms=3600000 -c bobbin.sync=interval`,
	}
	names.flags(cmd)
	f := cmd.Flags()
	f.Int32VarP(&partitions, "partitions", "p", -1, "how many partitions (-1: the broker's num.partitions)")
	f.Int16VarP(&replication, "replication-factor", "r", -1, "copies of each partition (-1: the broker's default.replication.factor)")
	f.StringArrayVarP(&config, "config", "c", nil, "a setting of the topics, key=value")
	f.BoolVar(&ifNotExists, "if-not-exists", false, "a topic that is there already is no error")
	f.BoolVar(&validate, "validate-only", false, "only ask the broker whether it would do it")
	c := a.clientFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		topics, err := names.required(args)
		if err != nil {
			return err
		}
		settings, err := parseSettings(config)
		if err != nil {
			return err
		}
		return a.withAdmin(cmd.Context(), c, func(adm *kadm.Client) error {
			create, done := adm.CreateTopics, "created"
			if validate {
				create, done = adm.ValidateCreateTopics, "valid"
			}
			answers, err := create(cmd.Context(), partitions, replication, settings, topics...)
			if err != nil {
				return err
			}
			var results []topicResult
			for _, r := range answers {
				out := topicResult{Topic: r.Topic}
				switch {
				case ifNotExists && errors.Is(r.Err, kerr.TopicAlreadyExists):
					out.Done = "exists"
				case r.Err != nil:
					out.fail(r.Err, r.ErrMessage)
				default:
					out.Done, out.ID = done, topicID(r.ID)
					out.Partitions, out.ReplicationFactor = r.NumPartitions, r.ReplicationFactor
				}
				results = append(results, out)
			}
			return a.printResults(results)
		})
	}
	return cmd
}
