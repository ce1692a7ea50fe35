package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor/passive/verify"
)

func verifyPassive() *cobra.Command {
	var veth bool
	var watch time.Duration
	cmd := &cobra.Command{
		Use: "verify-passive IFACE | --veth", Short: "Prove that the sensor cannot send",
		Long: `With --veth: try every known way of sending against each layer and all of them, on virtual interfaces in a namespace
of its own, and print what arrived. Exit 1 if a layer lets through what it must stop. Needs root; sends nothing on a port
of the host.

With IFACE: look at the real port, send nothing, and print the level that holds: claimed, kernel or diode.

What drops at the port's egress outlives the sensor and its crash: the TCX program is pinned below /sys/fs/bpf/roje, where
that is mounted, and the chain of nftables stays. 'roje-sensor shut --undo IFACE' takes all of it away, as root.`,
		Args: needs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if veth == (len(args) == 1) {
				return usageError{errors.New("name either an interface or --veth")}
			}
			if veth {
				return verifyTable(cmd)
			}
			in, err := verify.Inspect(cmd.Context(), args[0], watch)
			if err != nil {
				return err
			}
			for _, c := range in.Checks {
				word := "no"
				if c.Holds {
					word = "yes"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-16s %-4s %s\n", c.Name, word, oneLine(errors.New(c.Detail)))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "level: %s\n", in.Level)
			return nil
		},
	}
	cmd.Flags().BoolVar(&veth, "veth", false, "run the table on a pair of virtual interfaces")
	cmd.Flags().DurationVar(&watch, "watch", 3*time.Second, "how long to watch the port's count of sent frames")
	cmd.AddCommand(&cobra.Command{Use: "attempt IFACE", Hidden: true, Args: needs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return verify.Attempt(args[0], cmd.InOrStdin(), cmd.OutOrStdout())
		}})
	return cmd
}

// verifyTable runs the table and prints it, with what is wrong with it.
func verifyTable(cmd *cobra.Command) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	table, err := verify.Run(cmd.Context(), verify.Config{Attempt: []string{self, "verify-passive", "attempt"}})
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if err := table.Write(out); err != nil {
		return err
	}
	broken, unproven := table.Failures()
	summary(out, table, broken, unproven)
	if len(broken) > 0 {
		return fmt.Errorf("%d ways of sending get past a layer that must stop them", len(broken))
	}
	return nil
}

func summary(out io.Writer, table *verify.Table, broken, unproven []verify.Cell) {
	ways, arrived, sent := 0, 0, uint64(0)
	for _, c := range table.Cells {
		if c.Layer == "all of them" {
			ways++
			arrived += c.Arrived
			sent += c.Sent
		}
	}
	fmt.Fprintf(out, "\nwith all layers, from the sealed process, by %d ways: %d frames at the far end, %d sent by the port's own count\n", ways, arrived, sent)
	fmt.Fprintln(out, "what another process with the rights to it can still do: an XDP socket, an XDP redirect; the port's count of sent frames shows both, and the diode stops both")
	for _, c := range broken {
		fmt.Fprintf(out, "BROKEN: %s, against %s: %d arrived, %d sent\n", c.Sender, c.Layer, c.Arrived, c.Sent)
	}
	for _, c := range unproven {
		fmt.Fprintf(out, "not proven: %s did not work even without a layer (%v)\n", c.Sender, c.Err)
	}
}
