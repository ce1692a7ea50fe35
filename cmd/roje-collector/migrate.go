package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/collector"
	"github.com/roje-ot/roje/collector/store/book"
)

func migrateCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use: "migrate --from STORE --to STORE", Short: "copy a whole store to an empty one: from a data folder to PostgreSQL, or back",
		Long: `Copy everything that a store holds, of all operators, to another one, which must be empty. A store is a data folder or a
postgres:// URL. Stop the collector first. All of it is copied or nothing is. Certificate authority and what was shared
stay in the data folder: after a move to PostgreSQL, put "store: URL" into the configuration and keep the folder.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rows, err := collector.Migrate(cmd.Context(), from, to)
			if err != nil {
				return err
			}
			for i := range book.Tables {
				fmt.Fprintf(cmd.OutOrStdout(), "%-10s %d\n", book.Tables[i].Name, rows[book.Tables[i].Name])
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "data folder or postgres:// URL")
	cmd.Flags().StringVar(&to, "to", "", "data folder or postgres:// URL, empty")
	cmd.MarkFlagRequired("from")
	cmd.MarkFlagRequired("to")
	return cmd
}

func holdCommand() *cobra.Command {
	var data string
	var end bool
	cmd := &cobra.Command{
		Use: "hold ALERT --data DIR", Short: "keep an alert whatever its age (legal hold), or end that",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			db, scope, _, err := collector.OpenStore(cmd.Context(), data)
			if err != nil {
				return err
			}
			defer db.Close()
			return db.SetHeld(cmd.Context(), scope, args[0], !end, who, time.Now())
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "the collector's data folder")
	cmd.Flags().BoolVar(&end, "end", false, "end the hold")
	cmd.MarkFlagRequired("data")
	return cmd
}
