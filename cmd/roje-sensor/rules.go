package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor"
)

// backtest says what changed rules would have fired on.
func backtest() *cobra.Command {
	var dir, state, phase string
	cmd := &cobra.Command{Use: "backtest --rules DIR CAPTURE...", Short: "Say what the rules of DIR would have raised over captures, beside the shipped ones of the same ids",
		Args: needs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				return usageError{errors.New("name the folder of the rules with --rules DIR")}
			}
			p, err := sensor.ParsePhase(phase)
			if err != nil {
				return usageError{err}
			}
			result, err := sensor.RunBacktest(cmd.Context(), dir, state, p, args, os.Stderr)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), result)
			return nil
		}}
	cmd.Flags().StringVar(&dir, "rules", "", "`DIR` of the rules")
	cmd.Flags().StringVar(&state, "state", "", "`DIR` of the baseline; it is only read")
	cmd.Flags().StringVar(&phase, "phase", "enforce", "enforce or off")
	return cmd
}
