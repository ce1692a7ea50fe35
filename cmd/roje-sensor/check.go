package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/plant"
)

func check() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use: "check --config FILE", Short: "Say all that is wrong with a configuration, its rules and its point lists, at once", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if config == "" {
				return usageError{errors.New("name the configuration with --config FILE")}
			}
			cfg, err := sensor.LoadConfig(config)
			book, rules := sensor.LoadRulebook(cfg.RuleFiles(), time.Now())
			lists := checkLists(cfg.Points, err)
			if err := errors.Join(err, rules, lists); err != nil {
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

// checkLists reads the point lists of a configuration; not where bad, what is wrong with it, has said so already.
func checkLists(files []plant.File, bad error) error {
	if bad != nil {
		for i := range files {
			if files[i].Check() != nil {
				return nil
			}
		}
	}
	_, err := plant.Load(files)
	return err
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
