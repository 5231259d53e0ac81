package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// alteration is what topic alter is asked to change.
type alteration struct {
	partitions int
	configs    []kadm.AlterConfig
	validate   bool
}

func (a *app) topicAlterCommand() *cobra.Command {
	var names topicNames
	var set, remove []string
	alter := alteration{}
	cmd := &cobra.Command{
		Use:   "alter TOPIC...",
		Short: "Change the configuration of topics, or add partitions",
		Example: `  bobbin topic alter orders --set retention.ms=86400000 --delete-config segment.bytes
  bobbin topic alter orders --partitions 6`,
	}
	names.flags(cmd)
	f := cmd.Flags()
	f.IntVarP(&alter.partitions, "partitions", "p", 0, "grow to this many partitions")
	f.StringArrayVarP(&set, "set", "s", nil, "set key=value")
	f.StringArrayVarP(&set, "config", "c", nil, "the same as --set")
	f.StringSliceVarP(&remove, "delete-config", "d", nil, "go back to the broker's default for this key")
	f.BoolVar(&alter.validate, "validate-only", false, "only ask the broker whether it would do it")
	c := a.clientFlags(cmd)
	cmd.ValidArgsFunction = a.completeTopics(c)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		topics, err := names.required(args)
		if err != nil {
			return err
		}
		settings, err := parseSettings(set)
		if err != nil {
			return err
		}
		for k, v := range settings {
			if slices.Contains(remove, k) {
				return usagef("%s is to be both set and deleted", k)
			}
			alter.configs = append(alter.configs, kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: v})
		}
		for _, k := range remove {
			alter.configs = append(alter.configs, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: k})
		}
		if alter.partitions == 0 && len(alter.configs) == 0 {
			return usagef("say what to change: --set, --delete-config or --partitions")
		}
		return a.withAdmin(cmd.Context(), c, func(adm *kadm.Client) error {
			results, err := alter.apply(cmd.Context(), adm, topics)
			if err != nil {
				return err
			}
			return a.printResults(results)
		})
	}
	return cmd
}

// apply changes the configuration first: adding partitions cannot be undone,
// so a wrong key should be found before.
func (x *alteration) apply(ctx context.Context, adm *kadm.Client, topics []string) ([]topicResult, error) {
	results := make([]topicResult, len(topics))
	done := "altered"
	if x.validate {
		done = "valid"
	}
	for i, t := range topics {
		results[i] = topicResult{Topic: t, Done: done}
	}
	if len(x.configs) > 0 {
		alter := adm.AlterTopicConfigs
		if x.validate {
			alter = adm.ValidateAlterTopicConfigs
		}
		answers, err := alter(ctx, x.configs, topics...)
		if err != nil {
			return nil, err
		}
		for i, t := range topics {
			r, err := answers.On(t, nil)
			if err == nil {
				err = r.Err
			}
			results[i].fail(err, r.ErrMessage)
		}
	}
	var grow []string
	for _, r := range results {
		if r.Error == "" {
			grow = append(grow, r.Topic)
		}
	}
	if x.partitions == 0 || len(grow) == 0 {
		return results, nil
	}
	update := adm.UpdatePartitions
	if x.validate {
		update = adm.ValidateUpdatePartitions
	}
	answers, err := update(ctx, x.partitions, grow...)
	if err != nil {
		return nil, err
	}
	for i, r := range results {
		if answer, ok := answers[r.Topic]; ok {
			results[i].fail(answer.Err, answer.ErrMessage)
		}
	}
	return results, nil
}
