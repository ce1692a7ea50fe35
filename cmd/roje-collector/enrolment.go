package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/collector/store"
)

func enrolmentCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "enrolment", Short: "approve or reject sensors that wait to join",
		Long: `Approve or reject sensors that came with a token that needs approval. Compare the words with those that the sensor
shows. Works while the collector runs, as the console's page of sensors does.`,
		Args: aCommand,
		Run:  func(*cobra.Command, []string) {},
	}
	var data string
	cmd.PersistentFlags().StringVar(&data, "data", "", "the collector's data folder")
	cmd.MarkPersistentFlagRequired("data")
	cmd.AddCommand(enrolmentList(&data),
		enrolmentJudge(&data, "approve TOKEN", "let the sensor that came with a token join", store.Approved),
		enrolmentJudge(&data, "reject TOKEN", "refuse the sensor that came with a token", store.Rejected))
	return cmd
}

func enrolmentList(data *string) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "list the sensors that wait", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var joins []store.Join
			err := opened(cmd.Context(), *data, func(db store.Store, scope store.Scope) (err error) {
				joins, err = db.Joins(cmd.Context(), scope)
				return err
			})
			if err != nil {
				return err
			}
			out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(out, "TOKEN\tNAME\tFROM\tASKED\tWORDS\tSTATE")
			for _, j := range joins {
				if all || j.State == store.Waiting {
					fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s %s\n", j.Token, j.Name, j.Remote, j.Asked.UTC().Format(time.RFC3339), j.Words, j.State, j.Who)
				}
			}
			return out.Flush()
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that were judged")
	return cmd
}

func enrolmentJudge(data *string, use, short string, state store.JoinState) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return opened(cmd.Context(), *data, func(db store.Store, scope store.Scope) error {
				return db.JudgeJoin(cmd.Context(), scope, args[0], state, who, time.Now())
			})
		},
	}
}
