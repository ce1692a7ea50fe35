package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor/coverage"
)

// coverageCommand says what a sensor sees and what it does not, and checks what it has signed about a day.
func coverageCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "coverage", Short: "What the sensor sees and what it does not, and the signed statements of its days", Args: needs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("name a command: show, verify")}
		}}
	var admin string
	show := &cobra.Command{
		Use: "show", Short: "The account of the day so far, of the sensor that runs here", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := askCoverage(cmd.Context(), admin)
			if err != nil {
				return err
			}
			return writeCoverage(cmd.OutOrStdout(), s)
		},
	}
	show.Flags().StringVar(&admin, "admin", "127.0.0.1:9273", "`ADDRESS` that the sensor's configuration names as admin")
	var signer string
	verify := &cobra.Command{
		Use: "verify FILE", Short: "Check that a day's statement is as a sensor signed it, and that its sums add up; offline", Args: needs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, seal, err := coverage.VerifyFile(args[0])
			if err != nil {
				return err
			}
			if signer != "" && signer != seal.Fingerprint() {
				return fmt.Errorf("%s is signed by key %s, not by %s", args[0], seal.Fingerprint(), signer)
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is as it was signed\nsha256 %s\nkey    %s\n", args[0], seal.SHA256, seal.Fingerprint()); err != nil {
				return err
			}
			return writeCoverage(cmd.OutOrStdout(), s)
		},
	}
	verify.Flags().StringVar(&signer, "key", "", "`FINGERPRINT` of the key that must have signed it, as verify prints it")
	cmd.AddCommand(show, verify)
	return cmd
}

// askCoverage asks the sensor's admin address.
func askCoverage(ctx context.Context, admin string) (*coverage.Statement, error) {
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/coverage", nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return nil, fmt.Errorf("%w (does the sensor run, with `admin: %s`?)", err, admin)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", admin, answer.Status)
	}
	s := new(coverage.Statement)
	return s, json.NewDecoder(io.LimitReader(answer.Body, 64<<20)).Decode(s)
}

// writeCoverage writes a statement for people.
func writeCoverage(w io.Writer, s *coverage.Statement) error {
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, format+"\n", args...)
		}
	}
	line("sensor %s, %s to %s", s.Sensor, s.From.Format(time.RFC3339), s.To.Format(time.RFC3339))
	for _, n := range s.Not {
		line("not watched: %s to %s: %s", n.From.Format(time.RFC3339), n.To.Format(time.RFC3339), n.Why)
	}
	sums := func(s *coverage.Sums) string {
		return fmt.Sprintf("%d bytes seen = %d decoded + %d unframed + %d TLS + %d other protocols + %d waiting; %d bytes lost in %d gaps",
			s.Seen, s.Decoded, s.Unframed, s.TLS, s.Other, s.Waiting, s.GapBytes, s.Gaps)
	}
	for i := range s.Sources {
		line("source %s: %s", s.Sources[i].Name, sums(&s.Sources[i].Sums))
	}
	for i := range s.Links {
		l := &s.Links[i]
		name := l.Proto
		if name == "" {
			name = "not decoded"
		}
		line("link %s to %s port %d, %s: %s %v", l.Client, l.Server, l.Port, name, sums(&l.Sums), l.Why)
	}
	line("no link of their own: %s", sums(&s.Rest))
	return err
}
