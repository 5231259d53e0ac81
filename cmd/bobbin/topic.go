package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func (a *app) topicCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "topic",
		Aliases: []string{"topics"},
		Short:   "Create, list, describe, alter and delete topics",
		Example: "  bobbin topic create orders -p 3\n  bobbin topic list\n  bobbin topic describe orders",
	}
	cmd.AddCommand(
		a.topicCreateCommand(),
		a.topicListCommand(),
		a.topicDescribeCommand(),
		a.topicAlterCommand(),
		a.topicDeleteCommand(),
	)
	return cmd
}

// topicNames are the topics a command is about: its arguments, and what was
// given with --topic as kafka-topics.sh wants it.
type topicNames struct{ flag []string }

func (n *topicNames) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVarP(&n.flag, "topic", "t", nil, "a topic; the same as an argument")
}

func (n *topicNames) required(args []string) ([]string, error) {
	names := n.all(args)
	if len(names) == 0 {
		return nil, usagef("say which topic")
	}
	return names, nil
}

func (n *topicNames) all(args []string) []string {
	var names []string
	for _, name := range append(slices.Clone(args), n.flag...) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// topicResult is what became of one topic.
type topicResult struct {
	Topic             string `json:"topic"`
	ID                string `json:"id,omitempty"`
	Partitions        int32  `json:"partitions,omitempty"`
	ReplicationFactor int16  `json:"replication_factor,omitempty"`
	Done              string `json:"done,omitempty"` // created, exists, deleted, absent, altered, valid
	Error             string `json:"error,omitempty"`
}

func (r *topicResult) fail(err error, said string) {
	if err != nil {
		r.Error = brokerError(err, said).Error()
	}
}

// printResults prints what became of each topic, and returns an error if that
// was nothing good for any of them.
func (a *app) printResults(results []topicResult) error {
	slices.SortFunc(results, func(x, y topicResult) int { return strings.Compare(x.Topic, y.Topic) })
	var failed []string
	err := a.print(results, func() *table {
		t := &table{}
		for _, r := range results {
			if r.Error == "" {
				t.row(r.Done+" "+r.Topic, r.about())
			}
		}
		return t
	})
	for _, r := range results {
		if r.Error != "" {
			failed = append(failed, r.Topic+": "+r.Error)
		}
	}
	if err == nil && len(failed) > 0 {
		err = errors.New(strings.Join(failed, "\nbobbin: "))
	}
	return err
}

func (r *topicResult) about() string {
	if r.Partitions <= 0 {
		return ""
	}
	return fmt.Sprintf("partitions %d, replication factor %d", r.Partitions, r.ReplicationFactor)
}

// parseSettings reads key=value arguments.
func parseSettings(list []string) (map[string]*string, error) {
	settings := map[string]*string{}
	for _, kv := range list {
		k, v, ok := strings.Cut(kv, "=")
		if !ok || k == "" {
			return nil, usagef("%q is not of the form key=value", kv)
		}
		settings[k] = &v
	}
	return settings, nil
}

// topicID writes a topic's id as Kafka does, base64url without padding; "" if
// it has none.
func topicID(id kadm.TopicID) string {
	if id == (kadm.TopicID{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// withAdmin runs do with a client for administration.
func (a *app) withAdmin(ctx context.Context, c *client, do func(*kadm.Client) error) error {
	adm, err := c.admin(ctx, a)
	if err != nil {
		return err
	}
	defer adm.Close()
	return do(adm)
}
