package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor"
)

func check() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use: "check --config FILE", Short: "Say all that is wrong with a configuration and its rules, at once", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if config == "" {
				return usageError{errors.New("name the configuration with --config FILE")}
			}
			cfg, err := sensor.LoadConfig(config)
			book, rules := sensor.LoadRulebook(cfg.RuleFiles(), time.Now())
			if err := errors.Join(err, rules); err != nil {
				return err
			}
			sayExpired(cmd.OutOrStdout(), book)
			fmt.Fprintln(cmd.OutOrStdout(), config, "is good")
			return nil
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "configuration `FILE`")
	return cmd
}

func rulesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "rules", Short: "Work with detection rules", Args: needs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("name a command: test, check, list, backtest, pack, import")}
		}}
	cmd.AddCommand(backtest(), rulesCheck(), rulesList(), rulesPack(), rulesImport())
	cmd.AddCommand(&cobra.Command{
		Use: "test [DIR]", Short: "Run the tests embedded in the shipped rules, or in those of DIR as well", Args: needs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := ""
			if len(args) > 0 {
				dir = args[0]
			}
			set, err := sensor.LoadRules(dir)
			if err != nil {
				return err
			}
			tests := 0
			for _, r := range set {
				tests += len(r.Tests)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d rules, %d tests, all pass\n", len(set), tests)
			return nil
		},
	})
	return cmd
}
