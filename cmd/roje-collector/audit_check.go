package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/collector/audit"
)

func auditCheckCommand() *cobra.Command {
	var proof string
	var keys, kept []string
	cmd := &cobra.Command{
		Use: "check --proof FILE --checkpoint FILE --key KEY", Short: "say whether a proof holds for checkpoints that were kept",
		Long: `Check what /audit/proof or /audit/growth answered against checkpoints that were kept, without the collector and without the
rest of the record. A proof of an entry wants one checkpoint, of the size that the proof was asked for; a proof of growth
wants two. Exit 1 if it does not hold.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := readProof(cmd, proof)
			if err != nil {
				return err
			}
			var checkpoints []audit.Checkpoint
			for _, file := range kept {
				text, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				c, err := audit.ParseCheckpoint(text, keys...)
				if err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				checkpoints = append(checkpoints, c)
			}
			if err := p.Check(checkpoints...); err != nil {
				return fmt.Errorf("the proof does not hold: %w", err)
			}
			if p.Entry != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "the %d entries that were signed hold this one at place %d:\n%s\n", p.Size, *p.Entry, p.Leaf)
			} else {
				fmt.Fprintf(cmd.OutOrStdout(), "the %d entries that were signed first are the beginning of the %d that were signed later\n", *p.From, p.Size)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&proof, "proof", "", "file of the proof (JSON), - for standard input")
	f.StringArrayVar(&kept, "checkpoint", nil, "file of a checkpoint that was kept; may be given more than once")
	f.StringArrayVar(&keys, "key", nil, "public key of a collector, as it was handed out; may be given more than once")
	for _, name := range []string{"proof", "checkpoint", "key"} {
		cmd.MarkFlagRequired(name)
	}
	return cmd
}

func readProof(cmd *cobra.Command, file string) (p audit.Proof, err error) {
	in, err := openInput(cmd, file)
	if err != nil {
		return p, err
	}
	defer in.Close()
	if err := json.NewDecoder(io.LimitReader(in, 1<<20)).Decode(&p); err != nil {
		return p, fmt.Errorf("%s is no proof: %w", file, err)
	}
	return p, nil
}
