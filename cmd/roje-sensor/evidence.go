package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor/evidence"
)

// evidenceCommand checks and shares the frames that alerts stand on. It needs no network and no running sensor.
func evidenceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "evidence", Short: "Check the frames that an alert stands on, or make a variant for sharing", Args: needs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("name a command: verify, redact")}
		}}
	var signer string
	verify := &cobra.Command{
		Use: "verify FILE", Short: "Check that a file is as a sensor signed it", Args: needs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			seal, err := evidence.Verify(args[0])
			if err != nil {
				return err
			}
			if signer != "" && signer != seal.Fingerprint() {
				return fmt.Errorf("%s is signed by key %s, not by %s", args[0], seal.Fingerprint(), signer)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is as it was signed\nsha256 %s\nkey    %s\n", args[0], seal.SHA256, seal.Fingerprint())
			return err
		},
	}
	verify.Flags().StringVar(&signer, "key", "", "`FINGERPRINT` of the key that must have signed it, as verify prints it")
	var key string
	redact := &cobra.Command{
		Use: "redact FILE OUT", Short: "Write a variant with pseudonyms for all addresses, for sharing", Args: needs(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, args []string) error {
			if key == "" {
				key = filepath.Join(filepath.Dir(args[0]), evidence.KeyFile)
			}
			k, err := evidence.LoadKey(key, false)
			if err != nil {
				return err
			}
			return evidence.Redact(args[0], args[1], k)
		},
	}
	redact.Flags().StringVar(&key, "key", "", "`FILE` of the key that signs it; the sensor's own, beside the evidence, where it is not given")
	cmd.AddCommand(verify, redact)
	return cmd
}
