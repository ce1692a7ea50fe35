package cmd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
	"github.com/roje-ot/roje/cmd/roje-lab/simnet"
	"github.com/roje-ot/roje/cmd/roje-lab/station"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/rules/pack"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/sensor/ledger/ledgertest"
)

// TestEffectRules switches a breaker of the lab ten times. Then, in one play, it no longer moves, though the station
// confirms; in another it moves by itself; in a third it goes on. The rules of the ledger say which, with the packets of
// the action, and nothing else.
func TestEffectRules(t *testing.T) {
	const control, breaker = 5000, 1000
	for _, c := range []struct {
		name string
		then func(o *iec104station.Outstation)
		want []string
	}{
		{"it goes on", func(*iec104station.Outstation) {}, nil},
		{"it does not move", func(o *iec104station.Outstation) { o.Controls[control].Point = breaker + 1 }, []string{"V06-command-without-effect"}},
		{"it moves by itself", func(o *iec104station.Outstation) { o.Move(breaker, 1-o.Points[breaker].Value) }, []string{"V06-effect-without-command"}},
	} {
		o := &iec104station.Outstation{CA: 4, Points: map[uint32]*iec104station.Point{breaker: {Type: 1}, breaker + 1: {Type: 1}},
			Controls: map[uint32]*iec104station.Control{control: {Type: 45, Point: breaker, Select: true, Travel: 400 * time.Millisecond}}}
		p := stage(1, func(h *simnet.Host) {
			o.Clock = h
			station.Serve(h, "tcp", ":2404", o.Serve)
		}, func(h *simnet.Host, server string) []deed {
			conn, err := h.Dial("tcp", server+":2404")
			if err != nil {
				panic(err)
			}
			m := iec104station.NewSession(conn, h, nil, 4, 7)
			must := func(err error) {
				if err != nil {
					panic(err)
				}
			}
			must(m.Start())
			command := func(n int) {
				if err := m.Do(iec104station.Command{Type: 45, IOA: control, Value: float64(n & 1), Select: true, Direct: true}); err != nil {
					panic(err)
				}
				must(m.Run(h.Now().Add(90 * time.Second)))
			}
			for n := range 10 {
				command(n + 1)
			}
			must(m.Run(h.Now().Add(2 * time.Minute)))
			c.then(o)
			must(m.Run(h.Now().Add(2 * time.Minute)))
			if c.name != "it moves by itself" {
				command(11)
			}
			must(m.Run(h.Now().Add(time.Minute)))
			return nil
		})
		var alerts []*rules.Alert
		set, err := pack.Rules(catalog.All)
		if err != nil {
			t.Fatal(err)
		}
		judge := engine.New(set, engine.Options{Emit: func(a *rules.Alert) { alerts = append(alerts, a) }})
		tap := ledgertest.New(ledger.Config{Tell: judge.Judge}, judge.Judge)
		for i := range p.frames {
			tap.Packet(&p.frames[i])
		}
		var got []string
		for _, a := range alerts {
			if !strings.HasPrefix(a.Rule, "V06-") {
				continue
			}
			got = append(got, a.Rule)
			t.Log(a.Title, a.Observed, a.Frames)
			if last := tap.Records[len(tap.Records)-1]; strings.Contains(a.Rule, "without-effect") && (!slices.Equal(a.Frames, last.Frames) || !strings.Contains(a.Observed, last.ID)) {
				t.Errorf("%s: the alert has the packets %v and says %q; the record %s has %v", c.name, a.Frames, a.Observed, last.ID, last.Frames)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
