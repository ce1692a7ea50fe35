package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/sensor/keyfile"
)

// signatureOf is the file of an exported baseline's signature.
func signatureOf(path string) string { return path + ".sig" }

func exportBaseline(put ask) *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{Use: "export [FILE]", Short: "Write the baseline in its canonical form: sorted, one JSON object per line", Args: needs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if keyFile != "" && len(args) == 0 {
				return usageError{fmt.Errorf("name a file: its signature is written beside it")}
			}
			show := &baseline.Order{Do: "show"}
			if len(args) == 0 {
				return put.say(cmd, show)
			}
			var text bytes.Buffer
			if err := put(cmd, show, &text); err != nil {
				return err
			}
			if keyFile != "" {
				key, err := keyfile.Private(keyFile)
				if err != nil {
					return err
				}
				if err := os.WriteFile(signatureOf(args[0]), baseline.Sign(text.Bytes(), key), 0o644); err != nil {
					return err
				}
			}
			return os.WriteFile(args[0], text.Bytes(), 0o644)
		}}
	cmd.Flags().StringVar(&keyFile, "sign", "", "sign with the private Ed25519 key in `FILE` (PEM); the signature is FILE.sig beside the export")
	return cmd
}

func importBaseline(put ask) *cobra.Command {
	var by decider
	var keyFile string
	cmd := &cobra.Command{Use: "import FILE", Short: "Read items in the form of export", Args: needs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			if keyFile != "" {
				key, err := keyfile.Public(keyFile)
				if err != nil {
					return err
				}
				line, err := os.ReadFile(signatureOf(args[0]))
				if err != nil {
					return err
				}
				if err := baseline.Verify(text, line, key); err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
			}
			return by.decide(cmd, put, &baseline.Order{Do: "import", Text: text, Why: "import of " + args[0]})
		}}
	by.flags(cmd)
	cmd.Flags().StringVar(&keyFile, "verify", "", "take it only if FILE.sig was made with the private half of the public Ed25519 key in `FILE` (PEM)")
	return cmd
}
