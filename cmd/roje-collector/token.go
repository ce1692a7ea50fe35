package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/collector"
	"github.com/roje-ot/roje/collector/pki"
)

func tokenCommand() *cobra.Command {
	var data, site, address string
	var life time.Duration
	cmd := &cobra.Command{
		Use: "token --data DIR", Short: "print a token by which one sensor joins, once",
		Long: `Print a single-use token for 'roje-sensor enrol --token'. It holds the collector's address and the hash of its
certificate authority, so the sensor sends the secret to nobody else. Works while the collector runs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if life <= 0 {
				return usage("--ttl is above 0, such as 72h")
			}
			text, err := collector.NewToken(cmd.Context(), data, site, address, who, life)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), text)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the collector's data folder")
	f.StringVar(&site, "site", "", "name that the sensor gets (default: the one it gives itself)")
	f.StringVar(&address, "address", "", "host:port where the sensor connects (default: where the collector last served)")
	f.DurationVar(&life, "ttl", pki.TokenLife, "how long the token can be used")
	cmd.MarkFlagRequired("data")
	return cmd
}
