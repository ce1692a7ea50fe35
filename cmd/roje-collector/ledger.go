package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/collector/sealed"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/strict"
)

// ledgerCommand is about the seals that sensors have sent over their ledgers.
func ledgerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "ledger", Short: "verify and print the seals that sensors sent over their records of control actions", Args: aCommand, Run: func(*cobra.Command, []string) {}}
	cmd.AddCommand(ledgerVerifyCommand(), ledgerSealsCommand())
	return cmd
}

func ledgerVerifyCommand() *cobra.Command {
	var data, only string
	cmd := &cobra.Command{
		Use: "verify --data DIR [--sensor NAME]", Short: "say whether the seals of each sensor follow each other, also while the collector runs",
		Long: `Hold the seals that sensors have sent over their ledgers against each other and against the sensors' keys. A ledger
that was cut back, or a state folder that was put back or made anew, brings forth seals that do not follow: that is said,
and the exit code is 1. To hold the records themselves against the seals, print these with 'ledger seals' and give them
to 'roje-sensor ledger verify --seals', with the sensor's state folder or with what its 'ledger export' wrote.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			failed := false
			err := eachSensor(cmd, data, only, func(st store.Store, scope store.Scope, sensor store.Sensor) error {
				list, err := sealed.Of(cmd.Context(), st, scope, sensor.ID)
				if err != nil {
					return err
				}
				wrong, err := sealed.Check(cmd.Context(), st, scope, sensor.ID, list)
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				for _, w := range wrong {
					fmt.Fprintf(out, "WRONG: %s: %v\n", sensor.Name, w)
					failed = true
				}
				if len(list) == 0 {
					fmt.Fprintf(out, "%s: no seal was received\n", sensor.Name)
					return nil
				}
				newest := list[len(list)-1]
				fmt.Fprintf(out, "%s: %d seals, %d problems; sealed to record %d on %s\n", sensor.Name, len(list), len(wrong), newest.Number, newest.At.Format(time.RFC3339))
				return nil
			})
			if err == nil && failed {
				err = errors.New("a ledger is not what was sealed")
			}
			return err
		},
	}
	sensorFlags(cmd, &data, &only)
	return cmd
}

func ledgerSealsCommand() *cobra.Command {
	var data, only string
	cmd := &cobra.Command{
		Use: "seals --data DIR --sensor NAME", Short: "print the seals of a sensor, oldest first, for 'roje-sensor ledger verify --seals'",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if only == "" {
				return usage("say of which sensor: --sensor NAME")
			}
			return eachSensor(cmd, data, only, func(st store.Store, scope store.Scope, sensor store.Sensor) error {
				list, err := sealed.Of(cmd.Context(), st, scope, sensor.ID)
				if err != nil {
					return err
				}
				out := json.NewEncoder(cmd.OutOrStdout())
				for i := range list {
					if err := out.Encode(&list[i]); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	sensorFlags(cmd, &data, &only)
	return cmd
}

func sensorFlags(cmd *cobra.Command, data, only *string) {
	f := cmd.Flags()
	f.StringVar(data, "data", "", "the collector's data folder")
	f.StringVar(only, "sensor", "", "name or id of one sensor")
	cmd.MarkFlagRequired("data")
}

// eachSensor does something for every sensor of the collector of a folder, or for the one that only names by name or id.
func eachSensor(cmd *cobra.Command, data, only string, do func(store.Store, store.Scope, store.Sensor) error) error {
	st, scope, err := openStore(data)
	if err != nil {
		return err
	}
	defer st.Close()
	all, err := st.Sensors(cmd.Context(), scope)
	if err != nil {
		return err
	}
	var names []string
	found := only == ""
	for _, sensor := range all {
		names = append(names, sensor.Name)
		if only != "" && sensor.ID != only && sensor.Name != only {
			continue
		}
		found = true
		if err := do(st, scope, sensor); err != nil {
			return fmt.Errorf("%s: %w", sensor.Name, err)
		}
	}
	if !found {
		return strict.Unknown("sensor", only, names)
	}
	return nil
}
