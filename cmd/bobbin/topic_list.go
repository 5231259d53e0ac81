package main

import (
	"regexp"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// listedTopic is one line of topic list.
type listedTopic struct {
	Topic             string `json:"topic"`
	ID                string `json:"id,omitempty"`
	Partitions        int    `json:"partitions"`
	ReplicationFactor int    `json:"replication_factor"`
	Internal          bool   `json:"internal"`
}

func (a *app) topicListCommand() *cobra.Command {
	var internal bool
	cmd := &cobra.Command{
		Use:     "list [REGEX]",
		Aliases: []string{"ls"},
		Short:   "List the topics",
		Example: "  bobbin topic list\n  bobbin topic list '^orders' -o json",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVarP(&internal, "internal", "i", false, "list the broker's own topics as well")
	c := a.clientFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		wanted := regexp.MustCompile("")
		if len(args) == 1 {
			var err error
			if wanted, err = regexp.Compile(args[0]); err != nil {
				return &usageError{err}
			}
		}
		return a.withAdmin(cmd.Context(), c, func(adm *kadm.Client) error {
			details, err := adm.ListTopicsWithInternal(cmd.Context())
			if err != nil {
				return err
			}
			list := []listedTopic{}
			for _, d := range details.Sorted() {
				if wanted.MatchString(d.Topic) && (internal || !d.IsInternal) {
					list = append(list, listedTopic{d.Topic, topicID(d.ID), len(d.Partitions), d.Partitions.NumReplicas(), d.IsInternal})
				}
			}
			return a.print(list, func() *table {
				t := &table{head: []string{"TOPIC", "PARTITIONS", "REPLICAS"}}
				for _, l := range list {
					t.row(l.Topic, l.Partitions, l.ReplicationFactor)
				}
				return t
			})
		})
	}
	return cmd
}
