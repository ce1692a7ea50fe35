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
	var off offline
	cmd := &cobra.Command{
		Use: "enrol --token TOKEN | --offline", Short: "Join a collector with a token that `roje-collector token` printed, or by files", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if off.on {
				return off.run(cmd, o)
			}
			if o.Token == "" {
				return usageError{errors.New("give the token with --token TOKEN")}
			}
			if err := named(&o); err != nil {
				return err
			}
			o.Waiting = func(words string) {
				fmt.Fprintf(cmd.ErrOrStderr(), "waiting for an administrator at the collector to approve this sensor; it is the right one if these words are shown there:\n  %s\n", words)
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
	f.BoolVar(&off.on, "offline", false, "join by files, where no network leads to the collector")
	f.StringVar(&off.ask, "ask", "roje-sensor.ask", "--offline: `FILE` to write, for 'roje-collector enrol-offline'")
	f.StringVar(&off.bundle, "bundle", "", "--offline: `FILE` that 'roje-collector enrol-offline' wrote")
	return cmd
}

// named gives the sensor the host's name where it has none.
func named(o *enrol.Options) (err error) {
	if o.Name == "" {
		o.Name, err = os.Hostname()
	}
	return err
}

// offline is the enrolment by files: first a file that asks, then the one that answers it.
type offline struct {
	on          bool
	ask, bundle string
}

func (f *offline) run(cmd *cobra.Command, o enrol.Options) error {
	if o.Token != "" {
		return usageError{errors.New("--token and --offline exclude each other")}
	}
	out := cmd.OutOrStdout()
	if f.bundle != "" {
		text, err := os.ReadFile(f.bundle)
		if err != nil {
			return err
		}
		id, err := enrol.InstallOffline(o, text)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "enrolled as sensor %s (%s) of %s; the key and the certificate, good until %s, are in %s\n", id.Sensor, id.Name, id.Operator, id.Expires().Format(time.DateOnly), id.Dir)
		return nil
	}
	if err := named(&o); err != nil {
		return err
	}
	text, fingerprint, words, err := enrol.AskOffline(o)
	if err != nil {
		return err
	}
	if err := os.WriteFile(f.ask, text, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "key %s (%s) asks; carry %s to the collector, compare the key there, and come back with the answer:\n", fingerprint, words, f.ask)
	fmt.Fprintf(out, "  roje-collector enrol-offline --data DIR %s\n  roje-sensor enrol --offline --bundle FILE\n", f.ask)
	return nil
}
