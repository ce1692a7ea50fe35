package main

import (
	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/collector"
)

func backupCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use: "backup --data DIR OUT", Short: "copy everything to the new folder OUT, while the collector runs",
		Long: "Copy the store, what was shared, and the certificate authority's keys to the new folder OUT. Keep it as safe as the data folder.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return collector.Backup(cmd.Context(), data, args[0]) },
	}
	cmd.Flags().StringVar(&data, "data", "", "the collector's data folder")
	cmd.MarkFlagRequired("data")
	return cmd
}

func restoreCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use: "restore --data DIR FROM", Short: "make the data folder DIR, which must be empty or new, from a backup",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return collector.Restore(args[0], data) },
	}
	cmd.Flags().StringVar(&data, "data", "", "the new data folder")
	cmd.MarkFlagRequired("data")
	return cmd
}
