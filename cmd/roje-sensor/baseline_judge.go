package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/baseline"
)

// propose shows what waits, in groups.
func propose(open withBaseline) *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{Use: "propose", Short: "Show what waits for approval, in groups, and how each may be approved", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return open(false, func(b *baseline.Baseline) error {
				out, last := cmd.OutOrStdout(), baseline.Class("")
				for _, g := range b.Propose() {
					if asJSON {
						line, err := json.Marshal(g)
						if err != nil {
							return err
						}
						fmt.Fprintln(out, string(line))
						continue
					}
					if g.Class != last {
						last = g.Class
						fmt.Fprintf(out, "%s: %s\n", g.Class, g.Class.About())
					}
					fmt.Fprintf(out, "  %d x %s\n", len(g.Items), g.What)
					const examples = 3
					for i, it := range g.Items {
						if i == examples && !all {
							fmt.Fprintf(out, "      and %d more; --all shows them\n", len(g.Items)-i)
							break
						}
						fmt.Fprintf(out, "      %s\n", it.Text())
					}
				}
				return nil
			})
		}}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object per group")
	cmd.Flags().BoolVar(&all, "all", false, "every item, not the first three of each group")
	return cmd
}

// chosen are the classes that flags choose beside those that are always approved together.
type chosen struct{ commands, mixed, rare bool }

func (c *chosen) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.commands, "commands", false, "also what changes something and was seen often")
	cmd.Flags().BoolVar(&c.mixed, "mixed", false, "also what hosts do that are both client and server")
	cmd.Flags().BoolVar(&c.rare, "rare", false, "also what was seen seldom")
}

func (c *chosen) classes() []baseline.Class {
	classes := []baseline.Class{baseline.Reads}
	for class, on := range map[baseline.Class]bool{baseline.Commands: c.commands, baseline.Mixed: c.mixed, baseline.Rarely: c.rare} {
		if on {
			classes = append(classes, class)
		}
	}
	return classes
}

func approve(open withBaseline) *cobra.Command {
	var by decider
	var which chosen
	var item, host string
	cmd := &cobra.Command{Use: "approve", Short: "Approve what was seen often and changes nothing, and what flags add to it", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			who, err := by.name()
			if err != nil {
				return err
			}
			choice := baseline.Choice{Who: who, Why: by.why, At: time.Now(), Classes: which.classes()}
			if host != "" {
				if choice.Host, err = netip.ParseAddr(host); err != nil {
					return usageError{fmt.Errorf("%q is not an IP address", host)}
				}
			}
			return open(true, func(b *baseline.Baseline) error {
				if item != "" {
					return b.ApproveItem(item, who, by.why, time.Now())
				}
				decision, out := b.Decide(choice), cmd.OutOrStdout()
				for _, kind := range slices.Sorted(maps.Keys(decision.Approved)) {
					fmt.Fprintf(out, "approved %d %s\n", decision.Approved[kind], kind)
				}
				if decision.Left > 0 {
					fmt.Fprintf(out, "%d items wait on; `roje-sensor baseline propose` shows them, --commands, --mixed and --rare approve them\n", decision.Left)
				}
				for _, it := range decision.Held {
					fmt.Fprintf(out, "held: %s (%s); approve it by itself with --item %q\n", it.Key(), it.Why, it.Key())
				}
				return nil
			})
		}}
	by.flags(cmd)
	which.flags(cmd)
	cmd.Flags().StringVar(&item, "item", "", "approve this one item, by its `KEY`")
	cmd.Flags().StringVar(&host, "host", "", "only items of this `ADDRESS`")
	return cmd
}

// shadow judges further captures as if what waits were approved, and says what that would have raised.
func shadow(state *string) *cobra.Command {
	var which chosen
	cmd := &cobra.Command{Use: "shadow CAPTURE...", Short: "Say what enforcing would have raised a day, over further captures; nothing is approved", Args: needs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := sensor.Shadow(cmd.Context(), *state, args, which.classes(), os.Stderr)
			if report != nil {
				fmt.Fprint(cmd.OutOrStdout(), report)
			}
			return err
		}}
	which.flags(cmd)
	return cmd
}

func versions(open withBaseline) *cobra.Command {
	return &cobra.Command{Use: "versions", Short: "List what was decided, by whom and why, and check the chain", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return open(false, func(b *baseline.Baseline) error {
				all, err := b.Versions()
				for _, v := range all {
					fmt.Fprintf(cmd.OutOrStdout(), "%d  %s  %s  %d items  %.16s  %s\n", v.N, v.At.Format("2006-01-02 15:04:05"), v.Who, v.Items, v.Hash, v.Why)
				}
				return err
			})
		}}
}

func rollback(open withBaseline) *cobra.Command {
	var by decider
	var version int
	var host string
	cmd := &cobra.Command{Use: "rollback --to VERSION", Short: "Approve what a version held, and nothing else", Args: needs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			who, err := by.name()
			if err != nil {
				return err
			}
			var addr netip.Addr
			if host != "" {
				if addr, err = netip.ParseAddr(host); err != nil {
					return usageError{fmt.Errorf("%q is not an IP address", host)}
				}
			}
			if version == 0 {
				return usageError{errors.New("say which version: --to N; baseline versions lists them")}
			}
			return open(true, func(b *baseline.Baseline) error { return b.RollBack(version, addr, who, time.Now()) })
		}}
	by.flags(cmd)
	cmd.Flags().IntVar(&version, "to", 0, "`NUMBER` of the version")
	cmd.Flags().StringVar(&host, "host", "", "only what is of this `ADDRESS`")
	return cmd
}

func relearn(open withBaseline) *cobra.Command {
	var by decider
	cmd := &cobra.Command{Use: "relearn ADDRESS", Short: "Learn one host anew while all others stay enforced, until it is approved again", Args: needs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			who, err := by.name()
			if err != nil {
				return err
			}
			addr, err := netip.ParseAddr(args[0])
			if err != nil {
				return usageError{fmt.Errorf("%q is not an IP address", args[0])}
			}
			return open(true, func(b *baseline.Baseline) error { return b.Relearn(addr, who, by.why, time.Now()) })
		}}
	by.flags(cmd)
	return cmd
}
