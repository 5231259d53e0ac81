package main

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func (a *app) topicDeleteCommand() *cobra.Command {
	var names topicNames
	var ifExists bool
	cmd := &cobra.Command{
		Use:     "delete TOPIC...",
		Aliases: []string{"rm"},
		Short:   "Delete topics and their records",
		Example: "  bobbin topic delete orders\n  bobbin topic delete --topic orders --if-exists",
	}
	names.flags(cmd)
	cmd.Flags().BoolVar(&ifExists, "if-exists", false, "a topic that is not there is no error")
	c := a.clientFlags(cmd)
	cmd.ValidArgsFunction = a.completeTopics(c)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		topics, err := names.required(args)
		if err != nil {
			return err
		}
		return a.withAdmin(cmd.Context(), c, func(adm *kadm.Client) error {
			answers, err := adm.DeleteTopics(cmd.Context(), topics...)
			if err != nil {
				return err
			}
			var results []topicResult
			for name, r := range answers {
				out := topicResult{Topic: name, ID: topicID(r.ID), Done: "deleted"}
				if ifExists && errors.Is(r.Err, kerr.UnknownTopicOrPartition) {
					out.Done = "absent"
				} else {
					out.fail(r.Err, r.ErrMessage)
				}
				results = append(results, out)
			}
			return a.printResults(results)
		})
	}
	return cmd
}
