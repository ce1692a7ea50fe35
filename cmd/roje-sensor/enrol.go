package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor/enrol"
)

func enrolCommand() *cobra.Command {
	o := enrol.Options{Now: time.Now}
	cmd := &cobra.Command{
		Use: "enrol --token TOKEN", Short: "Join a collector with a token that `roje-collector token` printed", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Token == "" {
				return usageError{errors.New("give the token with --token TOKEN")}
			}
			if o.Name == "" {
				host, err := os.Hostname()
				if err != nil {
					return err
				}
				o.Name = host
			}
			id, err := enrol.Enrol(cmd.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "enrolled as sensor %s (%s) of %s at %s; the key and the certificate are in %s\n", id.Sensor, id.Name, id.Operator, id.Collector, id.Dir)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Token, "token", "", "the `TOKEN`")
	f.StringVar(&o.Collector, "collector", "", "`HOST:PORT` of the collector, where it is not as the token says")
	f.StringVar(&o.Dir, "dir", "/var/lib/roje-sensor/enrolment", "`DIR` for the key and the certificate")
	f.StringVar(&o.Name, "name", "", "`NAME` of the sensor; the host's where it is not given")
	f.BoolVar(&o.Again, "again", false, "replace an enrolment that is there; the old one is kept beside it")
	return cmd
}
