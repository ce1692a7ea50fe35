package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/sensor/plant"
	"github.com/roje-ot/roje/sensor/socket"
)

// An ask puts an order to the baseline, and writes the answer to out.
type ask func(cmd *cobra.Command, o *baseline.Order, out io.Writer) error

// say is ask with the command's output.
func (a ask) say(cmd *cobra.Command, o *baseline.Order) error { return a(cmd, o, cmd.OutOrStdout()) }

// baselineCommand asks the sensor that runs in the state folder, and works on the folder itself where none does.
func baselineCommand() *cobra.Command {
	var state, config string
	cmd := &cobra.Command{Use: "baseline", Short: "Show, judge, approve, export and import what was learned", Args: needs(cobra.NoArgs),
		Long: "Works on what a sensor has learned, while it runs and while it does not: a running one is asked over the socket in its\nstate folder, which takes root and the user that the sensor runs as.",
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("name a command: show, diff, propose, shadow, approve, reject, versions, rollback, relearn, drift, stale, retire, export, import")}
		}}
	cmd.PersistentFlags().StringVar(&state, "state", "/var/lib/roje-sensor", "`DIR` of the baseline")
	cmd.PersistentFlags().StringVar(&config, "config", "", "take points in the lists of the configuration `FILE` for engineered; a sensor that runs knows its own")
	var put ask = func(cmd *cobra.Command, o *baseline.Order, out io.Writer) error {
		if err := socket.Ask(cmd.Context(), state, sensor.BaselineOrders, o, out); !errors.Is(err, socket.ErrNone) {
			return err
		}
		b, warning, err := baseline.Open(state, baseline.Options{Phase: rules.Off, ReadOnly: !o.Decides()})
		if err != nil {
			return err
		}
		if warning != nil {
			fmt.Fprintln(os.Stderr, warning)
		}
		err = useLists(b, config)
		var answer baseline.Answer
		if err == nil {
			answer, err = b.Do(o, time.Now())
		}
		if err == nil {
			err = answer(out)
		}
		return errors.Join(err, b.Close())
	}
	cmd.AddCommand(
		plain("show", "Print every learned item, one JSON object per line", put),
		plain("diff", "Print what was learned and waits for approval, one JSON object per line", put),
		plain("versions", "List what was decided, by whom and why, and check the chain", put),
		plain("drift", "List the measured points whose learned range was widened while it was enforced", put),
		plain("stale", "List what was approved and was not seen for its age limit", put), retire(put),
		propose(put), shadow(&state), approve(put), reject(put), rollback(put), relearn(put), exportBaseline(put), importBaseline(put),
	)
	return cmd
}

// useLists gives a baseline the point lists of a configuration, if one is named.
func useLists(b *baseline.Baseline, config string) error {
	if config == "" {
		return nil
	}
	cfg, err := sensor.LoadConfig(config)
	if err != nil {
		return err
	}
	lists, err := plant.Load(cfg.Points)
	if err == nil {
		b.Use(lists)
	}
	return err
}

// plain is a command whose order is its name.
func plain(name, short string, put ask) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return put.say(cmd, &baseline.Order{Do: name}) }}
}

// A decider is the person behind a decision.
type decider struct{ who, why string }

func (d *decider) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.who, "who", "", "`NAME` of the person; the user's where it is not given")
	cmd.Flags().StringVar(&d.why, "why", "", "`REASON`, or the number of the ticket")
}

// name is who decides.
func (d *decider) name() (string, error) {
	if d.who != "" {
		return d.who, nil
	}
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("who are you? give --who: %w", err)
	}
	return u.Username, nil
}

// decide puts an order in the name of the person.
func (d *decider) decide(cmd *cobra.Command, put ask, o *baseline.Order) (err error) {
	if o.Who, err = d.name(); err != nil {
		return err
	}
	if d.why != "" {
		o.Why = d.why
	}
	return put.say(cmd, o)
}

// address reads an IP address of the command line; an empty text is none.
func address(text string) (addr netip.Addr, err error) {
	if text == "" {
		return addr, nil
	}
	if addr, err = netip.ParseAddr(text); err != nil {
		return addr, usageError{fmt.Errorf("%q is not an IP address", text)}
	}
	return addr, nil
}
