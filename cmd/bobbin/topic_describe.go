package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describedTopic is all that a broker says about a topic.
type describedTopic struct {
	Topic             string               `json:"topic"`
	ID                string               `json:"id,omitempty"`
	Internal          bool                 `json:"internal"`
	ReplicationFactor int                  `json:"replication_factor"`
	Partitions        []describedPartition `json:"partitions"`
	Configs           []describedConfig    `json:"configs"`
}

type describedPartition struct {
	Partition   int32   `json:"partition"`
	Leader      int32   `json:"leader"`
	Epoch       int32   `json:"leader_epoch"`
	Replicas    []int32 `json:"replicas"`
	ISR         []int32 `json:"in_sync_replicas"`
	StartOffset int64   `json:"start_offset"`
	EndOffset   int64   `json:"end_offset"`
	Error       string  `json:"error,omitempty"`
}

type describedConfig struct {
	Key    string  `json:"key"`
	Value  *string `json:"value"`
	Source string  `json:"source"`
}

func (a *app) topicDescribeCommand() *cobra.Command {
	var names topicNames
	var all bool
	cmd := &cobra.Command{
		Use:     "describe [TOPIC...]",
		Short:   "Show topics with their partitions, offsets and configuration",
		Long:    "Show topics (all of them if none is named) with their partitions, offsets,\nwhat makes a record durable (bobbin.sync), and what else their configuration has\nthat is not a default.",
		Example: "  bobbin topic describe orders\n  bobbin topic describe orders --all-configs -o json",
	}
	names.flags(cmd)
	cmd.Flags().BoolVarP(&all, "all-configs", "a", false, "show defaults as well")
	c := a.clientFlags(cmd)
	cmd.ValidArgsFunction = a.completeTopics(c)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withAdmin(cmd.Context(), c, func(adm *kadm.Client) error {
			topics, err := describe(cmd.Context(), adm, names.all(args), all)
			if err != nil {
				return err
			}
			if a.format != formatTable {
				return a.print(topics, nil)
			}
			for i, t := range topics {
				if i > 0 {
					fmt.Fprintln(a.stdout)
				}
				if err := t.writeTo(a); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return cmd
}

func describe(ctx context.Context, adm *kadm.Client, names []string, all bool) ([]describedTopic, error) {
	details, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return nil, err
	}
	topics := []describedTopic{}
	if len(details) == 0 {
		return topics, nil
	}
	for _, d := range details.Sorted() {
		if d.Err != nil {
			return nil, fmt.Errorf("%s: %w", d.Topic, brokerError(d.Err, ""))
		}
	}
	starts, err := adm.ListStartOffsets(ctx, details.Names()...)
	if err != nil {
		return nil, err
	}
	ends, err := adm.ListEndOffsets(ctx, details.Names()...)
	if err != nil {
		return nil, err
	}
	// A broker that cannot describe configurations can still be asked for the rest.
	configs, _ := adm.DescribeTopicConfigs(ctx, details.Names()...)
	for _, d := range details.Sorted() {
		t := describedTopic{
			Topic: d.Topic, ID: topicID(d.ID), Internal: d.IsInternal, ReplicationFactor: d.Partitions.NumReplicas(),
			Configs: describedConfigs(configs, d.Topic, all),
		}
		for _, p := range d.Partitions.Sorted() {
			start, _ := starts.Lookup(d.Topic, p.Partition)
			end, _ := ends.Lookup(d.Topic, p.Partition)
			dp := describedPartition{
				Partition: p.Partition, Leader: p.Leader, Epoch: p.LeaderEpoch,
				Replicas: p.Replicas, ISR: p.ISR, StartOffset: start.Offset, EndOffset: end.Offset,
			}
			if err := errors.Join(p.Err, start.Err, end.Err); err != nil {
				dp.Error = strings.ReplaceAll(err.Error(), "\n", "; ")
			}
			t.Partitions = append(t.Partitions, dp)
		}
		topics = append(topics, t)
	}
	return topics, nil
}

// syncKey is shown for every topic: nobody should have to guess what an
// acknowledgement means.
const syncKey = "bobbin.sync"

func describedConfigs(configs kadm.ResourceConfigs, topic string, all bool) []describedConfig {
	list := []describedConfig{}
	for _, r := range configs {
		if r.Name != topic {
			continue
		}
		for _, c := range r.Configs {
			if all || c.Source == kmsg.ConfigSourceDynamicTopicConfig || c.Key == syncKey {
				list = append(list, describedConfig{c.Key, c.Value, c.Source.String()})
			}
		}
	}
	slices.SortFunc(list, func(x, y describedConfig) int { return strings.Compare(x.Key, y.Key) })
	return list
}

func (d *describedTopic) writeTo(a *app) error {
	t := &table{}
	t.row("topic", d.Topic)
	if d.ID != "" {
		t.row("id", d.ID)
	}
	t.row("replication factor", d.ReplicationFactor)
	for _, c := range d.Configs {
		v := "(not shown)"
		if c.Value != nil {
			v = *c.Value
		}
		t.row(c.Key, v)
	}
	if err := t.writeTo(a.stdout); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout)
	p := &table{head: []string{"PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "START", "END"}}
	for _, x := range d.Partitions {
		p.row(x.Partition, x.Leader, x.Epoch, x.Replicas, x.ISR, x.StartOffset, x.EndOffset, x.Error)
	}
	return p.writeTo(a.stdout)
}
