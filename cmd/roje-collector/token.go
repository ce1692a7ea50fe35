package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/collector"
	"github.com/roje-ot/roje/collector/pki"
)

func tokenCommand() *cobra.Command {
	var data string
	ask := collector.TokenAsk{Who: who}
	cmd := &cobra.Command{
		Use: "token --data DIR", Short: "print a token by which one sensor joins, once",
		Long: `Print a single-use token for 'roje-sensor enrol --token'. It holds the collector's address and the hash of its
certificate authority, so the sensor sends the secret to nobody else. Works while the collector runs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ask.Life <= 0 {
				return usage("--ttl is above 0, such as 72h")
			}
			text, err := collector.NewToken(cmd.Context(), data, ask)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), text)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the collector's data folder")
	f.StringVar(&ask.Site, "site", "", "name that the sensor gets (default: the one it gives itself)")
	f.StringVar(&ask.Address, "address", "", "host:port where the sensor connects (default: where the collector last served)")
	f.DurationVar(&ask.Life, "ttl", pki.TokenLife, "how long the token can be used")
	f.BoolVar(&ask.Approve, "approve", false, "have an administrator approve the sensor, in the console or by 'roje-collector enrolment', before it joins")
	cmd.MarkFlagRequired("data")
	return cmd
}
