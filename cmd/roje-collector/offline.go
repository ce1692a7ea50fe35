package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/collector"
	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
)

func enrolOfflineCommand() *cobra.Command {
	var data, site, out, key string
	cmd := &cobra.Command{
		Use: "enrol-offline --data DIR FILE", Short: "enrol a sensor by the file that it wrote, and write the answer",
		Long: `Enrol the sensor that wrote FILE by 'roje-sensor enrol --offline', and write the bundle that it installs. Compare the
key with what the sensor showed, or give it with --key. A sensor whose key is known gets another certificate. Works
while the collector runs.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			ask, err := join.ParseAsk(text)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			asking, err := pki.RequestKey(ask.CSR)
			if err != nil {
				return err
			}
			shown := batch.KeyID(asking)
			if key != "" && key != shown {
				return fmt.Errorf("the file asks for key %s, not %s: another sensor wrote it, or it was changed on the way", shown, key)
			}
			db, _, err := openStore(data) // says plainly where there is none
			if err != nil {
				return err
			}
			if err := db.Close(); err != nil {
				return err
			}
			bundle, err := collector.EnrolOffline(cmd.Context(), data, ask, site, who)
			if err != nil {
				return err
			}
			if text, err = json.MarshalIndent(bundle, "", "  "); err != nil {
				return err
			}
			if out == "" {
				out = strings.TrimSuffix(args[0], ".ask") + ".bundle"
			}
			if err := os.WriteFile(out, append(text, '\n'), 0o644); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "enrolled sensor %s (%s) with key %s (%s); carry %s to it\n", bundle.Sensor, bundle.Name, shown, join.Words(asking), out)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the collector's data folder")
	f.StringVar(&site, "site", "", "name that the sensor gets (default: the one it gives itself)")
	f.StringVar(&out, "out", "", "where the bundle goes (default: beside FILE)")
	f.StringVar(&key, "key", "", "the key that the sensor showed; another is refused")
	cmd.MarkFlagRequired("data")
	return cmd
}
