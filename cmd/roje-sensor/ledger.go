package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor/ledger"
)

// ledgerCommand searches the ledger of a state folder, also while the sensor runs.
func ledgerCommand() *cobra.Command {
	var (
		q                            ledger.Query
		state, since, until, outcome string
	)
	cmd := &cobra.Command{
		Use: "ledger [flags]", Short: "Search the record of control actions, oldest first, one JSON object per line", Args: needs(cobra.NoArgs),
		Long: "Search the record of control actions, oldest first, one JSON object per line. The chain of records is checked on the way: where one was removed or changed, that is said and the exit code is 1.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			for _, t := range []struct {
				text string
				to   *time.Time
			}{{since, &q.Since}, {until, &q.Until}} {
				if *t.to, err = moment(t.text); err != nil {
					return usageError{err}
				}
			}
			q.Outcome = ledger.Outcome(outcome)
			if err := q.Check(); err != nil {
				return usageError{err}
			}
			return ledger.Search(filepath.Join(state, ledger.FileName), q, func(text []byte) error {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", text)
				return err
			})
		},
	}
	cmd.AddCommand(ledgerVerify(), ledgerSeals(), ledgerExport())
	f := cmd.Flags()
	f.StringVar(&state, "state", "/var/lib/roje-sensor", "`DIR` of the ledger")
	f.StringVar(&q.Point, "point", "", "`POINT`: an address, or a kind and an address as in binary_out:7")
	f.StringVar(&q.Name, "name", "", "`TEXT`: part of what the point lists call the point, or of its bay, as it stands in the record")
	f.StringVar(&q.Master, "master", "", "`IP` address or number of the master")
	f.StringVar(&q.Station, "station", "", "`IP` address or number of the station")
	f.StringVar(&q.Proto, "proto", "", "modbus, dnp3 or iec104")
	f.StringVar(&outcome, "outcome", "", "confirmed, refused, timeout, no_select, mismatch, cancelled or unknown_gap")
	f.StringVar(&since, "since", "", "from this `TIME` on: 2026-03-09, or 2026-03-09T06:00:00Z")
	f.StringVar(&until, "until", "", "before this `TIME`")
	return cmd
}

// moment reads a day or a time, UTC where it names no zone; "" is the zero time.
func moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("time " + text + " is neither a day as 2026-03-09 nor a time as 2026-03-09T06:00:00Z")
}
