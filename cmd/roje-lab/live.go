package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/cmd/roje-lab/netlab"
	"github.com/roje-ot/roje/cmd/roje-lab/script"
)

// flags of the commands that play on real sockets.
type flags struct {
	config netlab.Config
	length time.Duration
	span   string
}

func (f *flags) add(c *cobra.Command) {
	c.Flags().DurationVar(&f.length, "for", time.Minute, "how long to play at most")
	c.Flags().DurationVar(&f.config.Pace, "pace", 2*time.Second, "the shortest poll period")
	c.Flags().DurationVar(&f.config.Settle, "settle", 10*time.Second, "normal work before the first act")
	c.Flags().DurationVar(&f.config.Between, "between", 3*time.Second, "pause after each act")
	c.Flags().StringSliceVar(&f.config.Acts, "act", nil, "acts to play, in this order; roje-lab acts lists them")
}

// run plays in a world until it is over, is interrupted, or its time has come.
func (f *flags) run(c *cobra.Command, open func(context.Context) (*netlab.World, error)) (err error) {
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, f.length)
	defer cancel()
	w, err := open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	f.config.Log = c.OutOrStdout()
	_, err = netlab.Play(ctx, w, f.config)
	return err
}

// play is the script on loopback addresses.
func play() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use: "play", Short: "play on loopback addresses with real sockets, without rights", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c, func(ctx context.Context) (*netlab.World, error) { return netlab.Loopback(ctx), nil })
		},
	}
	f.add(c)
	return c
}

// live is the script in network namespaces.
func live() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use: "live", Short: "play in network namespaces with a SPAN port for a sensor (root)", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c, func(ctx context.Context) (*netlab.World, error) { return netlab.Namespaces(ctx, f.span) })
		},
	}
	f.add(c)
	c.Flags().StringVar(&f.span, "span", "roje-span0", "name of the SPAN interface to make")
	return c
}

// acts lists what can be played.
func acts() *cobra.Command {
	return &cobra.Command{
		Use: "acts", Short: "list the acts of attack", Args: cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) {
			for _, a := range script.Acts {
				where := ""
				if a.Virtual {
					where = " (captures only)"
				}
				fmt.Fprintf(c.OutOrStdout(), "%-26s %s%s\n", a.Name, a.Title, where)
			}
		},
	}
}
