package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor"
)

func replay() *cobra.Command {
	var r sensor.Replaying
	var phase string
	var lists []string
	cmd := &cobra.Command{
		Use:   "replay [flags] CAPTURE...",
		Short: "Run the sensor over capture files (pcap, pcapng, gzip of either), in packet time",
		Args: needs(func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name at least one capture file")
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if r.Phase, err = sensor.ParsePhase(phase); err != nil {
				return usageError{err}
			}
			r.Captures, r.Warn, r.Points = args, os.Stderr, listsOf(lists)
			return sensor.Replay(cmd.Context(), r)
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Events, "events", "", "write each protocol message as a JSON line to `FILE` (- is standard output)")
	f.StringVar(&r.Alerts, "alerts", "", "write each alert as a JSON line to `FILE`")
	f.StringVar(&r.Ledger, "ledger", "", "write each control action as a JSON line to `FILE`")
	f.StringVar(&r.Coverage, "coverage", "", "write the account of packets and bytes as JSON lines to `FILE`")
	f.StringVar(&r.Assets, "assets", "", "write each host as a JSON line to `FILE`")
	f.StringVar(&r.Evidence, "evidence", "", "keep the frames that alerts stand on in `DIR`")
	f.StringVar(&r.State, "state", "", "`DIR` of the baseline")
	f.BoolVar(&r.Propose, "propose", false, "in the phase learn: approve nothing; baseline propose shows what was learned")
	f.StringVar(&phase, "phase", "enforce", "learn, enforce or off")
	f.StringVar(&r.Rules, "rules", "", "`DIR` of rules beside the shipped pack, or a signed pack")
	f.StringArrayVar(&lists, "points", nil, "a point list or device profile `FILE` that says what points are called; may be repeated")
	f.StringVar(&r.Site, "site", "", "`FILE` with what a site says about rules: off, severity, exceptions")
	return cmd
}
