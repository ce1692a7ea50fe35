package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/strict"
	"github.com/roje-ot/roje/sensor/oneway"
)

// exportCommand carries over by hand what a one-way link lost. It may run beside the sensor.
func exportCommand() *cobra.Command {
	var state, lane, dir string
	var w oneway.Wish
	cmd := &cobra.Command{
		Use: "export --lane LANE --from A --to B --dir DIR", Short: "Copy what was sent over a one-way link to files, to be carried over by hand", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if w.Lane, err = parseLane(lane); err != nil {
				return usageError{err}
			}
			switch {
			case dir == "":
				return usageError{errors.New("say where the files go with --dir DIR")}
			case w.From == 0 || w.To < w.From:
				return usageError{errors.New("say which records with --from A --to B, as the collector named them")}
			}
			n, missing, err := oneway.Export(filepath.Join(state, oneway.ArchiveName), w, dir)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d envelopes are in %s; give them to 'roje-collector receive --files'\n", n, dir)
			if len(missing) > 0 {
				return fmt.Errorf("the archive has no records %d to %d of the %s lane: they were not sent yet, or had to make room", missing[0].From, missing[len(missing)-1].To, w.Lane)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&state, "state", "/var/lib/roje-sensor", "`DIR` of the sensor's state")
	f.StringVar(&lane, "lane", "", "`LANE` by name or number: vital, urgent, routine, inventory, evidence")
	f.Uint64Var(&w.From, "from", 0, "number of the first record")
	f.Uint64Var(&w.To, "to", 0, "number of the last record")
	f.StringVar(&w.Epoch, "epoch", "", "epoch, or its first characters; the latest where it is not given")
	f.StringVar(&dir, "dir", "", "`DIR` for the files")
	return cmd
}

func parseLane(text string) (batch.Lane, error) {
	var names []string
	for lane := range batch.Lane(batch.Lanes) {
		if text == lane.String() || text == strconv.Itoa(int(lane)) {
			return lane, nil
		}
		names = append(names, lane.String())
	}
	if text == "" {
		return 0, errors.New("say which lane with --lane LANE")
	}
	return 0, strict.Unknown("lane", text, names)
}
