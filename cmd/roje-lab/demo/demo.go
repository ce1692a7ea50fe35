// Package demo runs the whole system for a person to watch, or for a script to count: a collector, a sensor that is
// enrolled with it, and traffic, all as real processes on this machine.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Options are how a demo runs.
type Options struct {
	Bin      string  // folder of roje-sensor and roje-collector
	Testdata string  // folder of the lab's captures
	Smoke    bool    // as fast as possible, end by itself, and fail where too little arrives
	Live     bool    // masters and outstations in network namespaces instead of recorded traffic; needs root
	Pace     float64 // packet seconds per second, unless Smoke
	Out      io.Writer
}

// leastRules is how many different rules must have alerts at the collector for a smoke run to pass.
const leastRules = 15

// Captures of the demo, below Testdata: what is learned, and what is then watched.
const (
	learned = "day-normal.pcapng.gz"
	watched = "demo.pcap"
)

// Run runs the demo until it is over or ctx ends.
func Run(ctx context.Context, o Options) (err error) {
	dir, err := os.MkdirTemp("", "roje-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &site{Options: o, dir: dir}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.startCollector(ctx); err != nil {
		return err
	}
	if err := s.joinSensor(ctx); err != nil {
		return err
	}
	if err := s.learn(ctx, filepath.Join(o.Testdata, learned)); err != nil {
		return err
	}
	if o.Live {
		return s.live(ctx)
	}
	config := fmt.Sprintf("replay:\n  files: [%s]\n  pace: %v\n", quote(filepath.Join(o.Testdata, watched)), s.pace())
	sensor, err := s.startSensor(ctx, config)
	if err != nil {
		return err
	}
	if !o.Smoke {
		s.invite()
	}
	if err := sensor.wait(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("the sensor ended: %w", err)
	}
	if !o.Smoke {
		if ctx.Err() == nil {
			fmt.Fprintln(o.Out, "the recorded traffic has ended; the console stays up until Ctrl-C")
		}
		<-ctx.Done()
		return nil
	}
	return s.count(ctx)
}

func (s *site) pace() float64 {
	if s.Smoke {
		return 0
	}
	return s.Pace
}

// invite tells a person where to look.
func (s *site) invite() {
	fmt.Fprintf(s.Out, "\n  console   %s\n  sign-in   %s\n\n", s.console, s.signIn)
	fmt.Fprintln(s.Out, "  Traffic of a substation and a telecom site is played now; alerts appear as it goes. Ctrl-C ends everything.")
	fmt.Fprintln(s.Out)
}

// count asks the collector what has arrived.
func (s *site) count(ctx context.Context) error {
	alerts, rules, err := s.arrived(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "%d alerts of %d rules arrived at the collector: %s\n", alerts, len(rules), strings.Join(rules, ", "))
	if len(rules) < leastRules {
		return fmt.Errorf("alerts of %d different rules arrived, want at least %d", len(rules), leastRules)
	}
	return nil
}

// quote makes text a YAML string.
func quote(text string) string { return fmt.Sprintf("%q", text) }

// patience is how long a part may take to start or to answer.
const patience = 30 * time.Second
