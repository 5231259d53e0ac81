package main

import (
	"github.com/spf13/cobra"
)

func (a *app) logCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "log",
		Short:   "Look at stored data, and check it",
		Long:    "Look at the files of a data directory, Bobbin's or Kafka's, and check them. No\nbroker is needed, and nothing is written.",
		Example: "  bobbin log inspect data/orders-0\n  bobbin log verify data",
	}
	cmd.AddCommand(a.logInspectCommand(), a.logVerifyCommand())
	return cmd
}
