package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/ledger"
)

// ledgerVerify checks that no record was changed, removed or cut off.
func ledgerVerify() *cobra.Command {
	var state, kept string
	var signers []string
	cmd := &cobra.Command{
		Use: "verify [FILE]", Short: "Check that no record of the ledger, or of a FILE that export wrote, was changed, removed or cut off; offline", Args: needs(cobra.MaximumNArgs(1)),
		Long: "Check the chain of records and the sensor's seals over it. A record that was changed or removed, and sealed ones that were cut off at the end, are said and the exit code is 1. Who can write the sensor's folder could also cut off the newest seals: seals that were kept elsewhere, as `ledger seals` prints them, show that. A sensor that was given another key goes on with its ledger: the key before introduces the new one. One that is not introduced must be named by --key.",
		RunE: func(cmd *cobra.Command, args []string) error {
			further, err := readSeals(kept)
			if err != nil {
				return err
			}
			var v *ledger.Verdict
			name := filepath.Join(state, ledger.FileName)
			if len(args) == 1 {
				name = args[0]
				f, err := os.Open(name)
				if err != nil {
					return err
				}
				defer f.Close()
				if v, err = ledger.VerifyExport(f, signers, further...); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			} else if v, err = ledger.Verify(name, signers, further...); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is as it was written\nrecords %d to %d, %d of them\nsealed to record %d on %s, %d seals; %d records are not sealed yet\nkey %s\n",
				name, v.First, v.Last, v.Records, v.Newest.Number, v.Newest.At.Format(time.RFC3339), v.Seals, v.Open, strings.Join(v.Keys, "\nkey "))
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&state, "state", "/var/lib/roje-sensor", "`DIR` of the ledger")
	f.StringArrayVar(&signers, "key", nil, "`FINGERPRINT` of the key that must have sealed it, as verify prints it; again for each that no other one introduces")
	f.StringVar(&kept, "seals", "", "`FILE` of seals that were kept elsewhere, as `ledger seals` printed them")
	return cmd
}

// readSeals reads seals, one JSON object per line; none from "".
func readSeals(name string) (list []ledger.Seal, err error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var s ledger.Seal
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, s)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s holds no seal", name)
	}
	return list, nil
}

// ledgerSeals prints the seals, to be kept elsewhere.
func ledgerSeals() *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use: "seals", Short: "Print the sensor's seals over its ledger, oldest first, to be kept elsewhere", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := ledger.Seals(filepath.Join(state, ledger.FileName))
			if err != nil {
				return err
			}
			out := json.NewEncoder(cmd.OutOrStdout())
			for i := range list {
				if err := out.Encode(&list[i]); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&state, "state", "/var/lib/roje-sensor", "`DIR` of the ledger")
	return cmd
}

// ledgerExport writes all records with their chain, sealed now.
func ledgerExport() *cobra.Command {
	var state, enrolment string
	cmd := &cobra.Command{
		Use: "export FILE", Short: "Write all records to FILE, or - for standard output, chained and sealed with the sensor's key, for ledger verify", Args: needs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if enrolment == "" {
				enrolment = filepath.Join(state, "enrolment")
			}
			key, err := sensor.OwnKey(state, enrolment, false)
			if err != nil {
				return err
			}
			var out io.Writer = cmd.OutOrStdout()
			if args[0] != "-" {
				f, err := os.OpenFile(args[0], os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
				if err != nil {
					return err
				}
				defer f.Close()
				out = f
			}
			return ledger.Export(filepath.Join(state, ledger.FileName), out, time.Now(), key, sensor.FormerKeys(state, enrolment)...)
		},
	}
	cmd.Flags().StringVar(&state, "state", "/var/lib/roje-sensor", "`DIR` of the ledger")
	cmd.Flags().StringVar(&enrolment, "enrolment", "", "`DIR` of the enrolment, STATE/enrolment by default")
	return cmd
}
