package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/netlab"
)

// span is the interface that the sensor watches, in the namespace that the demo runs in.
const span = "roje-span"

// liveActs are what is played live, in this order.
var liveActs = []string{"modbus-rogue-master", "modbus-frostygoop", "modbus-function-scan", "dnp3-cold-restart", "dnp3-broadcast", "iec104-industroyer2", "iec104-illegal", "port-sweep"}

// Live figures: how long normal work goes on before the first act, and between two; and how old an alert may be when the
// collector has it.
const (
	settleSmoke, betweenSmoke = 3 * time.Second, 1 * time.Second
	settle, between           = 20 * time.Second, 15 * time.Second
	mostDelay                 = 2 * time.Second
	leastLiveRules            = 8
)

// live plays masters, outstations and acts in namespaces, and has the sensor watch the SPAN port.
func (s *site) live(ctx context.Context) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("the live demo makes network namespaces: run it as root")
	}
	w, err := netlab.Namespaces(ctx, span)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	sensor, err := s.startSensor(ctx, "interfaces: ["+span+"]\n")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sensor.stop()) }()
	if err := sensor.logged(ctx, "watching"); err != nil {
		return err
	}
	play := netlab.Config{Acts: liveActs, Settle: settle, Between: between, Log: s.Out}
	if s.Smoke {
		play.Settle, play.Between = settleSmoke, betweenSmoke
	} else {
		s.invite()
	}
	delays := make(chan []delay, 1)
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	go func() { delays <- s.watchDelays(watching) }()
	acts, err := netlab.Play(ctx, w, play)
	if err != nil {
		return err
	}
	if !s.Smoke {
		fmt.Fprintf(s.Out, "%d acts were played; the console stays up until Ctrl-C\n", len(acts))
		<-ctx.Done()
		return nil
	}
	if err := s.await(ctx, leastLiveRules); err != nil {
		return err
	}
	stopWatching()
	return s.report(<-delays)
}

// A delay is how long an alert took from its packet on the wire to the collector's API.
type delay struct {
	rule string
	took time.Duration
}

// watchDelays asks the API all the time which alerts are new, and compares when each was first seen there with the time
// of the packet that raised it. Both are this machine's clock.
func (s *site) watchDelays(ctx context.Context) []delay {
	seen := map[string]bool{}
	var all []delay
	for ctx.Err() == nil {
		page, err := s.page(ctx, "")
		if err != nil {
			continue
		}
		now := time.Now()
		for _, a := range page.Alerts {
			if !seen[a.ID] && a.Count == 1 {
				all = append(all, delay{a.Rule, now.Sub(a.Last)})
			}
			seen[a.ID] = true
		}
	}
	return all
}

// await returns when alerts of at least n rules have arrived.
func (s *site) await(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		_, rules, err := s.arrived(ctx)
		if len(rules) >= n {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("alerts of %d rules arrived (%q), want %d: %w", len(rules), rules, n, errors.Join(err, ctx.Err()))
		}
	}
}

// report prints how long alerts took, and fails where one took too long.
func (s *site) report(all []delay) error {
	if len(all) == 0 {
		return errors.New("no alert could be timed")
	}
	slices.SortFunc(all, func(a, b delay) int { return int(a.took - b.took) })
	worst := all[len(all)-1]
	fmt.Fprintf(s.Out, "%d alerts timed from the packet on the SPAN port to the collector's API: median %v, longest %v (%s)\n",
		len(all), all[len(all)/2].took.Round(time.Millisecond), worst.took.Round(time.Millisecond), worst.rule)
	if worst.took > mostDelay {
		return fmt.Errorf("%s took %v, want at most %v", worst.rule, worst.took, mostDelay)
	}
	return nil
}
