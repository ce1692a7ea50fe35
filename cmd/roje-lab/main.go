// Command roje-lab is the lab: real masters and outstations of Modbus, DNP3 and IEC 60870-5-104, a written script of
// normal days and acts of attack, and the captures in testdata that it makes. It speaks to field devices by design and
// is never part of a sensor's package.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/cmd/roje-lab/script"
)

//go:generate go run . capture --out ../../testdata

func main() {
	root := &cobra.Command{Use: "roje-lab", Short: "masters, outstations and acts of attack for demos and tests", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(demoCommand(), capture(), play(), live(), acts(), taps())
	if err := root.ExecuteContext(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "roje-lab:", err)
		os.Exit(1)
	}
}

// capture is the command that makes testdata.
func capture() *cobra.Command {
	var out, only string
	var seed uint64
	c := &cobra.Command{
		Use: "capture --out DIR", Short: "write every capture, acts.json and README.md", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return script.Generate(out, seed, only, c.OutOrStdout()) },
	}
	c.Flags().StringVar(&out, "out", "", "folder to write to")
	c.Flags().StringVar(&only, "only", "", "make only the captures whose name contains this, and neither acts.json nor README.md")
	c.Flags().Uint64Var(&seed, "seed", 1, "same seed, same bytes")
	c.MarkFlagRequired("out")
	return c
}
