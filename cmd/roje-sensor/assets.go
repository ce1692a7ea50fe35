package main

import (
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/asset"
)

// assetsCommand shows the devices of a state folder. It may be called while the sensor runs.
func assetsCommand() *cobra.Command {
	var state string
	var asJSON bool
	cmd := &cobra.Command{Use: "assets [ADDRESS]", Short: "Show the devices that were heard, or one of them with its history", Args: needs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := asset.Look(state)
			if err != nil {
				return err
			}
			all := r.Assets()
			if len(args) == 1 {
				addr, err := netip.ParseAddr(args[0])
				if err != nil {
					return usageError{fmt.Errorf("%q is not an IP address", args[0])}
				}
				if all = only(all, addr); len(all) == 0 {
					return fmt.Errorf("no device with the address %s was heard", addr)
				}
			}
			if asJSON {
				lines, err := sensor.OpenLines("-")
				if err != nil {
					return err
				}
				for _, a := range all {
					lines.Write(a)
				}
				return lines.Close()
			}
			for _, a := range all {
				fmt.Fprintln(cmd.OutOrStdout(), a.Text())
				if len(args) == 1 {
					fmt.Fprint(cmd.OutOrStdout(), a.History())
				}
			}
			return nil
		}}
	cmd.Flags().StringVar(&state, "state", "/var/lib/roje-sensor", "`DIR` of the sensor's state")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object per line, as replay --assets writes them")
	return cmd
}

func only(all []*asset.Asset, addr netip.Addr) []*asset.Asset {
	for _, a := range all {
		for _, own := range a.Addrs {
			if own == addr {
				return []*asset.Asset{a}
			}
		}
	}
	return nil
}
