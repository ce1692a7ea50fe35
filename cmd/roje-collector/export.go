package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/collector"
)

func exportCommand() *cobra.Command {
	var data, recipient string
	cmd := &cobra.Command{
		Use: "export --data DIR --for USER OUT", Short: "write what a CERT's account may pull to the new folder OUT",
		Long: `Write what was released, as the account USER (role cert) would pull it, to the new folder OUT: a MISP feed in misp/, alerts.csv,
and a STIX 2.1 bundle in stix.json. For a CERT that has no way to the collector. The audit log tells of it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := collector.Export(cmd.Context(), data, recipient, "command line", args[0])
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%d files\n", n)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the collector's data folder")
	f.StringVar(&recipient, "for", "", "the account it is for: its pseudonyms, its level")
	cmd.MarkFlagRequired("data")
	cmd.MarkFlagRequired("for")
	return cmd
}
