package main

import (
	"github.com/spf13/cobra"
)

func (a *app) logCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "log",
		Short:   "Look at stored data, check it, and repair it",
		Long:    "Look at the files of a data directory, Bobbin's or Kafka's, check them, take what\nis damaged out of them, and copy them in Kafka's layout. No broker is needed.",
		Example: "  bobbin log inspect data/orders-0\n  bobbin log verify data",
	}
	cmd.AddCommand(a.logInspectCommand(), a.logVerifyCommand(), a.logRepairCommand(), a.logExportCommand())
	return cmd
}
