package main

import (
	"errors"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor"
)

func run() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use: "run --config FILE", Short: "Watch the interfaces of a configuration", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if config == "" {
				return usageError{errors.New("name the configuration with --config FILE")}
			}
			cfg, err := sensor.LoadConfig(config)
			if err != nil {
				return err
			}
			log := slog.New(slog.NewTextHandler(os.Stderr, nil))
			return sensor.Run(cmd.Context(), cfg, version, log)
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "configuration `FILE`")
	return cmd
}
