package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/sensor/socket"
)

// propose shows what waits, in groups.
func propose(put ask) *cobra.Command {
	o := &baseline.Order{Do: "propose"}
	cmd := &cobra.Command{Use: "propose", Short: "Show what waits for approval, in groups, and how each may be approved", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return put.say(cmd, o) }}
	cmd.Flags().BoolVar(&o.JSON, "json", false, "one JSON object per group")
	cmd.Flags().BoolVar(&o.All, "all", false, "every item, not the first three of each group")
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
	classes := []baseline.Class{baseline.Listed, baseline.Reads}
	for class, on := range map[baseline.Class]bool{baseline.Commands: c.commands, baseline.Mixed: c.mixed, baseline.Rarely: c.rare} {
		if on {
			classes = append(classes, class)
		}
	}
	return classes
}

func approve(put ask) *cobra.Command {
	var by decider
	var which chosen
	var item, host string
	cmd := &cobra.Command{Use: "approve", Short: "Approve what is in the point lists, what was seen often and changes nothing, and what flags add to it", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			addr, err := address(host)
			if err != nil {
				return err
			}
			return by.decide(cmd, put, &baseline.Order{Do: "approve", Classes: which.classes(), Host: addr, Item: item})
		}}
	by.flags(cmd)
	which.flags(cmd)
	cmd.Flags().StringVar(&item, "item", "", "approve this one item, by its `KEY`")
	cmd.Flags().StringVar(&host, "host", "", "only items of this `ADDRESS`")
	return cmd
}

func reject(put ask) *cobra.Command {
	var by decider
	var item, host string
	cmd := &cobra.Command{Use: "reject {--item KEY | --host ADDRESS}", Short: "Have what waits not proposed again for 90 days, unless it changes", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			addr, err := address(host)
			if err != nil {
				return err
			}
			if (item == "") == (host == "") {
				return usageError{errors.New("say what is rejected: --item KEY or --host ADDRESS")}
			}
			return by.decide(cmd, put, &baseline.Order{Do: "reject", Host: addr, Item: item})
		}}
	by.flags(cmd)
	cmd.Flags().StringVar(&item, "item", "", "this one item, by its `KEY`")
	cmd.Flags().StringVar(&host, "host", "", "all that waits of this `ADDRESS`")
	return cmd
}

// shadow says what enforcing what waits would raise: asks the sensor that runs what it has counted, or judges further
// captures as if what waits were approved.
func shadow(state *string) *cobra.Command {
	var by decider
	var which chosen
	var begin bool
	cmd := &cobra.Command{Use: "shadow [CAPTURE...]", Short: "Say what enforcing would have raised a day, as a running sensor has counted, or over further captures; nothing is approved",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				report, err := sensor.Shadow(cmd.Context(), *state, args, which.classes(), os.Stderr)
				if report != nil {
					fmt.Fprint(cmd.OutOrStdout(), report)
				}
				return err
			}
			who, err := by.name()
			if err != nil {
				return err
			}
			err = socket.Ask(cmd.Context(), *state, sensor.RehearsalOrders, sensor.RehearsalOrder{Who: who, Begin: begin, Classes: which.classes()}, cmd.OutOrStdout())
			if errors.Is(err, socket.ErrNone) {
				return usageError{fmt.Errorf("no sensor runs in %s: name captures that were not learned from", *state)}
			}
			return err
		}}
	by.flags(cmd)
	which.flags(cmd)
	cmd.Flags().BoolVar(&begin, "begin", false, "have the running sensor count anew, as if what the flags choose were approved")
	return cmd
}

func rollback(put ask) *cobra.Command {
	var by decider
	var version int
	var host string
	cmd := &cobra.Command{Use: "rollback --to VERSION", Short: "Approve what a version held, and nothing else", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			addr, err := address(host)
			if err != nil {
				return err
			}
			if version == 0 {
				return usageError{errors.New("say which version: --to N; baseline versions lists them")}
			}
			return by.decide(cmd, put, &baseline.Order{Do: "rollback", Version: version, Host: addr})
		}}
	by.flags(cmd)
	cmd.Flags().IntVar(&version, "to", 0, "`NUMBER` of the version")
	cmd.Flags().StringVar(&host, "host", "", "only what is of this `ADDRESS`")
	return cmd
}

func relearn(put ask) *cobra.Command {
	var by decider
	cmd := &cobra.Command{Use: "relearn ADDRESS", Short: "Learn one host anew while all others stay enforced, until it is approved again", Args: needs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			addr, err := address(args[0])
			if err != nil {
				return err
			}
			return by.decide(cmd, put, &baseline.Order{Do: "relearn", Host: addr})
		}}
	by.flags(cmd)
	return cmd
}

func retire(put ask) *cobra.Command {
	var by decider
	var item string
	cmd := &cobra.Command{Use: "retire", Short: "Take out of the baseline what was not seen for its age limit", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return by.decide(cmd, put, &baseline.Order{Do: "retire", Item: item})
		}}
	by.flags(cmd)
	cmd.Flags().StringVar(&item, "item", "", "only this one, by its `KEY`")
	return cmd
}
