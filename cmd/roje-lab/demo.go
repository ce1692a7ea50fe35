package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/cmd/roje-lab/demo"
)

// demoCommand runs the whole system for a person to watch, or for a script to count.
func demoCommand() *cobra.Command {
	o := demo.Options{}
	c := &cobra.Command{
		Use: "demo", Short: "collector, enrolled sensor and traffic on this machine, to watch or to count", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			o.Out = c.OutOrStdout()
			return demo.Run(ctx, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Bin, "bin", "bin", "`DIR` of roje-sensor and roje-collector")
	f.StringVar(&o.Testdata, "testdata", "testdata", "`DIR` of the lab's captures")
	f.BoolVar(&o.Smoke, "smoke", false, "end by itself, and fail where too few alerts arrive")
	f.BoolVar(&o.Live, "live", false, "masters and outstations in network namespaces instead of recorded traffic (root)")
	f.Float64Var(&o.Pace, "pace", 1, "packet seconds per second")
	return c
}
