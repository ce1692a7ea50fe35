package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/cmd/roje-lab/script"
)

// taps is the command that records one path twice.
func taps() *cobra.Command {
	p := script.Path{Turns: 5}
	var out, start string
	var seed uint64
	c := &cobra.Command{
		Use: "taps --out DIR", Short: "write what two taps of one path see, " + script.NearFile + " and " + script.FarFile + ", while a host between them changes a command", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			p.Start = time.Now().Add(-10 * time.Minute).Truncate(time.Second)
			if start != "" {
				if p.Start, err = time.Parse(time.RFC3339, start); err != nil {
					return err
				}
			}
			if err := p.Make(out, seed); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), filepath.Join(out, script.NearFile), filepath.Join(out, script.FarFile))
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&out, "out", "", "folder to write to")
	f.StringVar(&start, "start", "", "when it begins, as 2026-03-09T06:00:00Z; ten minutes ago by default, as the collector compares what is not older than a day")
	f.IntVar(&p.Turns, "turn", p.Turns, "which of the twelve commands is turned into its opposite; 0 for none")
	f.DurationVar(&p.Ahead, "ahead", 0, "by how much the far tap's clock is ahead")
	f.IntVar(&p.Lost, "lose", 0, "the far tap loses one frame of so many; 0 for none")
	f.Uint64Var(&seed, "seed", 1, "same seed and start, same bytes")
	c.MarkFlagRequired("out")
	return c
}
