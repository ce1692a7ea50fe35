package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/socket"
)

// maintenanceCommand says when work is done on a plant, to a sensor that runs or to the state folder of one that does not.
func maintenanceCommand() *cobra.Command {
	var state string
	cmd := &cobra.Command{Use: "maintenance", Short: "Say when work is done on a plant: alerts up to medium severity are kept back, and nothing is learned", Args: needs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("name a command: begin, end, list")}
		}}
	cmd.PersistentFlags().StringVar(&state, "state", "/var/lib/roje-sensor", "`DIR` of the sensor's state")
	put := func(cmd *cobra.Command, o *sensor.MaintenanceOrder) error {
		if err := socket.Ask(cmd.Context(), state, sensor.MaintenanceOrders, o, cmd.OutOrStdout()); !errors.Is(err, socket.ErrNone) {
			return err
		}
		return sensor.Maintain(state, o, cmd.OutOrStdout())
	}
	cmd.AddCommand(beginWork(put), endWork(put), &cobra.Command{Use: "list", Short: "List the work that goes on, is to come or is over", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return put(cmd, &sensor.MaintenanceOrder{Do: "list"}) }})
	return cmd
}

func beginWork(put func(*cobra.Command, *sensor.MaintenanceOrder) error) *cobra.Command {
	var by decider
	var from, until string
	var long time.Duration
	o := &sensor.MaintenanceOrder{Do: "begin"}
	cmd := &cobra.Command{Use: "begin --for 4h --host ADDRESS", Short: "Say that work begins", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Who, err = by.name(); err != nil {
				return err
			}
			w := &o.Window
			w.Who, w.Why, w.From = o.Who, by.why, time.Now()
			begin, err := moment(from)
			if err != nil {
				return usageError{err}
			}
			if from != "" {
				w.From = begin
			}
			if w.Until, err = moment(until); err != nil {
				return usageError{err}
			}
			if until != "" && long != 0 {
				return usageError{errors.New("say either --for or --until")}
			}
			if long != 0 {
				w.Until = w.From.Add(long)
			}
			if err := w.Prepare(); err != nil {
				return usageError{err}
			}
			return put(cmd, o)
		}}
	by.flags(cmd)
	cmd.Flags().StringArrayVar(&o.Window.Hosts, "host", nil, "an `ADDRESS` or prefix that is worked on; may be given again")
	cmd.Flags().StringArrayVar(&o.Window.Links, "link", nil, "a link that is worked on, as `\"CLIENT > SERVER\"`; may be given again")
	cmd.Flags().StringVar(&from, "from", "", "`TIME` at which it begins, such as 2026-03-02T08:00:00Z; default now")
	cmd.Flags().StringVar(&until, "until", "", "`TIME` at which it ends")
	cmd.Flags().DurationVar(&long, "for", 0, "how `LONG` it takes, such as 4h")
	return cmd
}

func endWork(put func(*cobra.Command, *sensor.MaintenanceOrder) error) *cobra.Command {
	var by decider
	cmd := &cobra.Command{Use: "end ID", Short: "Say that work is over, before its time or before it has begun", Args: needs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			who, err := by.name()
			if err != nil {
				return err
			}
			return put(cmd, &sensor.MaintenanceOrder{Do: "end", Who: who, ID: args[0]})
		}}
	by.flags(cmd)
	return cmd
}
