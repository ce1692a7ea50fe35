package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/baseline"
)

// A withBaseline opens the baseline of the state folder, uses it and closes it.
type withBaseline func(write bool, use func(*baseline.Baseline) error) error

// baselineCommand works on the state folder of a sensor that is not running: a running one holds the file.
func baselineCommand() *cobra.Command {
	var state string
	cmd := &cobra.Command{Use: "baseline", Short: "Show, judge, approve, export and import what was learned", Args: needs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("name a command: show, diff, propose, shadow, approve, versions, rollback, relearn, export, import")}
		}}
	cmd.PersistentFlags().StringVar(&state, "state", "/var/lib/roje-sensor", "`DIR` of the baseline")
	open := func(write bool, use func(*baseline.Baseline) error) error {
		b, warning, err := baseline.Open(state, baseline.Options{Phase: rules.Off, ReadOnly: !write})
		if err != nil {
			return err
		}
		if warning != nil {
			fmt.Fprintln(os.Stderr, warning)
		}
		return errors.Join(use(b), b.Close())
	}
	cmd.AddCommand(
		&cobra.Command{Use: "show", Short: "Print every learned item, one JSON object per line", Args: needs(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error {
				return open(false, func(b *baseline.Baseline) error { return b.Export(cmd.OutOrStdout()) })
			}},
		&cobra.Command{Use: "diff", Short: "Print what was learned and waits for approval, one JSON object per line", Args: needs(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error {
				return open(false, func(b *baseline.Baseline) error {
					return baseline.WriteItems(cmd.OutOrStdout(), b.Waiting())
				})
			}},
		propose(open), shadow(&state), approve(open), versions(open), rollback(open), relearn(open), exportBaseline(open), importBaseline(open),
	)
	return cmd
}

// A decider is the person behind a decision.
type decider struct{ who, why string }

func (d *decider) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.who, "who", "", "`NAME` of the person; the user's where it is not given")
	cmd.Flags().StringVar(&d.why, "why", "", "`REASON`, or the number of the ticket")
}

// name is who decides.
func (d *decider) name() (string, error) {
	if d.who != "" {
		return d.who, nil
	}
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("who are you? give --who: %w", err)
	}
	return u.Username, nil
}
