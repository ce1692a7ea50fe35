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
	var phase string
	var names listFlags
	o := sensor.Backtesting{Warn: os.Stderr}
	cmd := &cobra.Command{Use: "backtest --rules PATH [--events DIR] [--capture FILE]... [CAPTURE...]",
		Short: "Say what changed rules would have raised over captures and stored events, beside the shipped ones of the same ids",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Captures = append(o.Captures, args...)
			switch {
			case o.Rules == "":
				return usageError{errors.New("name the rules with --rules, a file or a folder")}
			case len(o.Captures) == 0 && o.Events == "":
				return usageError{errors.New("name what to try them on: --events DIR or captures")}
			}
			var err error
			if o.Phase, err = sensor.ParsePhase(phase); err != nil {
				return usageError{err}
			}
			if names.given() {
				if o.Lists, _, err = names.lists(); err != nil {
					return err
				}
			}
			result, err := sensor.RunBacktest(cmd.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), result)
			return nil
		}}
	cmd.Flags().StringVar(&o.Rules, "rules", "", "`PATH` of a rule file or a folder of them")
	cmd.Flags().StringVar(&o.Events, "events", "", "`DIR` of a sensor's stored events, in its state folder; what the baseline knew then is stored with them")
	cmd.Flags().StringArrayVar(&o.Captures, "capture", nil, "capture `FILE`; may be given again")
	cmd.Flags().StringVar(&o.State, "state", "", "`DIR` of the baseline that captures are judged with; it is only read")
	names.add(cmd)
	cmd.Flags().StringVar(&phase, "phase", "enforce", "of the baseline, for captures: enforce or off")
	return cmd
}
