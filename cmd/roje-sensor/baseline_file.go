package main

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/sensor/keyfile"
)

// signatureOf is the file of an exported baseline's signature.
func signatureOf(path string) string { return path + ".sig" }

func exportBaseline(open withBaseline) *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{Use: "export [FILE]", Short: "Write the baseline in its canonical form: sorted, one JSON object per line", Args: needs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if keyFile != "" && len(args) == 0 {
				return usageError{fmt.Errorf("name a file: its signature is written beside it")}
			}
			return open(false, func(b *baseline.Baseline) error {
				if len(args) == 0 {
					return b.Export(cmd.OutOrStdout())
				}
				var text bytes.Buffer
				if err := b.Export(&text); err != nil {
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
			})
		}}
	cmd.Flags().StringVar(&keyFile, "sign", "", "sign with the private Ed25519 key in `FILE` (PEM); the signature is FILE.sig beside the export")
	return cmd
}

func importBaseline(open withBaseline) *cobra.Command {
	var by decider
	var keyFile string
	cmd := &cobra.Command{Use: "import FILE", Short: "Read items in the form of export", Args: needs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			who, err := by.name()
			if err != nil {
				return err
			}
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
			return open(true, func(b *baseline.Baseline) error {
				if err := b.Import(bytes.NewReader(text)); err != nil {
					return err
				}
				why := "import of " + args[0]
				if by.why != "" {
					why = by.why
				}
				b.Seal(who, why, time.Now())
				return nil
			})
		}}
	by.flags(cmd)
	cmd.Flags().StringVar(&keyFile, "verify", "", "take it only if FILE.sig was made with the private half of the public Ed25519 key in `FILE` (PEM)")
	return cmd
}
