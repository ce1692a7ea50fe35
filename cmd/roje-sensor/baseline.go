package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/baseline"
)

// baselineCommand works on the state folder of a sensor that is not running: a running one holds the file.
func baselineCommand() *cobra.Command {
	var state string
	cmd := &cobra.Command{Use: "baseline", Short: "Show, compare, approve, export and import what was learned", Args: needs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("name a command: show, diff, approve, export, import")}
		}}
	cmd.PersistentFlags().StringVar(&state, "state", "/var/lib/roje-sensor", "`DIR` of the baseline")
	open := func(write bool, use func(*baseline.Baseline) error) error {
		phase := rules.Off
		b, warning, err := baseline.Open(state, baseline.Options{Phase: phase, ReadOnly: !write})
		if err != nil {
			return err
		}
		if warning != nil {
			fmt.Fprintln(os.Stderr, warning)
		}
		return errors.Join(use(b), b.Close())
	}
	cmd.AddCommand(
		&cobra.Command{Use: "show", Short: "Print every learned item, one JSON object per line", Args: needs(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error {
				return open(false, func(b *baseline.Baseline) error { return b.Export(cmd.OutOrStdout()) })
			}},
		&cobra.Command{Use: "diff", Short: "Print what was learned and waits for approval", Args: needs(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error {
				return open(false, func(b *baseline.Baseline) error {
					return baseline.WriteItems(cmd.OutOrStdout(), b.Waiting())
				})
			}},
		&cobra.Command{Use: "export [FILE]", Short: "Write the baseline in its canonical form: sorted, one JSON object per line", Args: needs(cobra.MaximumNArgs(1)),
			RunE: func(cmd *cobra.Command, args []string) error {
				return open(false, func(b *baseline.Baseline) error {
					if len(args) == 0 {
						return b.Export(cmd.OutOrStdout())
					}
					f, err := os.Create(args[0])
					if err != nil {
						return err
					}
					return errors.Join(b.Export(f), f.Close())
				})
			}},
		&cobra.Command{Use: "import FILE", Short: "Read items in the form of export", Args: needs(cobra.ExactArgs(1)),
			RunE: func(_ *cobra.Command, args []string) error {
				return open(true, func(b *baseline.Baseline) error {
					f, err := os.Open(args[0])
					if err != nil {
						return err
					}
					defer f.Close()
					return b.Import(f)
				})
			}},
		approve(open),
	)
	return cmd
}

func approve(open func(bool, func(*baseline.Baseline) error) error) *cobra.Command {
	var who, item string
	cmd := &cobra.Command{Use: "approve", Short: "Approve what waits, save for what only a person may approve, item by item", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if who == "" {
				u, err := user.Current()
				if err != nil {
					return err
				}
				who = u.Username
			}
			return open(true, func(b *baseline.Baseline) error {
				if item != "" {
					return b.ApproveItem(item, who, time.Now())
				}
				decision := b.Approve(who, time.Now())
				for kind, n := range decision.Approved {
					fmt.Fprintf(cmd.OutOrStdout(), "approved %d %s\n", n, kind)
				}
				for _, it := range decision.Held {
					fmt.Fprintf(cmd.OutOrStdout(), "held: %s (%s); approve it by itself with --item %q\n", it.Key(), it.Why, it.Key())
				}
				return nil
			})
		}}
	cmd.Flags().StringVar(&who, "who", "", "`NAME` of the person; the user's where it is not given")
	cmd.Flags().StringVar(&item, "item", "", "approve this one item, by its `KEY`")
	return cmd
}
