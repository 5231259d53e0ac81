package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bobbin-log/bobbin/engine"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Show how a broker would be configured",
		Example: "  bobbin config show --origin server.properties",
	}
	cmd.AddCommand(a.configShowCommand())
	return cmd
}

// shownKey is one line of config show.
type shownKey struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
	Doc    string `json:"doc"`
}

func (a *app) configShowCommand() *cobra.Command {
	var origin, docs, changed bool
	var flags serveFlags
	cmd := &cobra.Command{
		Use:   "show [server.properties]",
		Short: "Print the keys that a broker acts upon, with their effective values",
		Long: `Print every key that the broker acts upon with the value that 'bobbin serve'
with the same arguments and environment would use. Flags come before the
environment, that before the file, and that before defaults.`,
		Example: `  bobbin config show
  bobbin config show --origin server.properties --override bobbin.sync=interval
  KAFKA_LOG_RETENTION_MS=60000 bobbin config show --changed -o json`,
		Args: cobra.MaximumNArgs(1),
	}
	flags.register(cmd)
	f := cmd.Flags()
	f.BoolVar(&origin, "origin", false, "say where each value comes from")
	f.BoolVar(&docs, "doc", false, "say what each key does")
	f.BoolVar(&changed, "changed", false, "leave defaults out")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		s, err := flags.settings(a, args)
		if err != nil {
			return err
		}
		c, err := resolveConfig(s)
		if err != nil {
			return err
		}
		mistakes, ignored := s.remarks()
		for _, r := range slices.Concat(mistakes, ignored, c.remarks) {
			fmt.Fprintln(a.stderr, "bobbin:", r)
		}
		list := slices.DeleteFunc(effectiveKeys(s), func(k shownKey) bool { return changed && k.Origin == "default" })
		return a.print(list, func() *table {
			t := &table{head: []string{"KEY", "VALUE"}}
			if origin {
				t.head = append(t.head, "ORIGIN")
			}
			if docs {
				t.head = append(t.head, "DOC")
			}
			for _, k := range list {
				cells := []any{k.Key, k.Value}
				if origin {
					cells = append(cells, k.Origin)
				}
				if docs {
					cells = append(cells, k.Doc)
				}
				t.row(cells...)
			}
			return t
		})
	}
	return cmd
}

// effectiveKeys are all keys that are acted upon, sorted by name.
func effectiveKeys(s *settings) []shownKey {
	var list []shownKey
	for _, k := range brokerKeys {
		v := s.get(k.name)
		list = append(list, shownKey{k.name, v.value, v.origin, k.doc})
	}
	changed := topicSettings(s)
	for _, k := range engine.Keys {
		if k.Broker == "" || k.Ignored {
			continue
		}
		v, ok := changed[k.Name]
		if !ok {
			v = setting{value: k.Default, origin: "default"}
		}
		list = append(list, shownKey{k.Broker, v.value, v.origin, k.Doc})
	}
	slices.SortFunc(list, func(x, y shownKey) int { return strings.Compare(x.Key, y.Key) })
	return list
}
